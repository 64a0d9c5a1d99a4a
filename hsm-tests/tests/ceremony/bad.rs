//! Bad input: each is refused before the token is asked for anything, with the reason and the way on.

use std::path::{Path, PathBuf};

use hsm_tests::faketime::FakeClock;
use touchmark::ceremony::plan::{Occasion, Plan};
use touchmark_tuf::{Document as _, Expires, Instant, Root, exact};

use crate::stage::{Desk, Holder, SIGN, TWO, alone, count, designed, first, refused, write};

/// The plan of `alone`, changed on purpose by somebody who knows its form.
fn forged(desk: &Desk, plan: &Path, change: impl FnOnce(&mut Plan)) -> PathBuf {
    let (mut changed, _) = Plan::load(plan).unwrap();
    change(&mut changed);
    write(desk, "forged.plan", &changed)
}

/// Refused, and the token was not asked.
#[track_caller]
fn no(alice: &Holder, desk: &Desk, plan: &Path, code: i32, reason: &str, says: &str) {
    refused(&alice.sign(plan, &desk.file("refused")).run(), code, reason, says);
    assert_eq!(alice.shim.count(SIGN), 0);
}

#[test]
fn a_plan_that_was_changed_by_one_byte_is_refused() {
    let (alice, desk, plan) = alone(TWO);
    let bytes = std::fs::read(&plan).unwrap();
    let changed = desk.file("changed.plan");
    for at in (0..bytes.len()).step_by(bytes.len() / 7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        no(&alice, &desk, &changed, 2, "CEREMONY_INVALID", "changed.plan is not to be used");
    }
    assert!(!desk.file("refused").exists());
}

#[test]
fn a_plan_with_another_fingerprint_is_refused_and_yes_alone_says_nothing_of_it() {
    let (alice, desk, plan) = alone(TWO);
    let other = desk.plan("other.plan", &TWO[..1], &[&desk.file("alice.key")], &[]);
    let sign = |more: &[&str]| {
        let cli = alice.run(&["ceremony", "sign", "--rehearsal", "--token", "alice", "--yes"]);
        cli.arg("--out").arg(desk.file("refused")).arg(&plan).args(more).run()
    };
    let expected = crate::stage::fingerprint(&other);
    refused(&sign(&["--expect", &expected]), 2, "CEREMONY_INVALID", "is not the plan that is expected");
    refused(&sign(&["--expect", &expected[..10]]), 2, "CEREMONY_INVALID", "is not the plan that is expected");
    refused(&sign(&[]), 2, "USAGE", "--yes cannot say whether this is the plan that was meant");
    assert!(alice.shim.count(SIGN) == 0 && !desk.file("refused").exists());
}

#[test]
fn documents_of_another_repository_are_refused() {
    let (alice, desk, plan) = alone(TWO);
    let forged = forged(&desk, &plan, |plan| {
        let root = plan.repositories[1].root.clone();
        plan.repositories[1].root = std::mem::replace(&mut plan.repositories[0].root, root);
    });
    no(&alice, &desk, &forged, 2, "CEREMONY_INVALID", "is for rehearsal.invalid/team/two");
}

#[test]
fn a_plan_that_skips_or_repeats_a_version_is_refused() {
    let (alice, desk, plan) = alone(TWO);
    let signed = desk.file("alice.transcript");
    alice.sign(&plan, &signed).ok();
    let (first_plan, _) = Plan::load(&plan).unwrap();
    let mut again = first_plan.clone();
    again.repositories[0].roots = vec![first(&signed, &first_plan.repositories[0])];
    let again = write(&desk, "again.plan", &again);
    let calls = alice.shim.count(SIGN);
    let ran = alice.sign(&again, &desk.file("refused")).run();
    refused(&ran, 2, "CEREMONY_INVALID", "version 1 does not follow version 1");
    assert_eq!(alice.shim.count(SIGN), calls);
}

#[test]
fn a_clock_that_is_wrong_by_years_is_named_both_ways() {
    let (alice, desk, plan) = alone(TWO);
    let clock = FakeClock::new();
    for (days, says) in [(-3 * 365, "and the plan was made later"), (3 * 365, "the plan may be signed until")]
    {
        clock.ahead_by(days);
        let cli = alice.sign(&plan, &desk.file("refused"));
        let cli = clock.variables().iter().fold(cli, |cli, (name, value)| cli.env(name, value));
        let ran = cli.run();
        refused(&ran, 5, "PLAN_OUTDATED", says);
        assert!(ran.stderr.contains("is the clock right?"), "{ran}");
    }
    assert!(alice.shim.count(SIGN) == 0 && !desk.file("refused").exists());
}

#[test]
fn a_root_that_has_ended_is_refused() {
    let (alice, desk, plan) = alone(TWO);
    let forged = forged(&desk, &plan, |plan| {
        let mut root: Root = exact(&plan.repositories[1].root).unwrap();
        root.expires = Expires::at(Instant::from_unix(plan.made.unix() - 1));
        plan.repositories[1].root = root.write();
    });
    no(&alice, &desk, &forged, 5, "PLAN_OUTDATED", "the new root of rehearsal.invalid/team/two ended at");
}

#[test]
fn somebody_who_is_not_in_the_plan_is_told_who_is() {
    let (alice, desk, plan) = alone(TWO);
    let bob = Holder::new("bob");
    bob.shim.forget();
    let ran = bob.sign(&plan, &desk.file("refused")).run();
    refused(&ran, 2, "KEY_UNKNOWN", "has anything to sign in this plan");
    assert!(ran.stderr.contains(&format!("alice ({}", &alice.key[..12])), "{ran}");
    assert_eq!(bob.shim.count(SIGN), 0);
}

#[test]
fn another_token_than_the_plan_names_is_refused() {
    let (alice, desk, plan) = alone(TWO);
    let forged = forged(&desk, &plan, |plan| plan.keys[0].serial = "0123456789".to_owned());
    no(&alice, &desk, &forged, 4, "TOKEN_MISMATCH", "is on the token with the serial 0123456789");
    let unknown =
        alice.run(&["ceremony", "sign", "--rehearsal", "--token", "mallory", "--yes"]).arg("--expect");
    let unknown =
        unknown.arg(crate::stage::fingerprint(&plan)).arg(&plan).arg("--out").arg(desk.file("refused"));
    refused(&unknown.run(), 2, "TOKEN_UNKNOWN", "mallory");
}

#[test]
fn a_rehearsal_and_the_real_thing_are_never_mixed() {
    let (alice, desk, plan) = alone(TWO);
    let out = desk.file("refused");
    refused(&alice.sign_in_earnest(&plan, &out).run(), 5, "REHEARSAL_ONLY", "the plan is of a rehearsal");

    let images = ["localhost:5000/team/app"];
    std::fs::remove_file(desk.file("alice.key")).unwrap();
    let key = alice.key_file(&desk, &images, &[]);
    alice.shim.forget();
    let earnest = designed(&desk, "earnest.plan", &[&key], None);
    let ran = alice.sign(&earnest, &out).run();
    refused(&ran, 5, "REHEARSAL_ONLY", "the plan is in earnest");
    // What says that it is a rehearsal, and is about a repository of the world; and the other way round.
    let forged = forged(&desk, &earnest, |plan| plan.occasion = Occasion::Rehearsal);
    no(&alice, &desk, &forged, 5, "REHEARSAL_ONLY", "is a repository of the world");
    let forged = self::forged(&desk, &plan, |plan| plan.occasion = Occasion::Earnest);
    refused(&alice.sign_in_earnest(&forged, &out).run(), 5, "REHEARSAL_ONLY", "is made up for rehearsals");
    // A key file of one for a plan of the other.
    let mixed =
        desk.touchmark(&["ceremony", "plan", "--rehearsal", "--out", "x"]).arg("--add-root").arg(&key);
    refused(&mixed.run(), 5, "REHEARSAL_ONLY", "is in earnest, and this plan is a rehearsal");
    assert!(alice.shim.count(SIGN) == 0 && !out.exists());
    alice.sign_in_earnest(&earnest, &out).ok();
}

#[test]
fn an_earlier_plan_that_was_signed_here_keeps_its_version() {
    let (alice, desk, plan) = alone(TWO);
    let first = desk.file("first.transcript");
    alice.sign(&plan, &first).ok();
    let calls = alice.shim.count(SIGN);
    let later = forged(&desk, &plan, |plan| {
        let mut root: Root = exact(&plan.repositories[1].root).unwrap();
        root.expires = Expires::at(Instant::from_unix(plan.good_until.unix() + 86_400));
        plan.repositories[1].root = root.write();
    });
    let second = desk.file("second.transcript");
    let ran = alice.sign(&later, &second).run();
    refused(&ran, 5, "VERSION_REUSED", "an earlier plan was signed here");
    ran.says("touchmark ledger release rehearsal.invalid/team/two --role root --version 1");
    assert_eq!(alice.shim.count(SIGN), calls);
    assert_eq!(count(&second, "refused"), 1, "it is written down");

    let release =
        ["ledger", "release", TWO[1], "--role", "root", "--version", "1", "--reason", "burnt", "--yes"];
    alice.home.touchmark().args(release).ok();
    alice.sign(&later, &second).ok();
    assert_eq!((count(&second, "signed"), count(&second, "sealed")), (2, 1));
}

/// Without an [[allow]] that wants the PIN of what opens the vault.
#[test]
fn a_version_is_let_go_of_and_the_clock_believed_with_a_pin_that_a_program_brings_along() {
    let (alice, desk) = (Holder::with_grants("alice", ""), Desk::new());
    alice.run(&["vault", "init", "--token", "alice"]).ok();
    let key = alice.key_file(&desk, &TWO[..1], &["--rehearsal"]);
    let plan = desk.plan("p.plan", &TWO[..1], &[&key], &[]);
    alice.sign(&plan, &desk.file("alice.transcript")).ok();
    let release =
        ["ledger", "release", TWO[0], "--role", "root", "--version", "1", "--reason", "burnt", "--yes"];
    let nobody = alice.home.touchmark().args(["--format", "json"]).args(release).run();
    refused(&nobody, 2, "NO_TERMINAL", "PIN of token");
    alice.run(&release).ok();
    alice.run(&["ledger", "believe-clock", "--reason", "it is right", "--yes"]).ok();
    assert_eq!((alice.audit("ledger-released").len(), alice.audit("clock-believed").len()), (1, 1));
}

#[test]
fn an_old_plan_is_refused_where_the_daemon_knows_a_newer_root() {
    let (alice, desk, plan) = alone(&TWO[..1]);
    let signed = desk.file("alice.transcript");
    alice.sign(&plan, &signed).ok();
    let (old, _) = Plan::load(&plan).unwrap();
    let next = designed(&desk, "next.plan", &[], Some((&old, &signed)));
    alice.sign(&next, &desk.file("next.transcript")).ok();
    let calls = alice.shim.count(SIGN);
    let ran = alice.sign(&plan, &desk.file("refused")).run();
    refused(&ran, 5, "PLAN_OUTDATED", "touchmarkd here knows version 2 of the root");
    assert_eq!(alice.shim.count(SIGN), calls);
}
