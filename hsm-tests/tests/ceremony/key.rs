//! What the holder of a root key hands over: a file with a certificate for each repository.

use hsm_tests::softhsm::PIN;
use hsm_tests::terminal::Terminal;

use crate::stage::{Desk, Holder, fleet};

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
