//! `status --watch` follows a YubiKey that comes and goes, also after a lock.

use hsm_tests::cli::Running;
use serde_json::Value;

use crate::stage::{Stage, until};

/// The token in the last status that was shown.
fn last(watch: &Running) -> Option<Value> {
    let shown = watch.stdout();
    let whole = &shown[..shown.rfind('\n')?];
    let last = whole.lines().last()?;
    Some(serde_json::from_str::<Value>(last).unwrap()["tokens"][0].clone())
}

fn until_it_is(watch: &Running, presence: &str) {
    until(presence, || last(watch).filter(|token| token["presence"] == presence));
}

#[test]
fn a_watched_status_follows_plug_and_unplug_also_after_a_lock() {
    let (stage, root) = Stage::with_root();
    let watch = stage.touchmark(&["--format", "json", "status", "--watch"]).spawn();
    until_it_is(&watch, "present");
    stage.pcscd.reader().pull_out();
    until_it_is(&watch, "absent");
    stage.pcscd.reader().put_back();
    until_it_is(&watch, "present");
    stage.touchmark(&["lock"]).ok();
    stage.card().forget();
    stage.pcscd.reader().pull_out();
    until_it_is(&watch, "absent");
    stage.pcscd.reader().put_back();
    until_it_is(&watch, "present");
    assert_eq!(stage.card().pins_sent(), 0);

    stage.with_pin(&["unlock"]).ok();
    let init = stage.with_pin(&["init", crate::stage::IMAGE, "--root", &root]).spawn();
    stage.card().wait_until_it_blinks();
    let intent = format!("make the root certificate of {}", crate::stage::IMAGE);
    until("what it blinks for", || last(&watch).filter(|token| token["waiting_for"] == *intent));
    stage.card().touch();
    stage.card().wait_until_it_is_dark();
    stage.fingers(1).join().unwrap();
    drop(init.wait().exits(0));
    until("nothing", || last(&watch).filter(|token| token["waiting_for"] == ""));
}
