//! The PIN: asked for with its tries, not taken from a one-time password, and the last try not spent by habit. And the
//! YubiKey itself: asked for by its number.

use hsm_tests::terminal::Terminal;

use crate::stage::{PIN, SERIAL, Stage, TOKEN};

const OTP: &str = "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";

#[test]
fn a_one_time_password_typed_by_an_early_touch_is_not_sent_and_the_pin_is_asked_for_again() {
    let stage = Stage::set();
    stage.touchmark(&["lock"]).ok();
    stage.card().forget();
    let mut terminal = Terminal::start(&stage.touchmark(&["unlock"]));
    let prompt = format!("PIN of YubiKey {SERIAL}, 3 tries left: ");
    terminal.wait_for(&prompt);
    terminal.type_line(OTP);
    terminal.wait_for("That was a one-time password");
    terminal.wait_for(&prompt);
    terminal.type_line(&format!("4711{OTP}"));
    terminal.wait_for(&prompt);
    assert_eq!(stage.card().pins_sent(), 0);
    terminal.type_line(PIN);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains(&OTP[8..20]), "{shown}");
    assert_eq!(stage.card().pins_sent(), 1);
}

#[test]
fn the_last_try_is_spent_after_a_yes_alone() {
    let stage = Stage::set();
    stage.touchmark(&["lock"]).ok();
    for _ in 0..2 {
        let wrong = stage.touchmark(&["unlock", "--pin-stdin"]).stdin("000000\n");
        wrong.run().exits(4).says("refused");
    }
    stage.card().forget();
    let ask = || {
        let mut terminal = Terminal::start(&stage.touchmark(&["unlock"]));
        terminal.wait_for("One try is left; a wrong PIN locks token");
        terminal
    };
    let mut terminal = ask();
    terminal.type_line("no");
    let (code, shown) = terminal.end();
    assert_ne!(code, Some(0), "{shown}");
    // An early touch is no yes either.
    let mut terminal = ask();
    terminal.type_line(OTP);
    assert_ne!(terminal.end().0, Some(0));
    assert_eq!(stage.card().pins_sent(), 0);
    let mut terminal = ask();
    terminal.type_line("yes");
    terminal.wait_for(&format!("PIN of YubiKey {SERIAL}, 1 try left: "));
    terminal.type_line(PIN);
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(stage.pcscd.reader().look(|card| card.pin_tries()), 3);
}

#[test]
fn a_yubikey_that_is_not_there_is_asked_for_by_its_number_and_the_work_goes_on_when_it_comes() {
    let (stage, root) = Stage::with_root();
    let init = ["init", crate::stage::IMAGE, "--root", &root];
    stage.pcscd.reader().pull_out();
    let mut terminal = Terminal::start(&stage.touchmark(&init));
    terminal.wait_for(&format!("Insert YubiKey {SERIAL}."));
    stage.pcscd.reader().put_back();
    terminal.wait_for(&format!("PIN of YubiKey {SERIAL}, 3 tries left: "));
    terminal.type_line(PIN);
    let fingers = stage.fingers(2);
    let (code, shown) = terminal.end();
    fingers.join().unwrap();
    assert_eq!(code, Some(0), "{shown}");

    // After a lock nobody looks at it; whoever needs it looks first.
    stage.touchmark(&["lock"]).ok();
    stage.pcscd.reader().pull_out();
    let mut waiting = stage.touchmark(&["--format", "json", "unlock", TOKEN]).spawn();
    waiting.wait_for_stderr("needs-token");
    waiting.signal(rustix::process::Signal::INT);
    drop(waiting.wait().exits(130));
}
