//! Tags: what signers do all day, and what they may not.
use touchmark_tuf::{Document as _, TargetChange, diff};

use super::world::{ALICE, OWN, World, caller, grant, gun, set, signed_by, tag, words};
use crate::document::DocumentError;
use crate::policy::Action;
use crate::sign::{DocumentToSign, SignError, sign};
use crate::vault::KeyRole;

#[tokio::test]
async fn a_tag_is_added_moved_and_revoked() {
    let world = World::new().await;
    let (mut base, mut file) = (world.known().await, Vec::new());
    for changes in [
        vec![set("v3", "three")],
        vec![set("latest", "three")],
        vec![TargetChange::Remove { name: tag("v1") }],
        vec![set("v4", "four"), set("latest", "four"), TargetChange::Remove { name: tag("v2") }],
    ] {
        let next = world.next(&base, &changes);
        let signed = world.sign(&next).await.unwrap();
        assert!(signed_by(&signed, 0, &next.write(), &world.targets_key));
        assert_eq!(signed.differences, words(&diff::targets(Some(&base), &next)));
        assert_eq!(signed.documents[0].version, next.version);
        (base, file) = (next.clone(), World::answered(&next, &signed));
    }
    let ledger = world.ledger().await;
    assert_eq!(ledger[0], "targets 6 released");
    assert_eq!(ledger.len(), 5);
    let last =
        world.road.store.read(|view| view.kept(&gun(), &touchmark_tuf::RoleName::Targets)).await.unwrap();
    let last = last.unwrap();
    assert_eq!((last.signed.clone(), last.published), (base.write(), false));
    assert_eq!(last.file().unwrap(), file, "published byte for byte as it was signed");
}

#[tokio::test]
async fn the_answer_names_the_audit_row_of_its_intent() {
    let world = World::new().await;
    let base = world.known().await;
    let signed = world.sign(&world.next(&base, &[set("v3", "three")])).await.unwrap();
    let audit = world.audit().await;
    assert_eq!(
        audit,
        ["root-first-use", "base-accepted", "intent", "outcome released", "intent", "outcome released"]
    );
    let rows = world.road.store.read(|view| view.audit_rows(5, 1)).await.unwrap();
    assert_eq!((signed.receipt.seq, signed.receipt.hash.to_vec()), (5, rows[0].hash.clone()));
    assert!(rows[0].json.contains("tag v3 added"), "{}", rows[0].json);
}

#[tokio::test]
async fn versions_go_up_by_one_and_never_get_other_content() {
    let world = World::new().await;
    let two = world.known().await;
    let three = world.next(&two, &[set("v3", "three")]);
    let first = world.sign(&three).await.unwrap();

    let other_three = world.next(&two, &[set("v3", "evil")]);
    assert!(matches!(world.sign(&other_three).await, Err(SignError::VersionReused { .. })));
    assert!(matches!(world.sign(&two).await, Err(SignError::VersionRegression { .. })));
    let mut five = world.next(&three, &[set("v5", "five")]);
    five.version = 5.try_into().unwrap();
    assert!(matches!(world.sign(&five).await, Err(SignError::BaseUnknown { .. })));

    // The same content again: the same signature, and nothing new in the ledger.
    let again = world.sign(&three).await.unwrap();
    assert_eq!(again.documents, first.documents);
    assert_eq!(world.ledger().await, ["targets 3 released", "targets 2 released"]);
}

#[tokio::test]
async fn what_is_not_read_to_the_last_byte_is_not_signed() {
    let world = World::new().await;
    let base = world.known().await;
    let bytes = world.next(&base, &[set("v3", "three")]).write();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let evil = r#""Targets":{"v9":{"hashes":{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"length":5}},"#;
    for changed in [
        text.replace(r#""_type""#, &format!(r#"{evil}"_type""#)),
        text.replace(r#""targets":{"#, &format!(r#"{evil}"targets":{{"#)),
        text.replace(r#""targets":{"#, r#""targets":{},"targets":{"#),
        text.replace(r#""version""#, r#""spec_version":"1.0","version""#),
        text.replace(r#""length":500"#, r#""length":500.0"#),
        text.replace(':', ": "),
        format!("{text}\n"),
        text.replace(r#""_type":"Targets""#, r#""_type":"Root""#),
    ] {
        assert_ne!(changed, text);
        let document = DocumentToSign { bytes: changed.clone().into_bytes(), ..world.to_sign(&base) };
        let error = world.sign_as(OWN, world.request(vec![document])).await.unwrap_err();
        assert!(matches!(error, SignError::Document(DocumentError::NotExact { .. })), "{changed}: {error}");
    }
    assert_eq!(world.ledger().await, ["targets 2 released"]);
}

#[tokio::test]
async fn a_difference_that_no_policy_names_is_refused() {
    let world = World::new().await;
    let base = world.known().await;
    let mut next = world.next(&base, &[set("v3", "three")]);
    let stray = super::world::SoftKey::new(77).public();
    next.delegations.keys.insert(stray.id(), stray);
    let error = world.sign(&next).await.unwrap_err();
    assert!(matches!(error, SignError::Document(DocumentError::Change { .. })), "{error}");
}

#[tokio::test]
async fn the_policy_decides_by_tag_and_action_and_refusals_leave_no_trace_in_the_ledger() {
    let alice_may_all = grant(ALICE, &["**"], None, &Action::ALL);
    let bob = 1002;
    let bob_signs = grant(bob, &["r.example.com/team/*"], Some(&["v*"]), &[Action::Sign]);
    let world = World::with_policy(vec![alice_may_all, bob_signs]).await;
    let base = world.known().await;
    let refused = |changes: Vec<TargetChange>, uid| {
        let next = world.next(&base, &changes);
        let world = &world;
        async move {
            let error = world.sign_as(uid, world.request(vec![world.to_sign(&next)])).await.unwrap_err();
            assert!(matches!(error, SignError::NotAllowed(_)), "{changes:?}: {error}");
        }
    };
    refused(vec![set("latest", "three")], bob).await;
    refused(vec![set("v3", "three"), set("latest", "three")], bob).await;
    refused(vec![TargetChange::Remove { name: tag("v1") }], bob).await;
    refused(vec![], bob).await; // a new expiry and nothing else
    refused(vec![set("v3", "three")], OWN).await;
    assert_eq!(world.ledger().await, ["targets 2 released"]);
    let next = world.next(&base, &[set("v3", "three")]);
    world.sign_as(bob, world.request(vec![world.to_sign(&next)])).await.unwrap();
    let counts = world.road.store.read(|view| view.refusals(0)).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.uid, count.reason.as_str(), count.count)).collect();
    assert_eq!(counts, [(OWN, "NOT_ALLOWED", 1), (bob, "NOT_ALLOWED", 4)]);
}

#[tokio::test]
async fn a_key_that_the_caller_may_not_see_does_not_exist() {
    let world = World::with_policy(vec![grant(ALICE, &["other/*"], None, &Action::ALL)]).await;
    let first = world.targets(1, &[]);
    let error = world.sign_as(ALICE, world.request(vec![world.to_sign(&first)])).await.unwrap_err();
    assert!(matches!(error, SignError::KeyUnknown { .. }), "{error}");
}

#[tokio::test]
async fn a_key_of_two_repositories_needs_the_right_in_both() {
    let bob = 1002;
    let grants = vec![
        grant(ALICE, &["**"], None, &Action::ALL),
        grant(bob, &["r.example.com/team/app"], None, &Action::ALL),
    ];
    let world = World::with_policy(grants).await;
    let base = world.known().await;
    let signer = touchmark_tuf::DelegationName::new("bob").unwrap();
    let guns = [gun(), "r.example.com/team/other".parse().unwrap()];
    let key = world.vault_key(KeyRole::Delegation(signer.clone()), &guns).await;
    let next =
        world.next(&base, &[TargetChange::AddSigner { name: signer.clone(), keys: vec![key.clone()] }]);
    world.sign_as(ALICE, world.request(vec![world.to_sign(&next)])).await.unwrap();
    let document = || DocumentToSign {
        role: touchmark_tuf::RoleName::Delegation(signer.clone()),
        key_ids: vec![key.canonical_id()],
        bytes: world.targets(1, &[set("v3", "three")]).write(),
    };
    let error = world.sign_as(bob, world.request(vec![document()])).await.unwrap_err();
    assert!(matches!(&error, SignError::NotAllowed(why) if why.gun == Some(guns[1].clone())), "{error}");
    world.sign_as(ALICE, world.request(vec![document()])).await.unwrap();
}

#[tokio::test]
async fn a_delegated_key_signs_where_it_is_listed_and_nowhere_else() {
    let world = World::new().await;
    let base = world.known().await;
    let signer = touchmark_tuf::DelegationName::new("alice").unwrap();
    let key = world.vault_key(KeyRole::Delegation(signer.clone()), &[gun()]).await;
    let document = |role: &str, changes: &[TargetChange]| DocumentToSign {
        role: role.parse().unwrap(),
        key_ids: vec![key.canonical_id()],
        bytes: world.targets(1, changes).write(),
    };
    let tags = [set("v3", "three")];
    let try_one = |role: &'static str| world.sign_as(OWN, world.request(vec![document(role, &tags)]));
    assert!(matches!(try_one("targets/alice").await, Err(SignError::KeyUnfit { .. })), "not listed yet");
    let next = world.next(&base, &[TargetChange::AddSigner { name: signer, keys: vec![key.clone()] }]);
    // Delegations are not among what the own uid does freely.
    let error = world.sign(&next).await.unwrap_err();
    assert!(matches!(error, SignError::VaultMissing), "nothing to ask a person by: {error}");
    assert_eq!(world.ledger().await[0], "targets 3 void");
    drop(world);

    let world = World::with_policy(vec![grant(ALICE, &["**"], None, &Action::ALL)]).await;
    let base = world.known().await;
    let signer = touchmark_tuf::DelegationName::new("alice").unwrap();
    let key = world.vault_key(KeyRole::Delegation(signer.clone()), &[gun()]).await;
    let next = world.next(&base, &[TargetChange::AddSigner { name: signer, keys: vec![key.clone()] }]);
    let document = |role: &str| DocumentToSign {
        role: role.parse().unwrap(),
        key_ids: vec![key.canonical_id()],
        bytes: world.targets(1, &[set("v3", "three")]).write(),
    };
    // In one request with the document that lists it, and in both roles that Docker makes.
    let documents = vec![world.to_sign(&next), document("targets/alice"), document("targets/releases")];
    let signed = world.sign_as(ALICE, world.request(documents)).await.unwrap();
    assert!(signed_by(&signed, 2, &document("targets/releases").bytes, &key));
    let error = world.sign_as(ALICE, world.request(vec![document("targets/bob")])).await.unwrap_err();
    assert!(matches!(error, SignError::KeyUnfit { .. }), "{error}");
    let mut wrong = document("targets");
    wrong.bytes = world.next(&next, &[set("v9", "nine")]).write();
    let error = world.sign_as(ALICE, world.request(vec![wrong])).await.unwrap_err();
    assert!(matches!(error, SignError::KeyUnfit { .. }), "{error}");
}

#[tokio::test]
async fn an_expiry_lies_ahead_and_within_the_limit() {
    let world = World::new().await;
    let base = world.known().await;
    let mut next = world.next(&base, &[]);
    for days in [1095, 1] {
        next.expires = world.in_days(days);
        world.sign(&next).await.unwrap();
        next = world.next(&next, &[]);
    }
    next.expires = world.in_days(1096);
    assert!(matches!(world.sign(&next).await, Err(SignError::Document(DocumentError::Expiry { .. }))));
    next.expires = touchmark_tuf::Expires::at(touchmark_tuf::Instant::from_unix(1_600_000_000));
    assert!(matches!(world.sign(&next).await, Err(SignError::Document(DocumentError::Expiry { .. }))));
}

#[tokio::test]
async fn with_a_clock_that_went_back_no_new_expiry_is_signed() {
    let world = World::new().await;
    world.fixture.clock.shift(3_600_000);
    let base = world.known().await;
    world.fixture.clock.shift(-3_600_000);
    let next = world.next(&base, &[set("v3", "three")]);
    let error = world.sign(&next).await.unwrap_err();
    assert!(
        matches!(&error, SignError::PolicyRefused { why } if why.contains("60 minutes behind")),
        "{error}"
    );
    let mut next = next;
    next.expires = base.expires.clone();
    world.sign(&next).await.unwrap();
}

#[tokio::test]
async fn a_closed_vault_signs_nothing_and_reserves_nothing() {
    let world = World::new().await;
    let base = world.known().await;
    world.road.vault.lock();
    let error = world.sign(&world.next(&base, &[set("v3", "three")])).await.unwrap_err();
    assert!(matches!(error, SignError::VaultMissing), "no way was ever kept: {error}");
    assert_eq!(world.ledger().await, ["targets 2 released"]);
}

#[tokio::test]
async fn of_two_requests_for_one_version_one_is_signed() {
    let world = World::new().await;
    let base = world.known().await;
    let (left, right) = (world.next(&base, &[set("v3", "left")]), world.next(&base, &[set("v3", "right")]));
    let (left, right) = tokio::join!(world.sign(&left), world.sign(&right));
    let errors: Vec<_> = [left, right].into_iter().filter_map(Result::err).collect();
    assert!(
        matches!(errors.as_slice(), [SignError::Conflict { .. } | SignError::VersionReused { .. }]),
        "{errors:?}"
    );
    assert_eq!(world.ledger().await.len(), 2);
}

#[tokio::test]
async fn several_documents_are_signed_together_or_not_at_all() {
    let world = World::new().await;
    let base = world.known().await;
    let next = world.next(&base, &[set("v3", "three")]);
    let twice = world.request(vec![world.to_sign(&next), world.to_sign(&next)]);
    assert!(matches!(world.sign_as(OWN, twice).await, Err(SignError::Field { field: "documents", .. })));
    let bad = DocumentToSign { role: touchmark_tuf::RoleName::Snapshot, ..world.to_sign(&next) };
    let request = world.request(vec![world.to_sign(&next), bad]);
    assert!(matches!(world.sign_as(OWN, request).await, Err(SignError::Document(_))));
    assert!(matches!(world.sign_as(OWN, world.request(vec![])).await, Err(SignError::Field { .. })));
    assert_eq!(world.ledger().await, ["targets 2 released"]);
}

#[tokio::test]
async fn a_large_document_takes_the_same_road() {
    let world = World::new().await;
    let base = world.known().await;
    let changes: Vec<_> = (0..2000).map(|n| set(&format!("build-{n}"), &n.to_string())).collect();
    let next = world.next(&base, &changes);
    assert!(next.write().len() > 100_000);
    let signed =
        sign(&world.road, &caller(OWN), world.request(vec![world.to_sign(&next)]), &world.somebody(None))
            .await
            .unwrap();
    assert!(signed_by(&signed, 0, &next.write(), &world.targets_key));
    assert_eq!(signed.differences.len(), 50, "the others are counted");
}
