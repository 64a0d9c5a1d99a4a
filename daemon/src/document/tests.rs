use std::collections::BTreeMap;

use touchmark_tuf::{DelegatedRole, DelegationName, Delegations, PublicKey, Target, TargetName};

use super::*;
use crate::policy::{Action, Need};

fn expires(unix: i64) -> Expires {
    Expires::at(Instant::from_unix(unix))
}

fn tag(text: &str) -> TargetName {
    text.parse().unwrap()
}

fn digest(text: &str) -> Sha256Digest {
    Sha256Digest::of(text.as_bytes())
}

fn targets(version: u64, tags: &[(&str, &str)]) -> Targets {
    Targets {
        delegations: Delegations::default(),
        expires: expires(2_000),
        targets: tags.iter().map(|(name, content)| (tag(name), Target::new(digest(content), 5))).collect(),
        version: Version::try_from(version).unwrap(),
    }
}

fn exact_of(role: RoleName, targets: &Targets) -> Exact {
    Exact::read(role, targets.write()).unwrap()
}

fn actions(role: &RoleName, differences: &[Difference]) -> Vec<String> {
    let word = |need: Need| match need.tag {
        Some(tag) => format!("{} {tag}", need.action),
        None => need.action.to_string(),
    };
    needs(role, differences).unwrap().into_iter().map(word).collect()
}

#[test]
fn every_difference_is_an_action() {
    let base = targets(1, &[("a", "1"), ("b", "1")]);
    let body = Body::Targets(base.clone());
    let change = |tags: &[(&str, &str)], until: i64| {
        let mut next = targets(2, tags);
        next.expires = expires(until);
        actions(&RoleName::Targets, &exact_of(RoleName::Targets, &next).differences(Some(&body)))
    };
    assert_eq!(change(&[("a", "1"), ("b", "1"), ("c", "1")], 2_000), ["sign c"]);
    assert_eq!(change(&[("a", "2"), ("b", "1")], 3_000), ["sign a"], "a new expiry comes with every change");
    assert_eq!(change(&[("a", "1")], 3_000), ["revoke b"]);
    assert_eq!(change(&[("a", "2"), ("c", "1")], 3_000), ["sign a", "sign c", "revoke b"]);
    assert_eq!(change(&[("a", "1"), ("b", "1")], 3_000), ["refresh"]);
    assert_eq!(change(&[("a", "1"), ("b", "1")], 2_000), ["refresh"], "a new version of the same");
}

#[test]
fn a_first_document_is_an_init_but_for_a_delegation() {
    let first = targets(1, &[("a", "1")]);
    let differences = exact_of(RoleName::Targets, &first).differences(None);
    assert_eq!(actions(&RoleName::Targets, &differences), ["sign a", "init"]);
    let role: RoleName = "targets/alice".parse().unwrap();
    assert_eq!(actions(&role, &differences), ["sign a"]);
}

#[test]
fn a_difference_without_a_name_is_refused() {
    let other = Difference::Other { what: "odd\u{202e}".to_owned() };
    let error = needs(&RoleName::Targets, &[other]).unwrap_err();
    assert_eq!(
        error,
        DocumentError::Change { role: RoleName::Targets, what: "odd\\u{202e}".to_owned() },
        "and shown escaped"
    );
}

#[test]
fn changes_of_delegations_need_delegate_and_of_keys_rotate() {
    let name = DelegationName::new("alice").unwrap();
    let removed = Difference::DelegationRemoved { name };
    assert_eq!(actions(&RoleName::Targets, &[removed]), [Action::Delegate.as_str()]);
    let keys =
        Difference::RoleKeysChanged { role: RoleName::Timestamp, from: vec![], keys: vec![], threshold: 1 };
    assert_eq!(actions(&RoleName::Root, std::slice::from_ref(&keys)), ["rotate"]);
    let created = Difference::Created { what: "root", expires: expires(2_000) };
    assert_eq!(actions(&RoleName::Root, &[created, keys]), ["init"]);
}

#[test]
fn a_delegation_lies_below_its_document_and_has_the_keys_that_it_needs() {
    let key = PublicKey::new(touchmark_tuf::KeyType::Ed25519, &[7; 32]);
    let gun: Gun = "r/app".parse().unwrap();
    let listed = |name: &str, threshold: u32| {
        let mut targets = targets(1, &[]);
        targets.delegations = Delegations {
            keys: BTreeMap::from([(key.id(), key.clone())]),
            roles: vec![DelegatedRole {
                name: name.parse().unwrap(),
                key_ids: vec![key.id()],
                threshold: threshold.try_into().unwrap(),
                paths: vec![String::new()],
            }],
        };
        targets
    };
    let check = |role: RoleName, base: Option<&Targets>, targets: &Targets| {
        let base = base.map(|base| Body::Targets(base.clone()));
        exact_of(role, targets).check(&gun, base.as_ref(), &[])
    };
    let role = || RoleName::Targets;
    assert_eq!(check(role(), None, &listed("targets/a", 1)), Ok(()));
    assert!(matches!(check(role(), None, &listed("targets/a", 2)), Err(DocumentError::Rule { .. })));
    assert!(matches!(check(role(), None, &listed("targets/a/b", 1)), Err(DocumentError::Rule { .. })));
    let below = "targets/a".parse().unwrap();
    assert_eq!(check(below, None, &listed("targets/a/b", 1)), Ok(()));
    // What other programs left behind may stay.
    let odd = listed("targets/a", 2);
    assert_eq!(check(role(), Some(&odd), &odd), Ok(()));
}

#[test]
fn an_unchanged_expiry_is_not_looked_at() {
    let exact = exact_of(RoleName::Targets, &targets(2, &[]));
    let base = Body::Targets(targets(1, &[]));
    let now = Instant::from_unix(5_000);
    assert_eq!(exact.check_expiry(Some(&base), now, Duration::from_secs(1)), Ok(NewExpiry::No));
    assert!(matches!(
        exact.check_expiry(None, now, Duration::from_secs(1)),
        Err(DocumentError::Expiry { .. })
    ));
    let before = Instant::from_unix(1_000);
    assert_eq!(exact.check_expiry(None, before, Duration::from_secs(1_000)), Ok(NewExpiry::Yes));
    assert!(exact.check_expiry(None, before, Duration::from_secs(999)).is_err());
}

#[test]
fn timestamps_are_not_signed_here() {
    assert_eq!(Exact::read(RoleName::Timestamp, b"{}".to_vec()).unwrap_err(), DocumentError::Timestamp);
}

#[test]
fn a_document_of_other_people_reads_with_fields_that_nobody_knows() {
    let signed = br#"{"_type":"Targets","delegations":{"keys":{},"roles":[]},"expires":"1970-01-01T00:33:20Z","spec":"1","targets":{},"version":3}"#;
    let signature = Signature {
        key_id: touchmark_tuf::KeyId::from_bytes([1; 32]),
        method: touchmark_tuf::Method::Ecdsa,
        bytes: vec![1; 64],
    };
    let body = Body::of_known(&RoleName::Targets, signed, &[signature]).unwrap();
    assert_eq!(body, Body::Targets(targets(3, &[])));
    assert!(Exact::read(RoleName::Targets, signed.to_vec()).is_err());
}
