use super::*;
use crate::ceremony::testing::World;

#[test]
fn each_key_knows_how_much_it_signs_and_who_can_do_without_it() {
    let mut world = World::earnest();
    world.plan.keys[1].touch_policy = "always".to_owned();
    world.plan.keys[2].touch_policy = "cached".to_owned();
    let items = world.items();
    let keys = keys(&world.plan, &items);
    let of = |id| keys.iter().find(|key| key.id == id).unwrap();
    let (alice, bob, carol) = (of(world.alice.id()), of(world.bob.id()), of(world.carol.id()));
    assert_eq!((alice.repositories, alice.indispensable), (2, 2), "the only one of the old keys");
    assert_eq!((bob.repositories, bob.indispensable), (2, 0), "two of three");
    assert_eq!((alice.touches(), bob.touches(), carol.touches()), (None, Some(3), Some(1)));
    assert!(bob.in_words(&world.plan).contains("may be left out if others sign, 3 touches"));
}

#[test]
fn what_is_to_be_worried_about_is_said_before_anybody_travels() {
    let mut world = World::rehearsal();
    let says = |world: &World, wanted: &str| {
        let all = warnings(&world.plan, &world.items());
        assert!(all.iter().any(|one| one.contains(wanted)), "{wanted}: {all:?}");
    };
    says(&world, "this is a rehearsal");
    assert_eq!(warnings(&world.plan, &world.items()).len(), 1);
    world.plan.keys.remove(2);
    says(&world, "only its id is known");
    world.plan.good_until = Instant::from_unix(4_000_000_000);
    says(&world, "the new root of 2 repositories ends before the plan does");
    says(&world, "certificate for 2 repositories ends before the plan does");
    for repository in &mut world.plan.repositories {
        let mut root: touchmark_tuf::Root = touchmark_tuf::exact(&repository.root).unwrap();
        root.roles.root.threshold = 3.try_into().unwrap();
        repository.root = touchmark_tuf::Document::write(&root);
    }
    says(&world, "2 repositories need every root key");
    for repository in &mut world.plan.repositories {
        let mut root: touchmark_tuf::Root = touchmark_tuf::exact(&repository.root).unwrap();
        root.roles.root.threshold = std::num::NonZeroU32::MIN;
        let gone = root.roles.root.key_ids.split_off(1);
        root.keys.retain(|id, _| !gone.contains(id));
        repository.root = touchmark_tuf::Document::write(&root);
    }
    says(&world, "2 repositories have one root key only");
}
