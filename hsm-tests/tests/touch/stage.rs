//! One person, one YubiKey that is touched when the test says so, a daemon, a Notary.

use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, Firmware, PivCard, Touch};
use serde_json::Value;

pub(crate) const SERIAL: u32 = 12_345_678;
pub(crate) const TOKEN: &str = "alice-5c";
pub(crate) const PIN: &str = "471147";
const PUK: &str = "81547471";
/// A repository whose registry is not asked for anything.
pub(crate) const IMAGE: &str = "localhost:5000/team/app";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) daemon: Daemon,
    pub(crate) pcscd: Pcscd,
    pub(crate) notary: Notary,
}

impl Stage {
    /// The vault is open; there is no root key yet. Fingers come at once.
    pub(crate) fn set() -> Self {
        let stage = Self::on(Pcscd::with_card(NOBODYS, owned_card(Firmware::V5_7)));
        stage.with_pin(&["vault", "init", "--token", TOKEN]).ok();
        stage
    }

    /// There is no vault yet.
    pub(crate) fn on(pcscd: Pcscd) -> Self {
        let daemon = Daemon::with_yubikeys(&pcscd, &[(TOKEN, SERIAL)]);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        let notary = Notary::start(&Ca::new());
        home.use_notary(&notary);
        Self { home, daemon, pcscd, notary }
    }

    /// The same with a root key that wants a touch each time; its id. Fingers come when the test says so.
    pub(crate) fn with_root() -> (Self, String) {
        let stage = Self::set();
        let root = stage.root();
        stage.card().fingers(Touch::OnDemand);
        (stage, root)
    }

    /// One more root key that wants a touch each time; its id.
    pub(crate) fn root(&self) -> String {
        let made = ["key", "create", "root", "--token", TOKEN, "--touch", "always", "--format", "json"];
        self.with_pin(&made).ok().json()["key"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(args)
    }

    /// A program that brings the PIN along.
    pub(crate) fn with_pin(&self, args: &[&str]) -> Cli {
        self.touchmark(args).arg("--pin-stdin").stdin(format!("{PIN}\n"))
    }

    pub(crate) fn card(&self) -> Controls {
        self.pcscd.reader().controls()
    }

    /// Touches the card each time when it blinks, so often, and then no more.
    pub(crate) fn fingers(&self, touches: usize) -> std::thread::JoinHandle<()> {
        let card = self.card();
        std::thread::spawn(move || {
            for _ in 0..touches {
                card.wait_until_it_blinks();
                card.touch();
                card.wait_until_it_is_dark();
            }
        })
    }

    /// The token in `status`.
    pub(crate) fn token(&self) -> Value {
        self.touchmark(&["status", "--format", "json"]).ok().json()["tokens"][0].clone()
    }

    /// Kinds of the audit's rows with what they say, those of this kind alone.
    pub(crate) fn audited(&self, kind: &str) -> Vec<Value> {
        let shown = self.touchmark(&["audit", "export"]).ok().stdout;
        let rows = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row.to_string().contains(&format!("\"{kind}\""))).collect()
    }
}

/// The objects of a command that waits in JSON mode.
pub(crate) fn waits(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line.get("waiting").cloned()).collect()
}

/// Asks again until it is so.
pub(crate) fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A card from the factory whose owner has set PIN and PUK.
pub(crate) fn owned_card(firmware: Firmware) -> PivCard {
    let card = PivCard::new(firmware, SERIAL).set_up(PIN, PUK);
    card.controls().forget();
    card
}
