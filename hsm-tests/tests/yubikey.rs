//! A YubiKey under the shipped daemon and client: its root key signs, its slot 9d opens the vault, and a spare one does
//! when it is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hsm_tests::ca::Ca;
use hsm_tests::cli::Cli;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, Firmware, PivCard};
use hsm_tests::softhsm::{PIN, SO_PIN};

const SERIAL: u32 = 12_345_678;
const SPARE: u32 = 12_345_679;
/// GET DATA: what is behind the PIN is read with it.
const READ: u8 = 0xcb;
/// GENERAL AUTHENTICATE: the use of a key.
const USE: u8 = 0x87;

/// A daemon that knows two YubiKeys, and whoever is in the readers.
struct World {
    home: Home,
    _daemon: Daemon,
    pcscd: Pcscd,
}

impl World {
    /// The first of the two is there.
    fn new() -> Self {
        let pcscd = Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_7, SERIAL).set_up(PIN, SO_PIN));
        pcscd.reader().controls().forget();
        let daemon = Daemon::with_yubikeys(&pcscd, &[("5c", SERIAL), ("spare", SPARE)]);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { home, _daemon: daemon, pcscd }
    }

    fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    fn with_pin(&self, args: &[&str]) -> Cli {
        self.touchmark(args).arg("--pin-stdin").stdin(format!("{PIN}\n"))
    }

    fn card(&self) -> Controls {
        self.pcscd.reader().controls()
    }
}

#[test]
fn its_root_key_signs_and_notary_believes_it() {
    let mut world = World::new();
    let notary = Notary::start(&Ca::new());
    world.home.use_notary(&notary);
    world.with_pin(&["vault", "init", "--token", "5c"]).ok();
    let made = ["key", "create", "root", "--token", "5c", "--touch", "always", "--label", "team root"];
    let root = world.with_pin(&made).ok().json()["key"]["id"].as_str().unwrap().to_owned();
    let image = "localhost:5000/team/app";
    world.card().forget();
    let touched = world.card().touches_wanted();
    world.with_pin(&["init", image, "--root", &root]).ok();
    assert!(world.card().touches_wanted() > touched, "the root key wants its touch");
    let digest = format!("sha256:{}", "ab".repeat(32));
    world.touchmark(&["sign", &format!("{image}:v1"), "--digest", &digest, "--size", "523"]).ok();
    let mut judge = Home::new();
    judge.use_notary(&notary);
    judge.notary(&notary).args(["list", image]).ok().says("v1").says(&"ab".repeat(32));

    let shown = world.touchmark(&["token", "ls"]).ok().json();
    let token = &shown["tokens"][0];
    assert_eq!(
        (&token["kind"], &token["serial"]),
        (&"yubikey".into(), &SERIAL.to_string().into()),
        "{token}"
    );
    assert_eq!(token["firmware"], "5.7.1");
    world.touchmark(&["status"]).ok().says("5c");
}

#[test]
fn it_opens_the_vault_and_so_does_a_spare_one_when_it_is_gone() {
    let world = World::new();
    world.with_pin(&["vault", "init", "--token", "5c"]).ok();
    world.pcscd.readers()[1].insert(PivCard::new(Firmware::V5_4, SPARE).set_up(PIN, SO_PIN));
    world.home.token_that_is("spare", "present");
    world.with_pin(&["vault", "token", "add", "spare"]).ok();

    world.touchmark(&["lock"]).ok();
    world.card().forget();
    world.with_pin(&["unlock", "5c"]).ok();
    assert_eq!(world.card().pins_sent(), 1);

    world.touchmark(&["lock"]).ok();
    world.pcscd.reader().pull_out();
    let spare = world.pcscd.readers()[1].controls();
    spare.forget();
    world.with_pin(&["unlock"]).ok();
    assert_eq!(spare.pins_sent(), 1);
}

/// Another program uses the card after the PIN and before what the PIN was for.
#[test]
fn a_login_that_ends_too_early_costs_one_more_question() {
    let world = World::new();
    let twice = |args: &[&str]| {
        world.card().forget();
        world.card().come_between(READ);
        let asked_twice = world.touchmark(args).arg("--pin-stdin").stdin(format!("{PIN}\n{PIN}\n"));
        asked_twice.ok();
        assert_eq!(world.card().pins_sent(), 2, "{args:?}");
    };
    twice(&["vault", "init", "--token", "5c"]);
    world.touchmark(&["lock"]).ok();
    twice(&["key", "create", "root", "--token", "5c", "--label", "team root"]);
    world.touchmark(&["lock"]).ok();
    world.card().forget();
    world.card().come_between(USE);
    world.touchmark(&["unlock", "5c", "--pin-stdin"]).stdin(format!("{PIN}\n{PIN}\n")).ok();
    assert_eq!(world.card().pins_sent(), 2);
}
