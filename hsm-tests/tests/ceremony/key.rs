//! What the holder of a root key hands over: a file with a certificate for each repository.

use hsm_tests::softhsm::PIN;
use hsm_tests::terminal::Terminal;
use rustix::process::Signal;
use touchmark::ceremony::keyholder::KeyFile;

use crate::stage::{Desk, Holder, SIGN, TWO, fleet};

#[test]
fn a_key_file_whose_making_was_killed_is_not_there_and_the_same_command_makes_what_is_missing() {
    let (alice, desk, fleet) = (Holder::new("alice"), Desk::new(), fleet(4));
    let images: Vec<&str> = fleet.iter().map(String::as_str).collect();
    let out = desk.file("alice.key");
    let make = || {
        let make = ["ceremony", "key", "--rehearsal", "--token", "alice", "--out", out.to_str().unwrap()];
        alice.run(&make).args(&images)
    };
    alice.shim.forget();
    // Two certificates, and the third one hangs in the token.
    alice.shim.order("C_SignInit 2 hang");
    let running = make().spawn();
    while alice.shim.count(SIGN) < 3 {
        std::thread::yield_now();
    }
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code(), None);
    assert_eq!(std::fs::read_dir(desk.place.path()).unwrap().count(), 0, "nothing of a file");
    alice.shim.order("");
    while alice.shim.count("C_Sign") < 2 * alice.shim.count(SIGN) {
        std::thread::yield_now();
    }
    make().ok();
    assert_eq!(KeyFile::load(&out).unwrap().certificates.len(), 4);
    let made = alice.audit("certificate");
    for image in &images {
        let of = made.iter().filter(|row| row.to_string().contains(&format!("\"{image}\""))).count();
        assert_eq!(of, 1, "{image}: {made:?}");
    }
}

#[test]
fn new_certificates_are_made_where_they_are_wanted_and_kept_from_then_on() {
    let (alice, desk) = (Holder::new("alice"), Desk::new());
    let file = |more: &[&str]| {
        let path = alice.key_file(&desk, TWO, &[&["--rehearsal"], more].concat());
        let file = KeyFile::load(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    };
    let (first, again, renewed, kept) = (file(&[]), file(&[]), file(&["--renew"]), file(&[]));
    assert_eq!(first.certificates, again.certificates);
    assert_eq!(renewed.certificates, kept.certificates);
    for image in TWO {
        let of = |file: &KeyFile| file.certificate(&image.parse().unwrap()).unwrap().clone();
        assert_ne!(of(&first).id(), of(&renewed).id());
        assert_eq!(of(&first).canonical_id(), of(&renewed).canonical_id(), "the same key");
    }
}

/// Without an [[allow]] the PIN is wanted for each certificate, while a bar tells how many there are.
#[test]
fn on_a_terminal_the_bar_steps_aside_while_a_pin_is_asked_for() {
    let (alice, desk, fleet) = (Holder::with_grants("alice", ""), Desk::new(), fleet(3));
    let make = alice.home.touchmark().args(["ceremony", "key", "--rehearsal", "--token", "alice", "--out"]);
    let terminal = Terminal::start(&make.arg(desk.file("alice.key")).args(&fleet));
    let (code, shown) = terminal.answer(&[("): ", PIN)]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("2 of 3"), "the bar was there: {shown:?}");
    let asked: Vec<&str> = shown.split("is needed to make").collect();
    assert_eq!(asked.len(), 4, "{shown:?}");
    for before in &asked[..3] {
        let line = before.rsplit('\n').next().unwrap();
        let line = line.rsplit("\x1b[2K").next().unwrap();
        assert!(line.starts_with("PIN of token"), "{line:?}");
    }
}
