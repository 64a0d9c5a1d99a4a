use super::*;
use crate::testing::{Key, World, days, file, gun, tag, target, version};
use crate::{Unverified, Verified};
use std::num::NonZeroU32;

fn next(base: &Targets, changes: &[TargetChange]) -> Result<Targets, EditError> {
    next_targets(base, changes, days(5))
}

fn signer(name: &str) -> DelegationName {
    DelegationName::new(name).unwrap()
}

fn names(targets: &Targets) -> Vec<&str> {
    targets.delegations.roles.iter().map(|role| role.name.short()).collect()
}

#[test]
fn a_first_root_is_for_its_repository() {
    let world = World::new();
    assert_eq!(world.root.version, Version::FIRST);
    assert_eq!(world.root.roles.root.key_ids, [world.root_key.public.id()]);
    let other = "registry.example.com/other".parse().unwrap();
    let plain = Key::plain(2).public;
    let own = gun();
    let make = |gun: &Gun, certificates: &[PublicKey]| {
        first_root(gun, certificates, NonZeroU32::MIN, &plain, &plain, &plain, days(1))
    };
    let root = &world.root_key.public;
    assert_eq!(make(&other, std::slice::from_ref(root)), Err(EditError::RootCertificate(root.id())));
    assert_eq!(make(&own, std::slice::from_ref(&plain)), Err(EditError::RootCertificate(plain.id())));
    assert_eq!(make(&own, &[]), Err(EditError::TooFewRootKeys { keys: 0, needed: 1 }));
    let spare = Key::certified(7, &gun(), 7, 0, 9).public;
    let two = make(&own, &[root.clone(), spare.clone()]).unwrap();
    assert_eq!(two.roles.root.key_ids, [root.id(), spare.id()]);
    assert_eq!(two.roles.root.threshold.get(), 1);
    let both = |certificates: &[PublicKey]| {
        first_root(&own, certificates, two_of(), &plain, &plain, &plain, days(1))
    };
    assert_eq!(both(&[root.clone(), spare]).unwrap().roles.root.threshold.get(), 2);
    assert_eq!(both(std::slice::from_ref(root)), Err(EditError::TooFewRootKeys { keys: 1, needed: 2 }));
    let again = Key::certified(1, &gun(), 8, 0, 9).public;
    assert_eq!(
        both(&[root.clone(), again.clone()]),
        Err(EditError::SameRootKey { listed: again.id(), added: root.id() })
    );
}

#[test]
fn tags_come_move_and_go() {
    let base = first_targets(days(1));
    let set = |name, manifest| TargetChange::Set { name: tag(name), target: target(manifest) };
    let one = next(&base, &[set("a", "1"), set("b", "2")]).unwrap();
    assert_eq!((one.version, one.expires.clone(), one.targets.len()), (version(2), days(5), 2));
    let two = next(&one, &[set("a", "3"), TargetChange::Remove { name: tag("b") }]).unwrap();
    assert_eq!(two.targets.into_iter().collect::<Vec<_>>(), [(tag("a"), target("3"))]);
    let missing = next(&base, &[TargetChange::Remove { name: tag("b") }]);
    assert_eq!(missing, Err(EditError::NoSuchTag(tag("b"))));
    let last = Targets { version: Version::LAST, ..base };
    assert_eq!(next(&last, &[]), Err(EditError::LastVersion(Version::LAST)));
}

#[test]
fn signers_are_laid_out_as_docker_does() {
    let docker: Verified<Targets> = {
        let root = include_bytes!("../../tests/data/notary/root.json");
        let root = Unverified::<Root>::parse(root).unwrap();
        let root = root.document_unverified();
        let file = include_bytes!("../../tests/data/notary/targets-with-two-signers.json");
        Unverified::parse(file).unwrap().verify(&root.roles.targets, &root.keys, &crate::Ring).unwrap()
    };
    let key = |role: &str| {
        let role = docker.delegation(&signer(role)).unwrap();
        vec![docker.delegations.keys[&role.key_ids[0]].clone()]
    };
    let add = |name: &str| TargetChange::AddSigner { name: signer(name), keys: key(name) };
    let ours = next(&first_targets(days(1)), &[add("alice"), add("bob")]).unwrap();
    assert_eq!(ours.delegations, docker.delegations);
}

#[test]
fn signers_go_and_the_last_one_takes_releases_along() {
    let [a, b] = [1, 2].map(|seed| vec![Key::plain(seed).public]);
    let add =
        |name: &str, keys: &[PublicKey]| TargetChange::AddSigner { name: signer(name), keys: keys.to_vec() };
    let remove = |name: &str| TargetChange::RemoveSigner { name: signer(name) };
    let base = next(&first_targets(days(1)), &[add("a", &a), add("b", &b), add("a2", &a)]).unwrap();
    assert_eq!(names(&base), ["a", "releases", "b", "a2"]);

    let shared = next(&base, &[remove("a")]).unwrap();
    let releases = shared.delegation(&DelegationName::releases()).unwrap();
    assert_eq!(releases.key_ids, [a[0].id(), b[0].id()], "a2 still signs with the key");
    let one = next(&shared, &[remove("a2")]).unwrap();
    assert_eq!(one.delegation(&DelegationName::releases()).unwrap().key_ids, [b[0].id()]);
    assert_eq!(one.delegations.keys.keys().copied().collect::<Vec<_>>(), [b[0].id()]);
    let none = next(&one, &[remove("b")]).unwrap();
    assert_eq!(none.delegations, Delegations::default());
    assert_eq!(next(&none, &[remove("b")]), Err(EditError::NoSuchDelegation(signer("b"))));
}

#[test]
fn delegations_grow_and_go() {
    let [a, b] = [1, 2].map(|seed| Key::plain(seed).public);
    let add = |keys: &[&PublicKey], paths: &[&str]| TargetChange::AddDelegation {
        name: signer("dev"),
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    let base = first_targets(days(1));
    assert_eq!(next(&base, &[add(&[], &["x"])]), Err(EditError::NoKeys(signer("dev"))));
    let one = next(&base, &[add(&[&a], &["x"]), add(&[&a, &b], &["x", "y"])]).unwrap();
    let role = one.delegation(&signer("dev")).unwrap();
    assert_eq!(
        (role.key_ids.as_slice(), role.paths.as_slice()),
        ([a.id(), b.id()].as_slice(), ["x", "y"].map(str::to_owned).as_slice())
    );
    let none = next(&one, &[TargetChange::RemoveDelegation { name: signer("dev") }]).unwrap();
    assert_eq!(none.delegations, Delegations::default());
}

#[test]
fn root_keys_come_and_go_and_retired_ones_stay_described() {
    let world = World::new();
    let (old, new) = (world.root_key.public.clone(), Key::certified(9, &gun(), 9, 0, 9).public);
    let change = [RootChange::AddRootKey(new.clone()), RootChange::RemoveRootKey(old.id())];
    let next = next_root(&gun(), &world.root, &change, days(9)).unwrap();
    assert_eq!(next.version, version(2));
    assert_eq!(next.roles.root.key_ids, [new.id()]);
    assert!(next.keys.contains_key(&old.id()));
    let alone = next_root(&gun(), &world.root, &change[1..], days(9));
    assert_eq!(alone, Err(EditError::TooFewRootKeys { keys: 0, needed: 1 }));
    assert_eq!(alone.unwrap_err().to_string(), "there would be 0 root keys, and 1 must sign");
    let stranger = RootChange::RemoveRootKey(new.id());
    assert_eq!(
        next_root(&gun(), &world.root, &[stranger], days(9)),
        Err(EditError::NoSuchKey(new.id(), RoleName::Root))
    );
    let plain = RootChange::AddRootKey(Key::plain(9).public);
    assert!(matches!(next_root(&gun(), &world.root, &[plain], days(9)), Err(EditError::RootCertificate(_))));
}

fn two_of() -> NonZeroU32 {
    2.try_into().unwrap()
}

#[test]
fn a_threshold_is_looked_at_when_all_changes_are_made() {
    let world = World::new();
    let [one, two] =
        [8, 9].map(|seed| RootChange::AddRootKey(Key::certified(seed, &gun(), seed, 0, 9).public));
    let change = |changes: &[&RootChange]| {
        let changes: Vec<_> = changes.iter().map(|&change| change.clone()).collect();
        next_root(&gun(), &world.root, &changes, days(9))
    };
    let (both, remove) =
        (RootChange::SetThreshold(two_of()), RootChange::RemoveRootKey(world.root_key.public.id()));
    for order in [[&both, &remove, &one, &two], [&one, &two, &remove, &both], [&remove, &one, &both, &two]] {
        let next = change(&order).unwrap();
        assert_eq!((next.roles.root.key_ids.len(), next.roles.root.threshold.get()), (2, 2));
        assert_eq!(next.keys.len(), world.root.keys.len() + 2, "the retired certificate stays described");
    }
    assert_eq!(change(&[&both]), Err(EditError::TooFewRootKeys { keys: 1, needed: 2 }));
    let too_few = change(&[&both, &one, &remove]).unwrap_err();
    assert_eq!(too_few.to_string(), "there would be 1 root key, and 2 must sign");
}

#[test]
fn a_root_key_changes_its_certificate_and_is_never_two() {
    let world = World::new();
    let old = world.root_key.public.id();
    let new = Key::certified(1, &gun(), 77, 0, 9).public;
    let (add, remove) = (RootChange::AddRootKey(new.clone()), RootChange::RemoveRootKey(old));
    for order in [[&add, &remove], [&remove, &add]] {
        let next = next_root(&gun(), &world.root, &order.map(Clone::clone), days(9)).unwrap();
        assert_eq!(next.roles.root.key_ids, [new.id()]);
        assert!(next.keys.contains_key(&old));
    }
    let twice = next_root(&gun(), &world.root, std::slice::from_ref(&add), days(9));
    assert_eq!(twice, Err(EditError::SameRootKey { listed: old, added: new.id() }));

    // What another program left behind is no two keys either, and may be put right.
    let mut odd = world.root.clone();
    odd.keys.insert(new.id(), new.clone());
    odd.roles.root.key_ids.push(new.id());
    let refreshed = next_root(&gun(), &odd, &[], days(9)).unwrap();
    assert_eq!((refreshed.roles.root.key_ids.len(), refreshed.different_keys(&RoleName::Root)), (2, 1));
    let both = next_root(&gun(), &odd, &[RootChange::SetThreshold(two_of())], days(9));
    assert_eq!(both, Err(EditError::TooFewRootKeys { keys: 1, needed: 2 }));
    assert_eq!(next_root(&gun(), &odd, &[remove], days(9)).unwrap().roles.root.key_ids, [new.id()]);
}

#[test]
fn a_replaced_role_key_is_forgotten_unless_another_role_has_it() {
    let world = World::new();
    let (old, new) = (world.snapshot_key.public.id(), Key::plain(9).public);
    let change = RootChange::SetRoleKey(RoleName::Snapshot, new.clone());
    let next = next_root(&gun(), &world.root, &[change], days(9)).unwrap();
    assert_eq!(next.roles.snapshot.key_ids, [new.id()]);
    assert!(!next.keys.contains_key(&old));

    let share = RootChange::SetRoleKey(RoleName::Targets, world.snapshot_key.public.clone());
    let back = RootChange::SetRoleKey(RoleName::Snapshot, new.clone());
    let next = next_root(&gun(), &world.root, &[share, back], days(9)).unwrap();
    assert!(next.keys.contains_key(&old));
    let wrong = RootChange::SetRoleKey(RoleName::Root, new);
    assert!(matches!(next_root(&gun(), &world.root, &[wrong], days(9)), Err(EditError::NoSuchKey(..))));
}

#[test]
fn a_snapshot_follows_the_files() {
    let files = World::new().files();
    let first = [(RoleName::Root, files.root.as_slice()), (RoleName::Targets, &files.targets)];
    let one = next_snapshot(None, &first, days(9)).unwrap();
    assert_eq!(one.version, Version::FIRST);
    let two = next_snapshot(Some(&one), &[(RoleName::releases(), &files.releases)], days(9)).unwrap();
    assert_eq!((two.version, two.meta.len()), (version(2), 3));
    assert!(two.meta[&RoleName::Root].describes(&files.root));
    assert!(matches!(next_snapshot(None, &first[..1], days(9)), Err(EditError::Exact(_))));
}

#[test]
fn what_cannot_be_signed_is_not_made() {
    let big = Target { custom: Some(format!("\"{}\"", "x".repeat(5000)).into()), ..target("1") };
    let loose = Target { custom: Some("{ }".into()), ..target("1") };
    let mut blind = target("1");
    blind.hashes.sha256 = None;
    for target in [big, loose, blind] {
        let change = TargetChange::Set { name: tag("a"), target };
        assert!(matches!(next(&first_targets(days(1)), &[change]), Err(EditError::Exact(_))));
    }
    let world = World::new();
    assert!(Unverified::<Targets>::parse(&file(&world.targets, &[&world.targets_key])).is_ok());
}
