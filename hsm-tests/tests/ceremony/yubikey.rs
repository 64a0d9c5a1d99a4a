//! The same with YubiKeys: touches that are counted, attestation that is checked, factory values that are refused.

use std::path::PathBuf;

use hsm_tests::cli::Cli;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{AttestationCa, Controls, Firmware, PivCard};
use serde_json::Value;

use crate::stage::{Desk, TWO, count, entries, fingerprint, refused};

const SERIAL: u32 = 12_345_678;
const PIN: &str = "471147";
const PUK: &str = "81547471";
/// GENERAL AUTHENTICATE, with which a card signs.
const AUTHENTICATE: u8 = 0x87;

struct Machine {
    home: Home,
    pcscd: Pcscd,
    _daemon: Daemon,
}

impl Machine {
    fn with(card: PivCard) -> Self {
        let pcscd = Pcscd::with_card(NOBODYS, card);
        let daemon = Daemon::with_yubikeys(&pcscd, &[("5c", SERIAL)]);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { home, pcscd, _daemon: daemon }
    }

    fn run(&self, args: &[&str]) -> Cli {
        self.home
            .touchmark()
            .args(["--format", "json"])
            .args(args)
            .arg("--pin-stdin")
            .stdin(format!("{PIN}\n"))
    }

    fn card(&self) -> Controls {
        self.pcscd.reader().controls()
    }

    /// A root key that wants a touch each time.
    fn root(&self) {
        self.run(&["key", "create", "root", "--token", "5c", "--label", "alice", "--touch", "always"]).ok();
    }

    fn key_file(&self, desk: &Desk, more: &[&str]) -> Cli {
        let out = desk.file("alice.key");
        self.run(&["ceremony", "key", "--rehearsal", "--token", "5c"])
            .arg("--out")
            .arg(out)
            .args(TWO)
            .args(more)
    }

    fn sign(&self, plan: &PathBuf, out: &PathBuf) -> Cli {
        self.run(&[
            "ceremony",
            "sign",
            "--rehearsal",
            "--token",
            "5c",
            "--yes",
            "--expect",
            &fingerprint(plan),
        ])
        .arg("--out")
        .arg(out)
        .arg(plan)
    }
}

#[test]
fn a_yubikey_proves_its_key_and_each_signature_takes_one_touch() {
    let authority = AttestationCa::new();
    let machine = Machine::with(PivCard::vouched_for(Firmware::V5_7, SERIAL, &authority).set_up(PIN, PUK));
    machine.root();
    let desk = Desk::new();
    let (ca, other) = (desk.file("ca.pem"), desk.file("other.pem"));
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&other, AttestationCa::new().pem()).unwrap();
    machine.card().forget();
    let (ca, other) = (ca.to_str().unwrap(), other.to_str().unwrap());
    refused(
        &machine.key_file(&desk, &["--ca", other]).run(),
        1,
        "NOT_ATTESTED",
        "does not lead to a certificate",
    );
    assert_eq!(machine.card().count(AUTHENTICATE), 0, "before a touch");
    let made = machine.key_file(&desk, &["--ca", ca]).ok().json();
    assert!(made["attested"].as_str().unwrap().contains("made on YubiKey 12345678"), "{made}");
    let certificates = machine.card().touches_wanted();
    assert_eq!(certificates, 2, "one each");

    let plan = desk.plan("p.plan", TWO, &[&desk.file("alice.key")], &[]);
    let shown = desk.touchmark(&["ceremony", "show"]).arg(&plan).ok().json();
    let key = &shown["keys"][0];
    assert_eq!((&key["touch_policy"], &key["serial"]), (&Value::from("always"), &Value::from("12345678")));
    assert_eq!(key["touches"], 3, "two documents and the seal");

    machine.card().forget();
    let out = desk.file("alice.transcript");
    refused(&machine.sign(&plan, &out).args(["--ca", other]).run(), 1, "NOT_ATTESTED", "does not lead to");
    assert_eq!(machine.card().count(AUTHENTICATE), 0, "before a touch");
    machine.sign(&plan, &out).args(["--ca", ca]).ok();
    assert_eq!(machine.card().touches_wanted() - certificates, 3);
    assert_eq!((count(&out, "signed"), count(&out, "sealed")), (2, 1));
    let device = entries(&out).into_iter().find(|entry| entry["kind"] == "device").unwrap();
    assert!(device["attested"].as_str().unwrap().contains("firmware 5.7.1"), "{device}");
    assert_eq!(
        device["attestation"].as_object().unwrap().values().next().unwrap().as_array().unwrap().len(),
        2
    );

    // Whoever merges and verifies checks it once more.
    let record = desk.file("r.ceremony");
    desk.touchmark(&["ceremony", "merge"]).arg(&plan).arg(&out).arg("--out").arg(&record).ok();
    let verify = |more: &[&str]| desk.touchmark(&["ceremony", "verify"]).arg(&record).args(more);
    assert_eq!(verify(&[]).ok().json()["shares"][0]["attestation"], "not-checked");
    assert_eq!(verify(&["--ca", ca]).ok().json()["shares"][0]["attestation"], "proved");
    refused(&verify(&["--ca", other]).run(), 1, "NOT_ATTESTED", "does not lead to a certificate");
}

#[test]
fn a_yubikey_as_the_factory_made_it_is_refused() {
    let machine = Machine::with(PivCard::new(Firmware::V5_7, SERIAL));
    let desk = Desk::new();
    refused(&machine.key_file(&desk, &[]).run(), 4, "TOKEN_NOT_READY", "as the factory sets it");
    let (alice, desk, plan) = crate::stage::alone(TWO);
    refused(&machine.sign(&plan, &desk.file("out")).run(), 4, "TOKEN_NOT_READY", "as the factory sets it");
    assert_eq!(machine.card().count(AUTHENTICATE), 0);
    drop(alice);
}
