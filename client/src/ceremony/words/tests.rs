use super::*;
use crate::ceremony::testing::World;

#[test]
fn what_changes_alike_is_said_once_and_names_who_comes_in_and_who_has_to_sign() {
    let world = World::earnest();
    let items = world.items();
    let groups = folded(&world.plan, &items);
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].items.len(), 2);
    let of = |signer: &crate::ceremony::testing::Signer| name(&world.plan, &signer.id());
    let (alice, bob, carol) = (of(&world.alice), of(&world.bob), of(&world.carol));
    assert!(alice.starts_with("alice ("), "{alice}");
    let lines = &groups[0].lines;
    for line in [
        format!("root key {bob} comes in"),
        format!("root key {carol} comes in"),
        "2 of 3 root keys must sign from now on, so far 1".to_owned(),
        format!("to sign: 1 of {alice} (the root keys so far)"),
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }
    let new = lines.last().unwrap();
    assert!(new.starts_with("to sign: 2 of ") && new.ends_with("(the new root keys)"), "{new}");
    assert!([alice, bob, carol].iter().all(|key| new.contains(key)), "{new}");
    assert!(
        !lines.iter().any(|line| line.contains("goes out") || line.contains("new repository")),
        "{lines:?}"
    );
}

#[test]
fn repositories_that_change_otherwise_stand_by_themselves() {
    let mut world = World::earnest();
    let mut root: Root = touchmark_tuf::exact(&world.plan.repositories[1].root).unwrap();
    root.roles.root.threshold = 3.try_into().unwrap();
    world.plan.repositories[1].root = touchmark_tuf::Document::write(&root);
    let items = world.items();
    let groups = folded(&world.plan, &items);
    assert_eq!(groups.iter().map(|group| group.items.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(groups[1].lines.contains(&"3 of 3 root keys must sign from now on, so far 1".to_owned()));
}

#[test]
fn labels_and_serials_from_a_file_cannot_draw_on_a_terminal() {
    let mut world = World::earnest();
    world.plan.keys[0].label = "al\u{1b}[2Jice".to_owned();
    world.plan.keys[0].serial = "12\u{202e}34".to_owned();
    assert!(name(&world.plan, &world.alice.id()).is_ascii());
    let place = place(&world.plan.keys[0]);
    assert!(place.is_ascii() && !place.contains('\u{1b}'), "{place}");
}
