use super::*;
use crate::ceremony::testing::{World, checker};

fn share(text: &str) -> Share {
    Share::read(text).unwrap()
}

#[test]
fn signatures_from_several_places_become_roots_that_readers_believe() {
    let world = World::earnest();
    let shares = [&world.carol, &world.alice].map(|signer| share(&world.transcript(signer)));
    let (gathered, twice) = gather(&shares);
    assert!(twice.is_empty());
    for item in world.items() {
        let one = &gathered[&item.repository.gun];
        assert!(item.quorum.missing(&one.signers).is_empty());
        let file = one.complete(&item, &checker()).unwrap();
        let trusted = follow(&item, &file, &checker()).unwrap();
        assert_eq!(trusted.root().signed_bytes(), item.repository.root);
        assert!(trusted.root().is_go_form());
    }
}

#[test]
fn whoever_signs_twice_counts_once() {
    let world = World::earnest();
    let shares = [&world.alice, &world.alice].map(|signer| share(&world.transcript(signer)));
    let (gathered, twice) = gather(&shares);
    assert_eq!(twice.into_iter().collect::<Vec<_>>(), [Twice { key: world.alice.id(), first: 0, again: 1 }]);
    for item in world.items() {
        let one = &gathered[&item.repository.gun];
        assert_eq!(one.signers, [world.alice.id()].into());
        let missing = item.quorum.missing(&one.signers);
        assert_eq!(missing.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1]);
        assert!(one.complete(&item, &checker()).is_err(), "one of two must not be enough");
    }
}

#[test]
fn the_new_keys_alone_are_not_enough() {
    let world = World::earnest();
    let shares = [&world.bob, &world.carol].map(|signer| share(&world.transcript(signer)));
    let (gathered, _) = gather(&shares);
    for item in world.items() {
        let one = &gathered[&item.repository.gun];
        assert_eq!(item.quorum.missing(&one.signers).len(), 1);
        assert!(one.complete(&item, &checker()).is_err(), "nobody whom readers trust has signed");
    }
}
