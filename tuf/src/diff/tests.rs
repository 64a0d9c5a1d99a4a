use super::*;
use crate::edit::{RootChange, TargetChange, first_targets, next_root, next_targets};
use crate::testing::{Key, World, days, gun, tag, target, version};
use crate::{Document as _, FileMeta, Snapshot, Target, Targets};

fn set(name: &str, manifest: &str) -> TargetChange {
    TargetChange::Set { name: tag(name), target: target(manifest) }
}

fn changed(base: &Targets, changes: &[TargetChange]) -> Vec<Difference> {
    targets(Some(base), &next_targets(base, changes, base.expires.clone()).unwrap())
}

fn words(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_version_alone_is_no_difference() {
    let world = World::new();
    assert_eq!(changed(&world.targets, &[]), []);
    assert_eq!(root(Some(&world.root), &world.root), []);
}

#[test]
fn tags_added_moved_and_removed_are_told_apart() {
    let base = next_targets(&first_targets(days(1)), &[set("a", "1"), set("b", "2"), set("c", "3")], days(1))
        .unwrap();
    let differences =
        changed(&base, &[set("b", "x"), TargetChange::Remove { name: tag("c") }, set("d", "4")]);
    let digest = |manifest: &str| *target(manifest).sha256().unwrap();
    assert_eq!(
        differences,
        [
            Difference::TagMoved { tag: tag("b"), from: digest("2"), to: digest("x") },
            Difference::TagRemoved { tag: tag("c") },
            Difference::TagAdded { tag: tag("d"), digest: digest("4"), length: 1 },
        ]
    );
    assert!(words(&differences)[0].starts_with("tag b moved: sha256:"));
    assert_eq!(words(&differences)[1], "tag c removed");
    assert!(words(&differences)[2].ends_with(", 1 bytes"));
}

#[test]
fn whatever_changes_about_a_tag_is_seen() {
    let base = next_targets(&first_targets(days(1)), &[set("a", "1")], days(1)).unwrap();
    let digest = *target("1").sha256().unwrap();
    let longer = Target { length: 2, ..target("1") };
    let custom = Target { custom: Some("{}".into()), ..target("1") };
    for target in [longer, custom] {
        let differences = changed(&base, &[TargetChange::Set { name: tag("a"), target }]);
        assert_eq!(differences, [Difference::TagMoved { tag: tag("a"), from: digest, to: digest }]);
        assert!(words(&differences)[0].contains("what is said about it changed"));
    }
    let mut blind = base.clone();
    blind.targets.insert(tag("a"), Target { hashes: crate::Hashes::default(), ..target("1") });
    assert!(matches!(targets(Some(&base), &blind)[..], [Difference::Other { .. }]));
    assert!(matches!(targets(Some(&blind), &base)[..], [Difference::TagAdded { .. }]));
}

#[test]
fn the_first_version_is_told_in_full() {
    let world = World::new();
    let differences = targets(None, &world.targets);
    assert_eq!(differences[0], Difference::Created { what: "targets", expires: days(1000) });
    assert_eq!(differences.len(), 5, "two tags, alice and releases");
    assert!(words(&differences)[3].starts_with("targets/alice may sign every tag: "));
    let differences = root(None, &world.root);
    assert_eq!(differences[1], Difference::RootKeyAdded { key_id: world.root_key.public.id() });
    assert_eq!(differences.len(), 5, "the root key and three roles");
}

#[test]
fn another_expiry_is_a_difference() {
    let base = first_targets(days(1));
    let new = next_targets(&base, &[], days(2)).unwrap();
    let differences = targets(Some(&base), &new);
    assert_eq!(differences, [Difference::ExpiryChanged { from: days(1), to: days(2) }]);
    assert_eq!(words(&differences), ["valid until 2027-01-17T08:00:00Z, so far 2027-01-16T08:00:00Z"]);
}

#[test]
fn everything_about_delegations_is_seen() {
    let world = World::new();
    let alice = "targets/alice".parse().unwrap();
    let key = Key::plain(9).public;
    let add =
        TargetChange::AddDelegation { name: alice, keys: vec![key.clone()], paths: vec!["v".to_owned()] };
    let differences = changed(&world.targets, &[add]);
    let [Difference::DelegationChanged { added, removed, threshold: (1, 1), paths: Some(paths), .. }] =
        &differences[..]
    else {
        panic!("{differences:?}");
    };
    assert_eq!((added.as_slice(), removed.len(), paths.len()), ([key.id()].as_slice(), 0, 2));

    let alice = "targets/alice".parse().unwrap();
    let differences = changed(&world.targets, &[TargetChange::RemoveSigner { name: alice }]);
    assert_eq!(
        words(&differences),
        ["targets/alice may no longer sign", "targets/releases may no longer sign"]
    );

    let mut threshold = world.targets.clone();
    threshold.delegations.roles[0].threshold = 2.try_into().unwrap();
    let differences = targets(Some(&world.targets), &threshold);
    assert_eq!(words(&differences), ["targets/alice changed, 2 must sign instead of 1"]);

    let mut swapped = world.targets.clone();
    swapped.delegations.roles.swap(0, 1);
    assert!(matches!(targets(Some(&world.targets), &swapped)[..], [Difference::Other { .. }]));

    let mut stray = world.targets.clone();
    stray.delegations.keys.insert(key.id(), key);
    assert!(matches!(targets(Some(&world.targets), &stray)[..], [Difference::Other { .. }]));
}

#[test]
fn everything_about_a_root_is_seen() {
    let world = World::new();
    let (old, new) = (world.root_key.public.id(), Key::certified(9, &gun(), 9, 0, 9).public);
    let change = [RootChange::AddRootKey(new.clone()), RootChange::RemoveRootKey(old)];
    let rotated = next_root(&gun(), &world.root, &change, days(3650)).unwrap();
    assert_eq!(
        root(Some(&world.root), &rotated),
        [Difference::RootKeyAdded { key_id: new.id() }, Difference::RootKeyRemoved { key_id: old }]
    );
    let key = Key::plain(8).public;
    let change = [RootChange::SetRoleKey(RoleName::Timestamp, key.clone())];
    let rotated = next_root(&gun(), &world.root, &change, days(3650)).unwrap();
    let before = world.timestamp_key.public.id();
    let role = Difference::RoleKeysChanged {
        role: RoleName::Timestamp,
        from: vec![before],
        keys: vec![key.id()],
        threshold: 1,
    };
    let text = format!("timestamp is signed by the key {} instead of {before}", key.id());
    assert_eq!((root(Some(&world.root), &rotated), role.to_string()), (vec![role], text));

    let mut other = world.root.clone();
    other.consistent_snapshot = true;
    other.roles.root.threshold = 2.try_into().unwrap();
    other.keys.insert(key.id(), key);
    let differences = root(Some(&world.root), &other);
    assert_eq!(differences.len(), 3, "{differences:?}");
}

#[test]
fn a_new_certificate_is_told_from_a_new_key_and_a_threshold_in_full() {
    let world = World::new();
    let (old, canonical) = (world.root_key.public.id(), world.root_key.public.canonical_id());
    let renewed = Key::certified(1, &gun(), 77, 0, 9).public;
    let spare = Key::certified(9, &gun(), 9, 0, 9).public;
    let change = [
        RootChange::AddRootKey(renewed.clone()),
        RootChange::AddRootKey(spare.clone()),
        RootChange::RemoveRootKey(old),
        RootChange::SetThreshold(2.try_into().unwrap()),
    ];
    let next = next_root(&gun(), &world.root, &change, days(3650)).unwrap();
    assert_eq!(
        words(&root(Some(&world.root), &next)),
        [
            format!(
                "root key {canonical} is listed by another certificate: {} instead of {old}",
                renewed.id()
            ),
            format!("root key {} added", spare.id()),
            "2 of 2 root keys must sign instead of 1".to_owned(),
        ]
    );
    let first = words(&root(None, &next));
    assert!(first.contains(&"2 of 2 root keys must sign".to_owned()), "{first:?}");
    assert!(first.contains(&format!("targets is signed by the key {}", world.targets_key.public.id())));

    // The retired certificate is described all the time: back in the role it is an added key like any other.
    let back = [
        RootChange::AddRootKey(world.root_key.public.clone()),
        RootChange::RemoveRootKey(renewed.id()),
        RootChange::RemoveRootKey(spare.id()),
        RootChange::SetThreshold(1.try_into().unwrap()),
    ];
    let last = next_root(&gun(), &next, &back, days(3650)).unwrap();
    assert_eq!(
        words(&root(Some(&next), &last)),
        [
            format!(
                "root key {canonical} is listed by another certificate: {old} instead of {}",
                renewed.id()
            ),
            format!("root key {} removed", spare.id()),
            "1 of 1 root key must sign instead of 2".to_owned(),
        ]
    );
}

#[test]
fn a_snapshots_files_are_compared() {
    let meta = |name: &str| {
        [("root", name), ("targets", "t")]
            .map(|(role, text)| (role.parse().unwrap(), FileMeta::of(text.as_bytes())))
    };
    let base = Snapshot { expires: days(1), meta: meta("a").into(), version: version(1) };
    let mut new = Snapshot { meta: meta("b").into(), ..base.clone() };
    new.meta.insert(RoleName::releases(), FileMeta::of(b"r"));
    let differences = snapshot(Some(&base), &new);
    assert_eq!(differences.len(), 2);
    assert!(matches!(&differences[0], Difference::FileChanged { role: RoleName::Root, to: Some(_) }));
    let gone = snapshot(Some(&new), &base);
    assert_eq!(gone[1], Difference::FileChanged { role: RoleName::releases(), to: None });
    assert_eq!(snapshot(Some(&base), &base), []);
    assert!(base.version().get() == 1);
}

#[test]
fn names_cannot_leave_their_line() {
    let tag = tag("v1\u{202e}\u{2028}\u{212a}");
    assert_eq!(Difference::TagRemoved { tag }.to_string(), "tag v1\\u{202e}\\u{2028}\\u{212a} removed");
    let what = "\u{1b}[2J".to_owned();
    assert_eq!(Difference::Other { what }.to_string(), "\\u{1b}[2J");
    let added = Difference::DelegationAdded {
        name: DelegationName::releases(),
        keys: Vec::new(),
        paths: vec!["\n".to_owned(), "v".to_owned()],
    };
    assert_eq!(added.to_string(), "targets/releases may sign tags that begin with \\u{a} or v: none");
}
