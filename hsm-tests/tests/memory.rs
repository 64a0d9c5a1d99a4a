//! Secrets stand in the clear in locked memory only: while keys are used, after lock, in cores and in files.
//!
//! Memory is read as root, because a daemon that is not dumpable shows it to nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "memory/client.rs"]
mod client;
#[path = "memory/left.rs"]
mod left;
#[path = "memory/load.rs"]
mod load;
#[path = "memory/operations.rs"]
mod operations;
#[path = "memory/secrets.rs"]
mod secrets;
#[path = "memory/signer.rs"]
mod signer;
#[path = "memory/stage.rs"]
mod stage;

use std::path::PathBuf;

use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::scan::{self, Needles};
use hsm_tests::soak;

use secrets::Secrets;
use signer::Signer;

/// How often a process is looked at while it signs: in the short form, and in the long one.
const SCANS: usize = 25;
const LONG: usize = 100;

/// Both sides of it must hold for the tests below to mean anything: a signer that takes no care is caught.
#[test]
fn careless_signer_is_found_out() {
    for (role, parts) in [
        ("careless", ["key, ", "passphrase", "k, signature"].as_slice()),
        ("careless with ring", &["key, ", "key in Montgomery form", "passphrase", "k, signature"]),
    ] {
        let secrets = Secrets::fresh();
        let mut signer = Signer::start(role, &secrets);
        signer.say(b'q');
        let signed = signer.wait_for("quiet");
        let found = scan::process(signer.pid(), &secrets.needles().nonces(&secrets.key, &signed)).exposed;
        for part in parts {
            assert!(found.iter().any(|hit| hit.needle.contains(part)), "{role}: no {part} among {found:?}");
        }
    }
}

#[test]
fn vault_keeps_keys_nonces_and_passphrases_in_locked_memory() {
    let secrets = Secrets::fresh();
    let mut signer = Signer::start("vault", &secrets);
    let (needles, folder) = (secrets.needles(), tempfile::tempdir().unwrap());
    let (scans, mut protected) = (soak::rounds(SCANS, LONG), 0);
    for number in 0..scans {
        let findings = scan::process(signer.pid(), &needles);
        findings.assert_clean(&format!("scan {number} under load"));
        protected += findings.protected.len();
        assert!(!findings.protected.is_empty(), "scan {number} does not see the key itself");
    }
    assert!(protected > scans, "no scan met a signature at work: {protected} finds");

    signer.say(b'q'); // the signing ends, the threads and the vault stay
    let signed = signer.wait_for("quiet");
    assert_eq!(signed.len(), 3);
    let needles = needles.nonces(&secrets.key, &signed);
    let at_rest = scan::process(signer.pid(), &needles);
    at_rest.assert_clean("open, at rest");
    assert!(at_rest.protected.iter().all(|hit| hit.needle.starts_with("key, big endian")), "{at_rest:?}");
    scan::core(signer.pid(), folder.path(), &needles).assert_clean("core of an open vault");

    signer.say(b'l');
    signer.wait_for("locked");
    let locked = scan::process(signer.pid(), &needles);
    locked.assert_clean("locked");
    assert!(locked.protected.is_empty(), "{locked:?}");
}

#[test]
fn secret_memory_shows_nothing_to_root() {
    let secrets = Secrets::fresh();
    let signer = Signer::start("vault in secret memory", &secrets);
    for number in 0..5 {
        let findings = scan::process(signer.pid(), &secrets.needles());
        findings.assert_clean(&format!("scan {number}"));
        assert!(findings.protected.is_empty() && findings.unreadable > 128 * 1024, "{findings:?}");
    }
}

/// The promise itself, on the shipped daemon: imported keys, signatures over the socket by eight clients, then lock.
#[test]
fn daemon_keeps_keys_in_locked_memory_and_nowhere_else() {
    let mut stage = stage::Stage::set();
    let seats = operations::repositories_with_known_keys(&mut stage);
    let stray = stage.word("a secret that nobody asked for");
    let load = load::Load::start(stage.daemon.socket(), &seats, &stray);
    let (scans, mut at_work) = (soak::rounds(SCANS, LONG), 0);
    let needles = stage.needles();
    for number in 0..scans {
        let pid = stage.pid();
        let (picture, nonces) = load.around(|| scan::picture(pid));
        let findings = picture.search(&needles);
        findings.assert_clean(&format!("scan {number} under load"));
        for seat in &seats {
            assert!(seat.is_seen_in(&findings), "scan {number} does not see the key of {} itself", seat.role);
        }
        let findings = picture.search(&nonces);
        findings.assert_clean(&format!("scan {number} under load, for nonces"));
        at_work += usize::from(!findings.protected.is_empty());
    }
    let others = load.stop();
    soak::say(&format!(
        "MEASURED: {scans} scans under load: 0 exposed; {at_work} met a nonce at work; {others} other rounds"
    ));

    stage.is_open_and_clean("open, at rest");
    left::by_a_running_daemon(&mut stage);
    stage.touchmark(&["lock"]).exits(0);
    stage.is_closed_and_clean("locked");
    stage.daemon.stop();
    left::in_files(&mut stage);
}

/// Each operation leaves its keys in locked memory, and nothing else anywhere.
#[test]
fn secrets_are_gone_after_every_kind_of_operation() {
    let mut stage = stage::Stage::set();
    operations::ways_to_open_it(&mut stage);
    operations::keys(&mut stage);
    let root = operations::root_key_onto_a_token(&mut stage);
    operations::signatures(&mut stage, &root);
    operations::broken_off(&mut stage);
    left::by_a_running_daemon(&mut stage);
    left::by_a_daemon_that_dies(&mut stage);
    left::in_files(&mut stage);
    soak::say(&format!("MEASURED: {}", stage.count()));
}

/// `--dev`, in the kind of memory that a kernel gives by default: its PINs stand in their two files and nowhere else.
#[test]
fn dev_daemon_keeps_its_pins_in_their_files_alone() {
    let mut daemon = Daemon::dev();
    Home::new().touchmark().arg("--socket").arg(daemon.socket()).arg("status").ok().says("open");
    let folder = daemon.folder().join("dev");
    let files = ["pin", "so-pin"].map(|name| folder.join(name));
    let pins = files.each_ref().map(|file| std::fs::read(file).unwrap());
    let needles = Needles::default().secret("PIN", &pins[0]).secret("SO PIN", &pins[1]);
    let findings = scan::process(daemon.process().pid(), &needles);
    findings.assert_clean("a dev daemon");
    assert!(findings.protected.is_empty());
    let in_files = scan::tree(daemon.folder(), &needles);
    let places: Vec<_> = in_files.exposed.iter().map(|hit| PathBuf::from(&hit.place)).collect();
    assert_eq!(places.len(), 2, "{in_files:?}");
    assert!(files.iter().all(|file| places.contains(file)), "{in_files:?}");
}

/// What a person gave is gone from the client as soon as the daemon has it; and a client that may still need its PIN
/// is caught with it, so the scan sees what it would have to see.
#[test]
fn client_forgets_a_typed_pin_at_once() {
    let mut stage = stage::Stage::set();
    client::prepare(&mut stage);
    client::while_a_piped_pin_serves(&mut stage);
    client::after_a_typed_pin(&mut stage);
    client::between_two_key_files(&mut stage);
}
