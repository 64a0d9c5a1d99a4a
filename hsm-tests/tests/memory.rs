//! Secrets stand in the clear in locked memory only: while keys are used, after lock, in cores and in files.
//!
//! Memory is read as root, because a daemon that is not dumpable shows it to nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "memory/client.rs"]
mod client;
#[path = "memory/daemon.rs"]
mod daemon;
#[path = "memory/left.rs"]
mod left;
#[path = "memory/operations.rs"]
mod operations;
#[path = "memory/secrets.rs"]
mod secrets;
#[path = "memory/signer.rs"]
mod signer;
#[path = "memory/stage.rs"]
mod stage;

use hsm_tests::scan;

use secrets::Secrets;
use signer::Signer;

/// How often a process is looked at while it signs.
const SCANS: usize = 25;

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
    let mut protected = 0;
    for number in 0..SCANS {
        let findings = scan::process(signer.pid(), &needles);
        findings.assert_clean(&format!("scan {number} under load"));
        protected += findings.protected.len();
        assert!(!findings.protected.is_empty(), "scan {number} does not see the key itself");
    }
    assert!(protected > SCANS, "no scan met a signature at work: {protected} finds");

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

/// The promise itself, on the shipped daemon: an imported key, signatures over the socket, then lock.
#[test]
fn daemon_keeps_keys_in_locked_memory_and_nowhere_else() {
    let mut stage = daemon::Stage::set();
    let (load, digest) = stage.load();
    let (needles, pid) = (stage.needles(digest), stage.process.pid());
    for number in 0..SCANS {
        load.wait_for(20);
        let findings = scan::process(pid, &needles);
        findings.assert_clean(&format!("scan {number} under load"));
        assert!(!findings.protected.is_empty(), "scan {number} does not see the key itself");
    }
    load.stop();

    let at_rest = scan::process(pid, &needles);
    at_rest.assert_clean("open, at rest");
    assert!(at_rest.protected.iter().all(|hit| hit.needle.starts_with("key, big endian")), "{at_rest:?}");
    let folder = tempfile::tempdir().unwrap();
    scan::core(pid, folder.path(), &needles).assert_clean("core of an open daemon");

    stage.touchmark(&["lock"]).exits(0);
    let locked = scan::process(pid, &needles);
    locked.assert_clean("locked");
    assert!(locked.protected.is_empty(), "{locked:?}");

    stage.process.stop();
    std::fs::remove_file(stage.folder.join("pin")).unwrap(); // the one file that a dev daemon keeps a PIN in
    scan::tree(&stage.folder, &needles).assert_clean("state and log");
    scan::tree(&stage.home(), &needles).assert_clean("the person's folder");
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
    eprintln!("MEASURED: {}", stage.count());
}

/// A PIN that was typed is gone from the client as soon as the daemon has it; and a client that may still need its PIN
/// is caught with it, so the scan sees what it would have to see.
#[test]
fn client_forgets_a_typed_pin_at_once() {
    let stage = client::Stage::set();
    stage.while_a_piped_pin_serves().exposed.iter().for_each(|hit| assert_eq!(hit.needle, "PIN"));
    stage.after_a_typed_pin().assert_clean("a client that has handed its PIN over");
}
