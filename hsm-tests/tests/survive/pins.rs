//! PINs that nobody types: what they cost when they are wrong, and when nobody hears what the card says of them.

use std::time::Instant;

use hsm_tests::cli::{Ran, shipped, tool};
use hsm_tests::daemon::{Daemon, PinFrom, with_card};
use hsm_tests::home::Home;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, Firmware, PivCard};
use hsm_tests::place::Place;

use crate::world::{SERIAL, World};

const WRONG: &str = "000000";

/// A card with its owner's PIN, and a daemon that has a wrong one.
struct Mistaken {
    home: Home,
    daemon: Daemon,
    pcscd: Pcscd,
    _place: Place,
}

impl Mistaken {
    fn new(source: PinFrom) -> Self {
        let pcscd = Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_7, SERIAL).owned());
        let (daemon, place) = with_card(&pcscd, SERIAL, source, WRONG);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { home, daemon, pcscd, _place: place }
    }

    /// Somebody wants the token, and there is no terminal to ask for its PIN.
    fn asked(&self) -> Ran {
        let cli = self.home.cli(&tool("setsid")).arg("--wait").arg(shipped("touchmark"));
        cli.args(["--format", "json", "vault", "init", "--token", "5c"]).run()
    }

    /// PINs sent to the card, and tries that it has left.
    fn cost(&self) -> (usize, u8) {
        self.pcscd.reader().look(|card| (card.controls().pins_sent(), card.pin_tries()))
    }
}

fn over_restarts(source: PinFrom) {
    let mut world = Mistaken::new(source);
    for start in 0..=20 {
        drop(world.asked().exits(2).says("NO_TERMINAL"));
        assert_eq!(world.cost(), (1, 2), "start {start}");
        world.daemon.stop();
        world.daemon.start_again();
    }
}

#[test]
fn a_wrong_pin_in_a_file_costs_one_try_over_twenty_restarts() {
    over_restarts(PinFrom::File);
}

#[test]
fn a_wrong_pin_in_a_credential_costs_one_try_over_twenty_restarts() {
    over_restarts(PinFrom::Credential);
}

#[test]
fn a_wrong_pin_is_sent_once_when_nobody_hears_what_the_card_says_of_it() {
    let world = Mistaken::new(PinFrom::File);
    world.pcscd.reader().controls().pull_after_pin();
    drop(world.asked().exits(4));
    world.pcscd.reader().put_back();
    for _ in 0..3 {
        drop(world.asked().exits(2).says("NO_TERMINAL"));
        assert_eq!(world.cost(), (1, 2));
    }
}

/// The right one is sent again: what it cost is asked of the card.
#[test]
fn a_card_pulled_at_any_moment_of_a_login_or_a_signature_signs_again_by_itself() {
    let world = World::new();
    world.resets_the_card();
    world.card().forget();
    world.root().unwrap();
    let commands = world.card().log().len();
    assert!(commands > 5, "{commands}");
    let pulled = |at: &dyn Fn(&Controls)| {
        world.resets_the_card();
        at(&world.card());
        drop(world.root());
        world.pcscd.reader().put_back();
        world.recovers(Instant::now());
        assert_eq!(world.pins_wasted(), (0, 3));
    };
    pulled(&Controls::pull_after_pin);
    for answers in 0..commands {
        pulled(&|card| card.pull_after(answers));
    }
}
