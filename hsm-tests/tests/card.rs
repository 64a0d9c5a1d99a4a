//! What a person does with a YubiKey before and beside signing: makes it ready, has it attest its keys, brings a key onto
//! it, asks what is wrong. The shipped daemon and client, and a virtual card behind the real pcscd.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "card/attest.rs"]
mod attest;
#[path = "card/doctor.rs"]
mod doctor;
#[path = "card/import.rs"]
mod import;
#[path = "card/init.rs"]
mod init;

use hsm_tests::cli::Cli;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, PivCard};
use serde_json::Value;

const SERIAL: u32 = 12_345_678;
/// What the person chooses.
const PIN: &str = "648219";
const PUK: &str = "99887766";

/// A daemon that knows one YubiKey, "5c", and a card in the first reader.
struct World {
    home: Home,
    daemon: Daemon,
    pcscd: Pcscd,
}

impl World {
    fn with(card: PivCard) -> Self {
        Self::at(Pcscd::with_card(NOBODYS, card))
    }

    fn at(pcscd: Pcscd) -> Self {
        let daemon = Daemon::with_yubikeys(&pcscd, &[("5c", SERIAL)]);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        let world = Self { home, daemon, pcscd };
        world.card().forget();
        world
    }

    /// With JSON on stdout.
    fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    /// With one secret a line.
    fn typed(&self, args: &[&str], secrets: &[&str]) -> Cli {
        let lines: String = secrets.iter().map(|secret| format!("{secret}\n")).collect();
        self.touchmark(args).arg("--pin-stdin").stdin(lines)
    }

    fn card(&self) -> Controls {
        self.pcscd.reader().controls()
    }

    /// The token, once it is in this state.
    fn token_that_is(&self, presence: &str) -> Value {
        self.home.token_that_is("5c", presence)
    }

    /// What still is the factory's.
    fn factory_values(&self) -> Vec<String> {
        let token = self.token_that_is("present");
        token["factory_values"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().into()).collect()
    }
}
