//! Touches: announced with what they sign, one request at a time, and nothing half done without them.

use std::time::{Duration, Instant};

use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Firmware, Touch};
use hsm_tests::soak;
use hsm_tests::terminal::Terminal;
use rustix::process::Signal;

use crate::stage::{IMAGE, SERIAL, Stage, TOKEN, owned_card, until, waits};

#[test]
fn on_a_terminal_each_touch_is_asked_for_with_what_it_signs_and_time_runs_down() {
    let (stage, root) = Stage::with_root();
    stage.touchmark(&["lock"]).ok();
    stage.with_pin(&["unlock"]).ok();
    let mut terminal = Terminal::start(&stage.touchmark(&["init", IMAGE, "--root", &root]));
    terminal.wait_for(&format!("PIN of YubiKey {SERIAL}, 3 tries left: "));
    terminal.type_line(crate::stage::PIN);
    stage.card().wait_until_it_blinks();
    let since = Instant::now();
    terminal.wait_for(&format!("Touch YubiKey {SERIAL} to make the root certificate of {IMAGE}."));
    soak::at_most("from the blink to the words, ms", since.elapsed().as_millis(), 500);
    terminal.wait_for("15 s left");
    terminal.wait_for("14 s left");
    stage.card().touch();
    stage.card().wait_until_it_is_dark();
    stage.card().wait_until_it_blinks();
    terminal.wait_for(&format!("Touch YubiKey {SERIAL} to sign root v1 of {IMAGE} ("));
    terminal.wait_for("s left");
    stage.card().touch();
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Finished initializing"), "{shown}");
    // What is left of the time is wiped away before anything else is said.
    let last = shown.rfind("s left").unwrap();
    assert!(shown[last..].starts_with("s left\x1b[K\r\x1b[K"), "{:?}", &shown[last..]);
}

#[test]
fn a_script_gets_one_line_and_json_one_object_and_stdout_stays_the_answer() {
    let (stage, root) = Stage::with_root();
    let init = |image| stage.with_pin(&["init", image, "--root", &root]);
    let mut json = init(IMAGE).args(["--format", "json"]).spawn();
    for words in ["make the root certificate of", "sign root v1 of"] {
        json.wait_for_stderr(&format!("Touch YubiKey {SERIAL} to {words} {IMAGE}"));
        stage.card().touch();
    }
    let json = json.wait().exits(0);
    assert!(json.json().is_object(), "{json}");
    let states = waits(&json);
    assert_eq!(states.iter().filter(|waiting| waiting["state"] == "needs-touch").count(), 2, "{json}");

    let mut text = init("localhost:5000/team/text").spawn();
    for words in ["make the root certificate of", "sign root v1 of"] {
        text.wait_for_stderr(&format!("Touch YubiKey {SERIAL} to {words} localhost:5000/team/text"));
        stage.card().touch();
    }
    let text = text.wait().exits(0);
    assert_eq!(text.stderr.lines().filter(|line| line.starts_with("Touch ")).count(), 2, "{text}");
    for ran in [json, text] {
        assert!(!ran.stderr.contains("s left") && !ran.stderr.contains('\r'), "{ran}");
    }
}

#[test]
fn a_touch_that_never_comes_ends_with_its_reason_in_the_record_and_with_nothing_half_done() {
    let (stage, root) = Stage::with_root();
    stage.card().patience(Duration::from_secs(1), Duration::from_secs(1));
    let init = ["--format", "json", "init", IMAGE, "--root", &root];
    let refused = stage.with_pin(&init).run().exits(4).says("TOUCH_TIMEOUT");
    let told = waits(&refused);
    let touch = told.iter().find(|waiting| waiting["state"] == "needs-touch").expect("a prompt");
    let words = format!("Touch YubiKey {SERIAL} to make the root certificate of {IMAGE}.");
    assert_eq!((&touch["text"], &touch["token"]), (&words.into(), &TOKEN.into()), "{touch}");
    assert_eq!((&touch["touch"], &touch["of"]), (&1.into(), &1.into()));
    let [row] = &stage.audited("certificate-failed")[..] else { panic!("not one row") };
    assert!(row.to_string().contains("not touched"), "{row}");

    // The certificate is made, and then nobody touches it for the root.
    let fingers = stage.fingers(1);
    stage.with_pin(&init).run().exits(4).says("TOUCH_TIMEOUT");
    fingers.join().unwrap();
    let void = stage.touchmark(&["ledger", "show", "--format", "json"]).ok().stdout;
    assert!(void.contains("\"void\"") && !void.contains("\"released\""), "{void}");
    assert_eq!(stage.token()["waiting_for"], "");

    let fingers = stage.fingers(1);
    stage.with_pin(&init).ok();
    fingers.join().unwrap();
}

#[test]
fn while_one_request_waits_for_a_touch_everybody_sees_for_what_and_nobody_else_gets_it() {
    let (stage, root) = Stage::with_root();
    let fingers = stage.fingers(2);
    stage.with_pin(&["init", IMAGE, "--root", &root]).ok();
    fingers.join().unwrap();

    let first = stage.touchmark(&["--format", "json", "init", "localhost:5000/team/first", "--root", &root]);
    let mut first = first.spawn();
    first.wait_for_stderr("needs-touch");
    let intent = "make the root certificate of localhost:5000/team/first";
    let shown = stage.token();
    assert_eq!(shown["waiting_for"], intent);
    assert!(shown["touch_deadline_unix_ms"].as_i64().unwrap() > 0, "{shown}");
    stage.touchmark(&["status"]).ok().says(&format!("    touch it to {intent}\n"));
    let second = ["--format", "json", "init", "localhost:5000/team/second", "--root", &root];
    stage.touchmark(&second).run().exits(4).says("TOKEN_BUSY").says(intent);
    assert_eq!(stage.card().touches_wanted(), 3, "one blink for the first, and none for the second");

    // Ctrl-C: the card goes on blinking for the first, and that touch is nobody's.
    first.signal(Signal::INT);
    drop(first.wait().exits(130));
    until("nobody has the token", || (stage.token()["waiting_for"] == "").then_some(()));
    stage.touchmark(&second).run().exits(4).says("TOKEN_BUSY").says("given up");
    let [row] = &stage.audited("certificate-failed")[..] else { panic!("not one row") };
    assert!(row.to_string().contains("given up"), "{row}");
    stage.card().touch();
    until("the signature that nobody wants is thrown away", || {
        stage.audited("orphaned").first().map(|row| assert!(row.to_string().contains("signature"), "{row}"))
    });
    let fingers = stage.fingers(2);
    stage.touchmark(&second).ok();
    fingers.join().unwrap();
    assert_eq!(stage.card().touches_wanted(), 5);
}

#[test]
fn what_a_key_asks_of_a_person_is_shown_from_then_on() {
    let (mut stage, root) = Stage::with_root();
    let shows = |stage: &Stage| {
        let keys = stage.touchmark(&["key", "ls", "--format", "json"]).ok().json();
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["id"] == *root).cloned();
        let key = key.expect("the root key");
        (key["touch_policy"] == "always" && key["pin_policy"] == "once").then_some(())
    };
    shows(&stage).expect("right after it was made");
    stage.touchmark(&["key", "ls"]).ok().says(&format!("token {TOKEN} (touch always, PIN once)"));
    stage.daemon.stop();
    stage.daemon.start_again();
    stage.card().forget();
    until("the policies after a restart", || shows(&stage));
    assert_eq!(stage.card().pins_sent(), 0);
}

/// Another program made the key that opens the vault, and had it want a touch.
#[test]
fn a_vault_key_that_wants_a_touch_says_what_it_opens() {
    let pcscd = Pcscd::with_card(NOBODYS, owned_card(Firmware::V5_4));
    let key = pcscd.reader().look(|card| card.key_option());
    let made = ["-r", "", "-a", "generate", "-A", "ECCP256", "-s", "9d", "--touch-policy=always"];
    pcscd.cli("yubico-piv-tool").args(made).arg(key).ok();
    let stage = Stage::on(pcscd);
    stage.card().fingers(Touch::OnDemand);
    let touched = |args: &[&str], what: &str| {
        let mut running = stage.with_pin(args).spawn();
        running.wait_for_stderr(&format!("Touch YubiKey {SERIAL} to {what}."));
        assert_eq!(stage.token()["waiting_for"], what);
        stage.card().touch();
        drop(running.wait().exits(0));
    };
    touched(&["vault", "init", "--token", TOKEN], "make the vault");
    stage.touchmark(&["lock"]).ok();
    stage.card().patience(Duration::from_secs(1), Duration::from_secs(1));
    stage.with_pin(&["--format", "json", "unlock"]).run().exits(4).says("TOUCH_TIMEOUT");
    assert_eq!(stage.audited("vault-not-opened").len(), 1);
    stage.card().patience(Duration::from_secs(15), Duration::from_secs(15));
    touched(&["unlock"], "open the vault");
}
