//! A plan is signed: alone, by several in several places, interrupted and gone on with.

use hsm_tests::cli::Cli;
use hsm_tests::terminal::Terminal;
use rustix::process::Signal;
use serde_json::Value;
use touchmark::ceremony::plan::Plan;

use crate::stage::{
    Desk, Holder, SIGN, TWO, alone, count, designed, entries, fingerprint, fleet, kinds, refused,
    until_signed,
};

#[test]
fn one_token_signs_what_is_planned_and_seals_it() {
    let (alice, desk, plan) = alone(TWO);
    let out = desk.file("alice.transcript");
    let done = alice.sign(&plan, &out).ok();
    assert_eq!(done.json()["signed"], 2);
    assert_eq!(done.json()["missing"], Value::Array(Vec::new()));
    done.says("signed 1 of 2: rehearsal.invalid/team/one");
    assert_eq!(
        kinds(&out),
        ["begun", "device", "asked", "asked", "signed", "signed", "sealed"],
        "{:?}",
        entries(&out)
    );
    assert_eq!(alice.shim.count(SIGN), 3, "two documents and the seal");
    let all = entries(&out);
    assert_eq!(all[0]["plan"].as_str().unwrap(), fingerprint(&plan));
    assert_eq!(all[0]["rehearsal"], true);
    assert_eq!(all[1]["keys"][0], alice.key.as_str());
    assert_eq!((&all[2]["by"], &all[3]["by"]), (&Value::from("flag"), &Value::from("flag")));
    assert_eq!(all[4]["repository"], TWO[0]);

    refused(&alice.sign(&plan, &out).run(), 2, "CEREMONY_INVALID", "sealed already");
    assert_eq!(alice.shim.count(SIGN), 3);
}

#[test]
fn several_sign_in_several_places_and_each_is_told_who_is_missing() {
    let (alice, bob, desk) = (Holder::new("alice"), Holder::new("bob"), Desk::new());
    let keys = [&alice, &bob].map(|holder| holder.key_file(&desk, TWO, &["--rehearsal"]));
    let plan = desk.plan("p.plan", TWO, &[&keys[0], &keys[1]], &["--threshold", "2"]);
    let (first, second) = (desk.file("alice.transcript"), desk.file("bob.transcript"));
    let missing = alice.sign(&plan, &first).ok().json()["missing"].clone();
    assert!(missing[0].as_str().unwrap().starts_with("2 of "), "{missing}");
    bob.sign(&plan, &second).ok();
    // A stick that was lost: what alice signed still lacks bob's signature there, and is taken over all the same.
    let calls = alice.shim.count(SIGN);
    alice.sign(&plan, &desk.file("again.transcript")).ok();
    assert_eq!(alice.shim.count(SIGN) - calls, 1, "the seal alone");
    for (transcript, holder) in [(&first, &alice), (&second, &bob)] {
        let signed: Vec<Value> =
            entries(transcript).into_iter().filter(|one| one["kind"] == "signed").collect();
        assert_eq!(signed.len(), 2);
        assert!(signed.iter().all(|one| one["key"] == holder.key.as_str()), "{signed:?}");
    }
}

/// Killed in the middle of a signature, so often that each place is met; never does a document get two.
#[test]
fn a_signer_killed_between_signatures_goes_on_without_a_double_one() {
    let fleet = fleet(6);
    let images: Vec<&str> = fleet.iter().map(String::as_str).collect();
    let (alice, desk, plan) = alone(&images);
    let out = desk.file("alice.transcript");
    for round in 0..3 {
        // Two signatures, and the third one hangs in the token.
        alice.shim.order("C_SignInit 2 hang");
        let running = alice.sign(&plan, &out).spawn();
        let until = (round + 1) * 2;
        until_signed(&out, until);
        running.signal(Signal::KILL);
        assert_eq!(running.wait().code(), None);
        assert_eq!(count(&out, "signed"), until, "the third one hangs");
        alice.shim.order("");
        // The token finishes what nobody waits for any more: asked for the length, then for the signature.
        while alice.shim.count("C_Sign") < 2 * alice.shim.count(SIGN) {
            std::thread::yield_now();
        }
    }
    alice.sign(&plan, &out).ok();
    assert_eq!((count(&out, "signed"), count(&out, "resumed"), count(&out, "sealed")), (6, 3, 1));
    let released = alice.audit("outcome").into_iter().filter(|row| row.to_string().contains("\"released\""));
    let mut of: Vec<String> = released
        .filter(|row| row.to_string().contains("\"root\""))
        .map(|row| row.to_string().split("rehearsal.invalid/").nth(1).unwrap()[..8].to_owned())
        .collect();
    of.sort_unstable();
    let before = of.len();
    of.dedup();
    assert_eq!((of.len(), before), (6, 6), "one outcome a repository");
}

/// What the daemon has signed and the transcript does not have is taken over, and the token is not asked again.
#[test]
fn what_was_signed_and_not_written_down_is_taken_over_without_the_token() {
    let (alice, desk, plan) = alone(TWO);
    let first = desk.file("first");
    alice.sign(&plan, &first).ok();
    let before = alice.shim.count(SIGN);
    let second = desk.file("second");
    alice.sign(&plan, &second).ok();
    assert_eq!(alice.shim.count(SIGN), before + 1, "the seal alone");
    let signed = |path| {
        let all = entries(path).into_iter().filter(|entry| entry["kind"] == "signed");
        all.map(|entry| (entry["repository"].clone(), entry["signatures"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(signed(&first), signed(&second));
    assert!(entries(&second).iter().any(|entry| entry["kind"] == "signed" && entry["audit"].is_null()));
}

/// Ctrl-C at a terminal, and the answers of a person.
#[test]
fn a_person_compares_the_fingerprint_and_says_yes_and_both_are_written_down() {
    let (alice, desk, plan) = alone(&TWO[..1]);
    let out = desk.file("alice.transcript");
    let words = desk.touchmark(&["ceremony", "show"]).arg(&plan).ok().json()["fingerprint"].clone();
    let words = words.as_str().unwrap();
    let command = |cli: Cli| cli.args(["ceremony", "sign", "--rehearsal", "--token", "alice"]).arg(&plan);
    let mut terminal = Terminal::start(&command(alice.home.touchmark()).arg("--out").arg(&out));
    terminal.wait_for(words);
    terminal.wait_for("told over another channel? [yes/no]");
    terminal.type_line("no");
    let (code, shown) = terminal.end();
    assert!(code == Some(2) && shown.contains("nothing was signed"), "{code:?} {shown}");
    assert!(!out.exists() && alice.shim.count(SIGN) == 0);

    let mut terminal = Terminal::start(&command(alice.home.touchmark()).arg("--out").arg(&out));
    terminal.wait_for("told over another channel? [yes/no]");
    terminal.type_line("yes");
    terminal.wait_for("a new repository");
    terminal.wait_for("Sign 1 root document with the token alice? [yes/no]");
    terminal.type_line("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(alice.shim.count(SIGN), 0);

    let terminal = Terminal::start(&command(alice.home.touchmark()).arg("--out").arg(&out));
    let answers =
        [("channel? [yes/no]", "yes"), ("alice? [yes/no]", "yes"), ("PIN of", hsm_tests::softhsm::PIN)];
    let (code, shown) = terminal.answer(&answers);
    assert_eq!(code, Some(0), "{shown}");
    let asked: Vec<Value> = entries(&out).into_iter().filter(|entry| entry["kind"] == "asked").collect();
    assert!(
        asked.len() >= 2 && asked.iter().all(|one| one["by"] == "terminal" && one["answer"] == "yes"),
        "{asked:?}"
    );
    assert!(asked[0]["question"].as_str().unwrap().contains(words));
}

/// Who comes in with the next root has a machine that never saw the repository: it begins with the published root of the
/// plan, pinned to its keys, and says so.
#[test]
fn a_machine_that_never_saw_the_repository_begins_with_the_plans_root() {
    let (alice, desk, plan) = alone(&TWO[..1]);
    let signed = desk.file("first.transcript");
    alice.sign(&plan, &signed).ok();
    let bob = Holder::new("bob");
    let key = bob.key_file(&desk, &TWO[..1], &["--rehearsal"]);
    let (first, _) = Plan::load(&plan).unwrap();
    let next = designed(&desk, "next.plan", &[&key], Some((&first, &signed)));
    let missing =
        alice.sign(&next, &desk.file("alice.transcript")).ok().says_nothing_of("has not seen").json();
    assert_eq!(missing["missing"], Value::Array(Vec::new()), "one of the old and one of the new is enough");
    let done = bob.sign(&next, &desk.file("bob.transcript")).ok().says("has not seen 1 repository before");
    assert!(done.json()["missing"][0].as_str().unwrap().contains("the root keys so far"), "{done}");
    assert_eq!(bob.audit("root-first-use").len(), 1);
    assert!(bob.audit("root-first-use")[0].to_string().contains("\"pinned\":true"));
}

/// Without an [[allow]] the PIN is wanted for each repository; that is said before, with what makes it one.
#[test]
fn where_the_pin_is_wanted_for_each_repository_that_is_said_before() {
    let (alice, desk) = (Holder::with_grants("alice", ""), Desk::new());
    let key = alice.key_file(&desk, TWO, &["--rehearsal"]);
    let plan = desk.plan("p.plan", TWO, &[&key], &[]);
    let out = desk.file("alice.transcript");
    alice.sign(&plan, &out).ok().says("touchmarkd asks for the PIN 2 times").says("[[allow]]");
    assert_eq!((count(&out, "signed"), count(&out, "sealed")), (2, 1));
    let (bob, desk, plan) = alone(TWO);
    bob.sign(&plan, &desk.file("bob.transcript")).ok().says_nothing_of("asks for the PIN");
}
