//! PIN tries over restarts, counted where they are spent.

use std::sync::Arc;

use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::shim::Shim;
use hsm_tests::soak;
use hsm_tests::softhsm::{PIN, SoftHsm};
use tokio::runtime::Runtime;
use touchmarkd::clock::SystemClock;
use touchmarkd::store::Store;

use crate::world::{LABEL, PinFrom, daemon, refusal};

/// Without a terminal: nobody is there.
fn alone(home: &Home, args: &[&str]) -> Cli {
    home.cli(&tool("setsid")).arg("--wait").arg(shipped("touchmark")).args(["--format", "json"]).args(args)
}

#[test]
fn restarts_with_a_wrong_configured_pin_are_one_try_at_the_module() {
    let hsm = SoftHsm::with_token(LABEL);
    let shim = Shim::before(SoftHsm::module());
    let mut daemon = daemon(&hsm, &shim, PinFrom::File("000000\n"));
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
    let person = |args: &[&str]| home.touchmark().args(args).arg("--pin-stdin").stdin(format!("{PIN}\n"));
    let refused = alone(&home, &["vault", "init", "--token", "root"]).run().exits(2);
    drop(refused.says("the token refused the PIN").says("NO_TERMINAL"));
    assert_eq!(shim.count("C_Login"), 1);
    for start in 0..soak::rounds(5, 20) {
        daemon.stop();
        daemon.start_again();
        let refused = refusal(&alone(&home, &["vault", "init", "--token", "root"]).run().exits(2));
        assert_eq!(refused["reason"], "NO_TERMINAL", "a person is asked, at start {start}");
        assert_eq!(shim.count("C_Login"), 1, "start {start}");
    }
    person(&["vault", "init", "--token", "root"]).ok();
}

/// Nobody is there to be asked, and its PIN is its own.
#[test]
fn a_dev_daemon_killed_in_the_middle_of_a_login_starts_again() {
    let mut daemon = Daemon::dev();
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
    let asked = |args: &[&str]| home.touchmark().args(["--format", "json"]).args(args).ok().json();
    let rows = asked(&["audit", "show"])["rows"].as_array().expect("rows").clone();
    let tried = rows.iter().find(|row| row["kind"] == "pin-tried").expect("its first login");
    let [serial, source] =
        ["serial", "source"].map(|field| tried[field].as_str().expect("a text").to_owned());
    daemon.stop();
    let state = daemon.folder().join("dev/state");
    Runtime::new().unwrap().block_on(async {
        let store = Store::open(&state, Arc::new(SystemClock)).unwrap();
        let noted = store.write(move |tx| tx.pin_tried(&serial, &source)).await;
        assert!(noted.unwrap(), "the guard had nothing to say before");
        store.close().await;
    });
    daemon.start_again();
    assert_eq!(asked(&["status"])["vault"]["state"], "open");
}

#[test]
fn a_configured_pin_whose_fate_is_unknown_is_not_sent_again_by_itself() {
    let hsm = SoftHsm::with_token(LABEL);
    let shim = Shim::before(SoftHsm::module());
    let mut daemon = daemon(&hsm, &shim, PinFrom::File("648219\n"));
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
    // The module dies with the PIN in its hands: perhaps a try is gone, perhaps not.
    shim.order("C_Login always abort");
    let refused = refusal(&alone(&home, &["vault", "init", "--token", "root"]).run().exits(4));
    assert_eq!(refused["reason"], "TOKEN_FAILED");
    for _ in 0..3 {
        daemon.stop();
        daemon.start_again();
        drop(alone(&home, &["vault", "init", "--token", "root"]).run().exits(2));
    }
    assert_eq!(shim.count("C_Login"), 1);
    shim.order("");
    let person = home.touchmark().args(["vault", "init", "--token", "root", "--pin-stdin"]);
    person.stdin(format!("{PIN}\n")).ok();
    // From now on the configured one is good again.
    home.touchmark().arg("lock").ok();
    alone(&home, &["unlock"]).ok();
}
