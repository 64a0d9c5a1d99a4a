use touchmark_tuf::Ring;

use super::*;
use crate::ceremony::testing::{Signer, World, sealed};
use crate::ceremony::transcript::{Resumed, WrittenSignature};

fn checked(world: &World, text: &str) -> Result<(), ShareError> {
    let digest = Sha256Digest::of(&world.plan.write());
    Share::read(text)?.check((&world.plan, &digest), &world.items(), &Ring)
}

/// With the `nth` signed entry changed before it is sealed.
fn forged(world: &World, signer: &Signer, nth: usize, change: impl FnOnce(&mut SignedRoot)) -> String {
    let mut said = world.said(signer);
    let mut signed = said.iter_mut().filter_map(|one| match one {
        Said::Signed(signed) => Some(signed),
        _ => None,
    });
    change(signed.nth(nth).unwrap());
    sealed(signer, &said)
}

#[test]
fn a_share_is_good_for_its_plan_alone() {
    let world = World::earnest();
    for signer in [&world.alice, &world.bob, &world.carol] {
        assert_eq!(checked(&world, &world.transcript(signer)), Ok(()));
    }
    let other = World::earnest();
    let refused = checked(&other, &world.transcript(&world.alice));
    assert!(matches!(refused, Err(ShareError::Plan { .. })), "{refused:?}");
}

#[test]
fn a_share_with_a_byte_changed_is_refused_wherever_it_is() {
    let world = World::earnest();
    let text = world.transcript(&world.bob);
    for at in (0..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8(bytes).unwrap();
        // What is said beside the seal's own signature is about the daemon of whoever sealed.
        let last = text.trim_end().rfind('\n').unwrap();
        if at < last {
            assert!(checked(&world, &changed).is_err(), "byte {at} of {}", text.len());
        }
    }
}

#[test]
fn a_share_without_its_seal_or_with_another_ones_is_refused() {
    let world = World::earnest();
    let (id, said) = (world.alice.id(), world.said(&world.alice));
    let text = world.transcript(&world.alice);
    let unsealed = &text[..=text.trim_end().rfind('\n').unwrap()];
    assert_eq!(checked(&world, unsealed), Err(ShareError::Unsealed));
    assert_eq!(checked(&world, &sealed(&world.bob, &said)), Err(ShareError::Seal(id)));
    let stranger = Signer::new("mallory");
    let mut theirs: Vec<Said> = said.iter().filter(|one| !matches!(one, Said::Signed(_))).cloned().collect();
    if let Some(Said::Begun(begun)) = theirs.first_mut() {
        begun.key = stranger.id();
    }
    assert_eq!(checked(&world, &sealed(&stranger, &theirs)), Err(ShareError::Sealer(stranger.id())));
    // Sealed again by its own key after something was put in.
    let mut more = said;
    more.insert(1, Said::Resumed(Resumed { dropped: 0 }));
    assert_eq!(checked(&world, &sealed(&world.alice, &more)), Ok(()));
    assert!(checked(&world, &(text.clone() + &text)).is_err());
}

#[test]
fn signatures_that_are_missing_foreign_or_over_something_else_are_refused() {
    let world = World::earnest();
    let alice = &world.alice;
    let bad = |nth, change: fn(&mut SignedRoot)| checked(&world, &forged(&world, alice, nth, change));
    let is = |refused: Result<(), ShareError>| matches!(refused, Err(ShareError::Signature { .. }));
    assert!(is(bad(0, |signed| signed.signatures.clear())), "none");
    assert!(is(bad(1, |signed| signed.signatures[0].sig[5] ^= 1)), "a wrong one");
    assert!(is(bad(0, |signed| signed.signatures[0].method = "rsapss".to_owned())), "another method");
    assert!(
        is(bad(0, |signed| signed.signatures[0].keyid = KeyId::from_bytes([1; 32]))),
        "an id that is not listed"
    );
    assert!(is(bad(0, |signed| signed.signatures.push(signed.signatures[0].clone()))), "one twice");
    let other = |change: fn(&mut SignedRoot)| matches!(bad(0, change), Err(ShareError::Document { .. }));
    assert!(other(|signed| signed.version += 1));
    assert!(other(|signed| signed.digest = Sha256Digest::of(b"another")));
    assert!(other(|signed| signed.role = "targets".to_owned()));
    assert!(other(|signed| signed.repository = "registry.example.com/team/other".parse().unwrap()));
    // The signature of the first document for the second one.
    let said = world.said(alice);
    let first: Vec<WrittenSignature> = said
        .iter()
        .find_map(|one| match one {
            Said::Signed(signed) => Some(signed.signatures.clone()),
            _ => None,
        })
        .unwrap();
    assert!(is(checked(
        &world,
        &forged(&world, alice, 1, |signed| signed.signatures[0].sig = first[0].sig.clone())
    )));
    let stranger = KeyId::from_bytes([9; 32]);
    let theirs = checked(&world, &forged(&world, alice, 0, |signed| signed.key = stranger));
    assert!(matches!(theirs, Err(ShareError::Stranger { .. })), "{theirs:?}");
}

#[test]
fn one_key_signs_a_repository_once() {
    let world = World::earnest();
    let mut said = world.said(&world.alice);
    said.push(said.iter().find(|one| matches!(one, Said::Signed(_))).cloned().unwrap());
    let twice = checked(&world, &sealed(&world.alice, &said));
    assert!(matches!(twice, Err(ShareError::Twice { .. })), "{twice:?}");
}

#[test]
fn a_share_of_a_rehearsal_is_none_of_a_plan_in_earnest() {
    let world = World::earnest();
    let mut said = world.said(&world.alice);
    if let Some(Said::Begun(begun)) = said.first_mut() {
        begun.rehearsal = true;
    }
    assert_eq!(checked(&world, &sealed(&world.alice, &said)), Err(ShareError::Occasion));
}
