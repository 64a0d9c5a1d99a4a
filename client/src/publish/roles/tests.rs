use std::num::NonZeroU32;

use touchmark_tuf::{
    DelegatedRole, DelegationName, Delegations, Expires, Instant, RootRoles, Sha256Digest, Target,
    TargetChange, Version,
};

use super::*;

fn public(seed: u8) -> PublicKey {
    let mut point = [seed; 65];
    point[0] = 4;
    PublicKey::from_p256_point(&point)
}

fn gun() -> Gun {
    "localhost:5000/a".parse().unwrap()
}

fn held(role: v1::Role, seed: u8, gun: &str) -> v1::Key {
    let repositories = if gun.is_empty() { vec![] } else { vec![gun.to_owned()] };
    v1::Key {
        id: public(seed).canonical_id().to_string(),
        role: role.into(),
        repositories,
        ..v1::Key::default()
    }
}

fn expires() -> Expires {
    Expires::at(Instant::from_unix(2_000_000_000))
}

fn root() -> Root {
    let one = |seed: u8| RoleKeys::any_of(vec![public(seed).id()]);
    Root {
        consistent_snapshot: false,
        expires: expires(),
        keys: (1..=4).map(|seed| (public(seed).id(), public(seed))).collect(),
        roles: RootRoles { root: one(1), targets: one(2), snapshot: one(3), timestamp: one(4) },
        version: Version::FIRST,
    }
}

fn targets(delegations: &[(&str, &[u8], u32)], tags: &[&str]) -> Targets {
    let roles = delegations.iter().map(|(name, seeds, threshold)| DelegatedRole {
        name: DelegationName::new(name).unwrap(),
        key_ids: seeds.iter().map(|seed| public(*seed).id()).collect(),
        threshold: NonZeroU32::new(*threshold).unwrap(),
        paths: vec![String::new()],
    });
    let keys =
        delegations.iter().flat_map(|(_, seeds, _)| *seeds).map(|seed| (public(*seed).id(), public(*seed)));
    Targets {
        delegations: Delegations { keys: keys.collect(), roles: roles.collect() },
        expires: expires(),
        targets: tags
            .iter()
            .map(|tag| (tag.parse().unwrap(), Target::new(Sha256Digest::from_bytes([9; 32]), 1)))
            .collect(),
        version: Version::FIRST,
    }
}

fn set() -> Goal {
    let target = Target::new(Sha256Digest::from_bytes([1; 32]), 1);
    Goal::Apply(vec![TargetChange::Set { name: "1".parse().unwrap(), target }])
}

fn names(chosen: &[Signing]) -> Vec<&str> {
    chosen.iter().map(|signing| signing.role.as_str()).collect()
}

#[test]
fn without_delegations_the_targets_key_signs() {
    let ring = Keyring::of(&gun(), &[held(v1::Role::Targets, 2, gun().as_str())]);
    let chosen = choose(&gun(), &set(), &ring, &root(), &targets(&[], &[])).unwrap();
    assert_eq!(names(&chosen), ["targets"]);
    assert_eq!(chosen[0].with, [public(2).canonical_id()]);
}

#[test]
fn with_delegations_every_one_whose_key_is_held_signs_and_targets_does_not() {
    let ring = Keyring::of(
        &gun(),
        &[held(v1::Role::Targets, 2, gun().as_str()), held(v1::Role::Delegation, 5, gun().as_str())],
    );
    let targets = targets(&[("alice", &[5], 1), ("releases", &[6, 5], 1), ("bob", &[6], 1)], &[]);
    let chosen = choose(&gun(), &set(), &ring, &root(), &targets).unwrap();
    assert_eq!(names(&chosen), ["targets/alice", "targets/releases"]);
}

#[test]
fn a_tag_in_targets_is_withdrawn_there_too() {
    let ring = Keyring::of(
        &gun(),
        &[held(v1::Role::Targets, 2, gun().as_str()), held(v1::Role::Delegation, 5, gun().as_str())],
    );
    let remove = Goal::Apply(vec![TargetChange::Remove { name: "old".parse().unwrap() }]);
    let delegations: &[(&str, &[u8], u32)] = &[("alice", &[5], 1)];
    let chosen = choose(&gun(), &remove, &ring, &root(), &targets(delegations, &["old"])).unwrap();
    assert_eq!(names(&chosen), ["targets/alice", "targets"]);
    let chosen = choose(&gun(), &remove, &ring, &root(), &targets(delegations, &["other"])).unwrap();
    assert_eq!(names(&chosen), ["targets/alice"]);
}

#[test]
fn a_key_of_another_repository_is_no_key_here() {
    let ring = Keyring::of(&gun(), &[held(v1::Role::Targets, 2, "localhost:5000/b")]);
    let error = choose(&gun(), &set(), &ring, &root(), &targets(&[], &[])).unwrap_err();
    assert_eq!(error.reason, Reason::KeyUnknown);
    assert!(error.message.contains(&public(2).canonical_id().to_string()), "{}", error.message);
}

#[test]
fn a_threshold_that_cannot_be_reached_is_no_signature() {
    let ring = Keyring::of(&gun(), &[held(v1::Role::Delegation, 5, gun().as_str())]);
    let targets = targets(&[("releases", &[5, 6], 2)], &[]);
    assert_eq!(choose(&gun(), &set(), &ring, &root(), &targets).unwrap_err().reason, Reason::KeyUnknown);
}

#[test]
fn any_one_of_several_root_keys_suffices() {
    let mut root = root();
    root.keys.insert(public(7).id(), public(7));
    root.roles.root.key_ids.push(public(7).id());
    let ring = Keyring::of(&gun(), &[held(v1::Role::Root, 7, "")]);
    assert_eq!(ring.base_role(&RoleName::Root, &root).unwrap().with, [public(7).canonical_id()]);
    let both = Keyring::of(&gun(), &[held(v1::Role::Root, 1, ""), held(v1::Role::Root, 7, "")]);
    assert_eq!(both.base_role(&RoleName::Root, &root).unwrap().with.len(), 1);
}
