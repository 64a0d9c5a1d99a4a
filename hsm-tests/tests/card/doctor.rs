//! `doctor`: what keeps a YubiKey from being used, and what to type.

use hsm_tests::pcscd::{Pcscd, apart};
use hsm_tests::piv::{Firmware, PivCard};

use crate::{PIN, PUK, SERIAL, World};

fn owned() -> PivCard {
    PivCard::new(Firmware::V5_7, SERIAL).set_up(PIN, PUK)
}

/// What it says then. Its serial number is nobody's business.
fn finds(world: &World, code: i32, words: &[&str]) {
    let said = world.home.touchmark().arg("doctor").run().exits(code).says_nothing_of(&SERIAL.to_string());
    for words in words {
        assert!(said.stdout.contains(words), "expected to read: {words}\n{said}");
    }
}

#[test]
fn a_card_of_the_factory_and_one_that_is_ready() {
    let world = World::with(PivCard::new(Firmware::V5_7, SERIAL));
    world.token_that_is("present");
    finds(&world, 4, &["WRONG token", "pin, puk, management-key", "fix: touchmark token init 5c"]);
    world.typed(&["token", "init", "5c"], &[PUK, PIN]).ok();
    finds(&world, 0, &["ok    token     5c (yubikey): present"]);
}

#[test]
fn the_last_try_and_a_pin_that_is_locked() {
    let world = World::with(owned());
    for _ in 0..2 {
        world.typed(&["unlock", "5c"], &["000000"]).run().exits(4).says("WRONG_PIN");
    }
    finds(&world, 0, &["note  token", "one more wrong PIN locks it", "touchmark unlock 5c"]);
    world.pcscd.reader().look(|card| card.block_pin());
    world.pcscd.reader().pull_out();
    world.token_that_is("absent");
    world.pcscd.reader().put_back();
    world.token_that_is("present");
    finds(&world, 4, &["WRONG token", "its PIN is locked", "fix: ykman piv access unblock-pin"]);
}

#[test]
fn no_card_and_another_one_and_no_service() {
    let mut world = World::with(owned());
    world.token_that_is("present");
    let ours = world.pcscd.reader().exchange(PivCard::new(Firmware::V5_7, SERIAL + 1));
    world.token_that_is("mismatch");
    finds(
        &world,
        4,
        &["WRONG token", "expected YubiKey SERIAL, found YubiKey SERIAL", "fix: plug in the token"],
    );
    world.pcscd.kill();
    world.token_that_is("failed");
    finds(&world, 4, &["the PC/SC service does not run", "fix: sudo systemctl enable --now pcscd.socket"]);
    world.pcscd.start_again();
    drop(world.pcscd.reader().exchange(ours));
    world.token_that_is("present");
    finds(&world, 0, &["ok    token"]);
    world.pcscd.reader().pull_out();
    world.token_that_is("absent");
    finds(&world, 4, &["WRONG token", "fix: plug it in", "`pcsc_scan` shows its reader"]);
}

#[test]
fn a_program_that_has_the_card_for_itself() {
    apart(|pcscd: Pcscd| {
        pcscd.reader().insert(owned());
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let name = context.list_readers_owned().unwrap().remove(0);
        let held = context.connect(&name, pcsc::ShareMode::Exclusive, pcsc::Protocols::T1).unwrap();
        let world = World::at(pcscd);
        world.token_that_is("failed");
        let holder = format!("(process {})", std::process::id());
        finds(&world, 4, &["another program has the card for itself alone: end ", &holder]);
        drop(held);
        world.token_that_is("present");
        finds(&world, 0, &["ok    token"]);
    });
}
