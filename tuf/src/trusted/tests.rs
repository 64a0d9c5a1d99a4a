use super::*;
use crate::testing::{DAY, Files, Key, NOW, World, days, file, gun, now, tag, target, version};
use crate::verify::Ring;
use crate::{DelegationName, RootChange, TargetChange, next_root, next_targets};
use std::num::NonZeroU32;

fn start(file: &[u8], pin: &Pin) -> Result<Trusted, TrustError> {
    Trusted::start(&gun(), RootSource::First { file, pin }, Arc::new(Ring))
}

fn roles(wanted: &[Wanted]) -> Vec<String> {
    wanted.iter().map(|wanted| wanted.role.to_string()).collect()
}

fn rotated(world: &World, change: &[RootChange]) -> Root {
    next_root(&gun(), &world.root, change, days(3650)).unwrap()
}

#[test]
fn a_reader_is_led_from_file_to_file() {
    let files = World::new().files();
    let mut trusted = files.start().unwrap();
    assert_eq!(trusted.gun(), &gun());
    assert_eq!(trusted.wanted(), []);
    trusted.timestamp(&files.timestamp, now()).unwrap();
    assert_eq!(roles(&trusted.wanted()), ["snapshot"]);
    assert_eq!(trusted.wanted()[0].sha256, Sha256Digest::of(&files.snapshot));
    trusted.snapshot(&files.snapshot, now()).unwrap();
    assert_eq!(roles(&trusted.wanted()), ["targets"]);
    trusted.targets(&RoleName::Targets, &files.targets, now()).unwrap();
    assert_eq!(roles(&trusted.wanted()), ["targets/releases"], "alice never signed");
    trusted.targets(&RoleName::releases(), &files.releases, now()).unwrap();
    assert_eq!(trusted.wanted(), []);
    assert_eq!(trusted.file_meta(&RoleName::Targets), Some(&FileMeta::of(&files.targets)));
    assert_eq!(trusted.snapshot_doc().unwrap().file(), files.snapshot);
    assert_eq!(trusted.timestamp_doc().unwrap().file(), files.timestamp);
}

#[test]
fn steps_cannot_be_left_out() {
    let files = World::new().files();
    let mut trusted = files.start().unwrap();
    let not_read = |role| Err(TrustError::NotRead { role });
    assert_eq!(trusted.snapshot(&files.snapshot, now()), not_read(RoleName::Timestamp));
    assert_eq!(trusted.targets(&RoleName::Targets, &files.targets, now()), not_read(RoleName::Snapshot));
    trusted.timestamp(&files.timestamp, now()).unwrap();
    trusted.snapshot(&files.snapshot, now()).unwrap();
    let early = trusted.targets(&RoleName::releases(), &files.releases, now());
    assert_eq!(early, Err(TrustError::MissingDelegation { role: RoleName::releases() }));
    assert_eq!(trusted.lookup(&tag("1")).map(drop), not_read(RoleName::Targets));
    let timestamp = trusted.targets(&RoleName::Timestamp, &files.timestamp, now());
    assert!(matches!(timestamp, Err(TrustError::MissingDelegation { .. })));
}

#[test]
fn releases_is_asked_first_and_never_passed_over() {
    let world = World::new();
    let trusted = world.files().read().unwrap();
    let found =
        |tag_: &str| trusted.lookup(&tag(tag_)).unwrap().map(|found| (found.role, found.target.clone()));
    assert_eq!(found("1"), Some((RoleName::releases(), target("one of alice"))));
    assert_eq!(found("base"), Some((RoleName::Targets, target("base"))));
    assert_eq!(found("other"), None);

    let files = world.over(world.root_file(), world.targets_file(), file(&world.releases, &[&Key::plain(9)]));
    let mut trusted = files.start().unwrap();
    let refused = files.feed(&mut trusted);
    assert!(matches!(refused, Err(TrustError::SignatureInvalid { role: RoleName::Delegation(_), .. })));
    let not_read = Err(TrustError::NotRead { role: RoleName::releases() });
    assert_eq!(trusted.lookup(&tag("1")).map(drop), not_read);
    assert_eq!(trusted.lookup(&tag("base")).map(drop), not_read);
    assert_eq!(trusted.all().map(drop), not_read);
}

#[test]
fn a_role_without_keys_has_no_say() {
    let mut world = World::new();
    for role in &mut world.targets.delegations.roles {
        role.key_ids.clear();
    }
    world.targets.delegations.keys.clear();
    let files = world.files();
    let mut trusted = files.start().unwrap();
    assert!(files.feed(&mut trusted).is_err());
    assert_eq!(trusted.wanted(), []);
    assert_eq!(trusted.lookup(&tag("1")).unwrap().unwrap().role, RoleName::Targets);
}

#[test]
fn a_delegation_speaks_within_its_paths_alone() {
    let mut world = World::new();
    for role in &mut world.targets.delegations.roles {
        role.paths = vec!["v".to_owned()];
    }
    let set = |name: &str| TargetChange::Set { name: tag(name), target: target("by releases") };
    world.releases = next_targets(&world.releases, &[set("v1"), set("base")], days(9)).unwrap();
    let trusted = world.files().read().unwrap();
    let role = |name: &str| trusted.lookup(&tag(name)).unwrap().map(|found| found.role);
    assert_eq!(role("v1"), Some(RoleName::releases()));
    assert_eq!(role("base"), Some(RoleName::Targets));
    assert_eq!(role("1"), Some(RoleName::Targets));
    let all = trusted.all().unwrap();
    let by: Vec<_> = all.iter().map(|signed| (signed.tag.as_str(), signed.by.len())).collect();
    assert_eq!(by, [("1", 1), ("base", 1), ("v1", 1)]);
}

#[test]
fn every_tag_comes_with_all_its_signers() {
    let trusted = World::new().files().read().unwrap();
    let all = trusted.all().unwrap();
    let by: Vec<_> = all.iter().map(|signed| (signed.tag.as_str(), signed.by.len())).collect();
    assert_eq!(by, [("1", 2), ("base", 1)]);
    assert_eq!(trusted.walk().len(), 2);
    assert!(trusted.document(&RoleName::releases()).is_some());
}

#[test]
fn roles_below_delegations_are_walked_nearest_first() {
    let mut world = World::new();
    let add = |name: &str| TargetChange::AddDelegation {
        name: DelegationName::new(name).unwrap(),
        keys: vec![world.signer_key.public.clone()],
        paths: vec!["1".to_owned()],
    };
    // `releases` may list what lies below itself; its word about others does not count.
    world.releases = next_targets(&world.releases, &[add("releases/deep"), add("other")], days(9)).unwrap();
    let files = world.files();
    let mut snapshot = files.read().unwrap().snapshot_doc().unwrap().clone().into_document();
    let deep: RoleName = "targets/releases/deep".parse().unwrap();
    let other: RoleName = "targets/other".parse().unwrap();
    let below = file(&first(&[("1", "deep"), ("2", "deep")]), &[&world.signer_key]);
    for role in [&deep, &other] {
        snapshot.meta.insert(role.clone(), FileMeta::of(&below));
    }
    let files = world.stamp(Files { snapshot: file(&snapshot, &[&world.snapshot_key]), ..files });
    let mut trusted = files.read().unwrap();
    assert_eq!(roles(&trusted.wanted()), ["targets/releases/deep"]);
    assert!(matches!(trusted.targets(&other, &below, now()), Err(TrustError::MissingDelegation { .. })));
    trusted.targets(&deep, &below, now()).unwrap();
    let order: Vec<_> = trusted.walk().into_iter().map(|(role, _)| role.to_string()).collect();
    assert_eq!(order, ["targets", "targets/releases", "targets/releases/deep"]);
    let all = trusted.all().unwrap();
    assert_eq!(all.iter().find(|signed| signed.tag.as_str() == "1").unwrap().by.len(), 3);
    assert!(all.iter().all(|signed| signed.tag.as_str() != "2"), "outside the paths");
}

#[test]
fn a_role_gives_no_more_paths_on_than_it_has() {
    let mut world = World::new();
    for role in &mut world.targets.delegations.roles {
        role.paths = vec!["1".to_owned()];
    }
    let deep = DelegationName::new("releases/deep").unwrap();
    let keys = vec![world.signer_key.public.clone()];
    let add = TargetChange::AddDelegation { name: deep.clone(), keys, paths: vec![String::new()] };
    world.releases = next_targets(&world.releases, &[add], days(9)).unwrap();
    let files = world.files();
    let mut snapshot = files.read().unwrap().snapshot_doc().unwrap().clone().into_document();
    let below = file(&first(&[("1", "deep"), ("2", "deep")]), &[&world.signer_key]);
    let deep = RoleName::Delegation(deep);
    snapshot.meta.insert(deep.clone(), FileMeta::of(&below));
    let files = world.stamp(Files { snapshot: file(&snapshot, &[&world.snapshot_key]), ..files });
    let mut trusted = files.read().unwrap();
    trusted.targets(&deep, &below, now()).unwrap();
    let all = trusted.all().unwrap();
    let by: Vec<_> = all.iter().map(|signed| (signed.tag.as_str(), signed.by.len())).collect();
    assert_eq!(by, [("1", 3), ("base", 1)], "deep lists every tag as its own, releases has 1 alone to give");
}

fn first(tags: &[(&str, &str)]) -> Targets {
    let changes =
        tags.iter().map(|(name, manifest)| TargetChange::Set { name: tag(name), target: target(manifest) });
    next_targets(&crate::first_targets(days(9)), &changes.collect::<Vec<_>>(), days(9)).unwrap()
}

#[test]
fn roots_follow_one_another_under_both_keys() {
    let world = World::new();
    let new_key = Key::certified(9, &gun(), 9, -1, 99);
    let change = [
        RootChange::AddRootKey(new_key.public.clone()),
        RootChange::RemoveRootKey(world.root_key.public.id()),
    ];
    let new = rotated(&world, &change);
    let mut trusted = world.files().read().unwrap();
    trusted.advance_root(&world.root_file()).unwrap();
    assert!(trusted.document(&RoleName::Targets).is_some(), "the same root changes nothing");
    trusted.advance_root(&file(&new, &[&world.root_key, &new_key])).unwrap();
    assert_eq!(trusted.root().version(), version(2));
    assert!(trusted.document(&RoleName::Targets).is_none(), "everything below is read again");
    trusted.check_root(now()).unwrap();
}

#[test]
fn a_new_certificate_for_the_same_key_is_a_rotation_too() {
    let world = World::new();
    let renewed = Key::certified(1, &gun(), 2, -1, 99);
    let change = [
        RootChange::AddRootKey(renewed.public.clone()),
        RootChange::RemoveRootKey(world.root_key.public.id()),
    ];
    let new = rotated(&world, &change);
    let mut trusted = world.files().start().unwrap();
    let one = trusted.advance_root(&file(&new, &[&renewed]));
    assert!(matches!(one, Err(TrustError::RootChanged { .. })));
    trusted.advance_root(&file(&new, &[&world.root_key, &renewed])).unwrap();
}

#[test]
fn expired_roots_lead_to_a_newer_one_and_no_further() {
    let mut world = World::new();
    world.root.expires = days(-2);
    let files = world.files();
    let mut trusted = files.start().unwrap();
    assert!(matches!(trusted.check_root(now()), Err(TrustError::Expired { role: RoleName::Root, .. })));
    assert!(matches!(
        trusted.timestamp(&files.timestamp, now()),
        Err(TrustError::Expired { role: RoleName::Root, .. })
    ));
    let between = next_root(&gun(), &world.root, &[], days(-1)).unwrap();
    let newest = next_root(&gun(), &between, &[], days(1)).unwrap();
    trusted.advance_root(&file(&between, &[&world.root_key])).unwrap();
    assert!(trusted.check_root(now()).is_err());
    trusted.advance_root(&file(&newest, &[&world.root_key])).unwrap();
    trusted.check_root(now()).unwrap();
}

#[test]
fn certificates_count_within_their_dates() {
    let make = |from, until| {
        let mut world = World::new();
        world.root_key = Key::certified(1, &gun(), 1, from, until);
        let certificate = std::slice::from_ref(&world.root_key.public);
        let [t, s, ts] =
            [&world.targets_key, &world.snapshot_key, &world.timestamp_key].map(|key| &key.public);
        world.root = crate::first_root(&gun(), certificate, NonZeroU32::MIN, t, s, ts, days(99)).unwrap();
        world.files().start().unwrap().check_root(now())
    };
    assert_eq!(make(1, 9), Ok(()), "a day early is fine: clocks differ");
    let until = |days: i64| Some(Instant::from_unix(NOW + days * DAY));
    assert_eq!(make(2, 9), Err(TrustError::CertificateDates { now: now(), until: until(9) }));
    assert_eq!(make(-9, 0), Ok(()));
    assert_eq!(make(-9, -1), Err(TrustError::CertificateDates { now: now(), until: until(-1) }));
}

#[test]
fn a_spare_root_key_with_an_old_certificate_does_no_harm_and_no_good() {
    let mut world = World::new();
    let old = Key::certified(9, &gun(), 9, -9, -1);
    world.root.roles.root.key_ids.push(old.public.id());
    world.root.keys.insert(old.public.id(), old.public.clone());
    world.files().start().unwrap().check_root(now()).unwrap();
    let by_old = file(&world.root, &[&old]);
    let trusted = start(&by_old, &Pin::FirstUse).unwrap();
    assert!(matches!(
        trusted.check_root(now()),
        Err(TrustError::SignatureInvalid { role: RoleName::Root, .. })
    ));
}

#[test]
fn a_root_for_another_repository_is_none() {
    let files = World::new().files();
    let other = "registry.example.com/team/other".parse().unwrap();
    let source = RootSource::First { file: &files.root, pin: &Pin::FirstUse };
    let refused = Trusted::start(&other, source, Arc::new(Ring)).map(drop);
    assert_eq!(refused, Err(TrustError::CertificateName { found: vec![gun().to_string()] }));
    let mut world = World::new();
    let plain = Key::plain(1);
    world.root.roles.root.key_ids = vec![plain.public.id()];
    world.root.keys.insert(plain.public.id(), plain.public.clone());
    let refused = start(&file(&world.root, &[&plain]), &Pin::FirstUse).map(drop);
    assert_eq!(refused, Err(TrustError::CertificateName { found: vec![] }));
}

#[test]
fn pins_hold_for_either_id_of_a_key_that_signed() {
    let mut world = World::new();
    let key = world.root_key.public.clone();
    let stranger = Key::certified(9, &gun(), 9, -1, 99);
    for id in [key.id(), key.canonical_id()] {
        assert!(start(&world.root_file(), &Pin::KeyIds(vec![stranger.public.id(), id])).is_ok());
    }
    let other = Pin::KeyIds(vec![stranger.public.id()]);
    let mismatch = start(&world.root_file(), &other).map(drop);
    assert_eq!(mismatch, Err(TrustError::PinMismatch { found: vec![key.id()] }));
    assert!(matches!(start(&world.root_file(), &Pin::KeyIds(vec![])), Err(TrustError::PinMismatch { .. })));
    // Listing a pinned key is not enough: it must have signed.
    world.root.roles.root.key_ids.push(stranger.public.id());
    world.root.keys.insert(stranger.public.id(), stranger.public.clone());
    assert!(matches!(
        start(&file(&world.root, &[&world.root_key]), &other),
        Err(TrustError::PinMismatch { .. })
    ));
}

#[test]
fn remembered_files_hold_while_their_keys_do() {
    let mut world = World::new();
    let old = world.files();
    world.timestamp.0 = version(9);
    let newer = world.files();
    let mut trusted = old.start().unwrap();
    trusted.remember(&RoleName::Timestamp, &newer.timestamp);
    let rollback = TrustError::Rollback { role: RoleName::Timestamp, have: version(9), got: version(2) };
    assert_eq!(trusted.timestamp(&old.timestamp, now()), Err(rollback));
    trusted.timestamp(&newer.timestamp, now()).unwrap();

    // Signed by a key that is no longer the timestamp's: no witness.
    let mut trusted = old.start().unwrap();
    let world_before = World { timestamp_key: Key::plain(9), ..world };
    trusted.remember(&RoleName::Timestamp, &world_before.files().timestamp);
    trusted.remember(&RoleName::Snapshot, b"nonsense");
    old.feed(&mut trusted).unwrap();
}

#[test]
fn within_one_reading_nothing_goes_back() {
    let mut world = World::new();
    let old = world.files();
    let mut trusted = old.read().unwrap();
    world.timestamp.0 = version(3);
    world.snapshot.0 = version(1);
    let newer = world.files();
    trusted.timestamp(&newer.timestamp, now()).unwrap();
    let rollback = TrustError::Rollback { role: RoleName::Snapshot, have: version(2), got: version(1) };
    assert_eq!(trusted.snapshot(&newer.snapshot, now()), Err(rollback));
    let rollback = TrustError::Rollback { role: RoleName::Timestamp, have: version(3), got: version(2) };
    assert_eq!(trusted.timestamp(&old.timestamp, now()), Err(rollback));
}

#[test]
fn reading_the_same_again_is_fine() {
    let files = World::new().files();
    let mut trusted = files.read().unwrap();
    trusted.timestamp(&files.timestamp, now()).unwrap();
    assert_eq!(trusted.wanted(), [], "nothing changed, nothing is fetched");
    files.feed(&mut trusted).unwrap();
}

#[test]
fn errors_say_whether_a_newer_root_may_help() {
    assert!(TrustError::RootOutdated { have: version(1) }.needs_newer_root());
    assert!(!TrustError::PinMismatch { found: vec![] }.needs_newer_root());
    let rollback = TrustError::Rollback { role: RoleName::Targets, have: version(2), got: version(1) };
    assert!(!rollback.needs_newer_root());
    assert_eq!(rollback.to_string(), "targets is version 1, and version 2 was seen before");
}
