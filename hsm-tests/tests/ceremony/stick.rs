//! The stick is pulled out, full, or has something else on it: nothing that was signed is lost.

use hsm_tests::disk::SmallDisk;
use hsm_tests::soak;

use crate::stage::{SIGN, TWO, alone, count, entries, fleet, kinds, refused, until_signed};

/// Cut off at many lengths, as a stick may be that was pulled while it was written.
#[test]
fn a_transcript_that_is_cut_off_anywhere_is_gone_on_with() {
    let (alice, desk, plan) = alone(TWO);
    let whole = desk.file("whole");
    alice.sign(&plan, &whole).ok();
    let bytes = std::fs::read(&whole).unwrap();
    // The seal is of its chain: what is gone on with gets its own.
    let places = soak::rounds(5, 60);
    for place in 0..places {
        let at = bytes.len() * place / places;
        let out = desk.file(&format!("cut-{place}"));
        std::fs::write(&out, &bytes[..at]).unwrap();
        let before = alice.shim.count(SIGN);
        alice.sign(&plan, &out).ok();
        assert_eq!(
            (count(&out, "signed"), count(&out, "sealed")),
            (2, 1),
            "cut off at {at}: {:?}",
            kinds(&out)
        );
        assert_eq!(alice.shim.count(SIGN), before + 1, "the seal alone, cut off at {at}");
        if at > 0 && bytes[..at].contains(&b'\n') {
            let line = bytes[..at].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
            let resumed = entries(&out).into_iter().find(|entry| entry["kind"] == "resumed").unwrap();
            assert_eq!(resumed["dropped"], at - line, "cut off at {at}");
        }
    }
}

#[test]
fn a_full_stick_is_named_and_the_same_command_goes_on_once_there_is_room() {
    let Some(stick) = SmallDisk::mounted(1) else { return };
    let fleet = fleet(4);
    let images: Vec<&str> = fleet.iter().map(String::as_str).collect();
    let (alice, _desk, plan) = alone(&images);
    let out = stick.path().join("alice.transcript");
    alice.shim.order("C_SignInit 1 hang");
    let running = alice.sign(&plan, &out).spawn();
    until_signed(&out, 1);
    // A page that is begun has room to its end; after that there is none.
    stick.fill();
    alice.shim.order("");
    let ran = running.wait();
    refused(&ran, 2, "USAGE", "what was signed is not lost");
    assert!(ran.stderr.contains("touchmark ceremony sign "), "{ran}");
    assert!(count(&out, "signed") < 4);
    stick.make_room();
    alice.sign(&plan, &out).ok();
    assert_eq!((count(&out, "signed"), count(&out, "sealed")), (4, 1));
    assert_eq!(alice.shim.count(SIGN), 5, "four documents and the seal, nothing twice");
}

#[test]
fn a_stick_that_is_pulled_is_named_and_what_was_signed_is_taken_over() {
    let (alice, desk, plan) = alone(TWO);
    let stick = desk.place.folder("stick");
    let out = stick.join("alice.transcript");
    alice.shim.order("C_SignInit 1 hang");
    let running = alice.sign(&plan, &out).spawn();
    until_signed(&out, 1);
    std::fs::rename(&stick, desk.file("pulled")).unwrap();
    alice.shim.order("");
    let ran = running.wait();
    refused(&ran, 2, "USAGE", "what was signed is not lost");
    refused(&alice.sign(&plan, &out).run(), 2, "USAGE", "cannot write");
    std::fs::rename(desk.file("pulled"), &stick).unwrap();
    alice.sign(&plan, &out).ok();
    assert_eq!((count(&out, "signed"), count(&out, "sealed")), (2, 1));
    assert_eq!(alice.shim.count(SIGN), 3, "two documents and the seal, nothing twice");
}

#[test]
fn a_file_of_another_plan_or_of_something_else_stays_as_it_is() {
    let (alice, desk, plan) = alone(TWO);
    let out = desk.file("alice.transcript");
    alice.sign(&plan, &out).ok();
    let other = desk.plan("other.plan", &TWO[..1], &[&desk.file("alice.key")], &["--title", "another one"]);
    let before = std::fs::read(&out).unwrap();
    refused(&alice.sign(&other, &out).run(), 2, "CEREMONY_INVALID", "it is about the plan");
    for text in ["a letter without an end", "a letter\n", ""] {
        let letter = desk.file("letter");
        std::fs::write(&letter, text).unwrap();
        if text.is_empty() {
            alice.sign(&plan, &letter).ok();
        } else {
            let ran = alice.sign(&plan, &letter).run();
            refused(&ran, 2, "CEREMONY_INVALID", "letter");
            assert_eq!(std::fs::read_to_string(&letter).unwrap(), text);
        }
    }
    assert_eq!(std::fs::read(&out).unwrap(), before);
}
