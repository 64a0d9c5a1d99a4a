//! The document before: who is believed about it.
use touchmark_tuf::{Document as _, RoleName, Sha256Digest, Snapshot, TargetChange, next_snapshot};

use super::world::{ALICE, OWN, SoftKey, World, grant, gun, set, tag};
use crate::document::DocumentError;
use crate::policy::Action;
use crate::sign::{AcceptRoot, DocumentToSign, Seen, SignError};
use crate::vault::KeyRole;

#[tokio::test]
async fn a_repository_of_other_people_needs_its_root_accepted() {
    let world = World::new().await;
    let base = world.targets(7, &[set("v1", "one")]);
    let next = world.next(&base, &[set("v2", "two")]);
    let request = || world.request(vec![world.to_sign(&next)]);

    // Nothing known, nothing brought.
    assert!(matches!(world.sign_as(OWN, request()).await, Err(SignError::BaseUnknown { .. })));
    // Brought, without consent.
    let mut brought = request();
    brought.bases = world.server(&base);
    assert!(matches!(
        world.sign_as(OWN, brought).await,
        Err(SignError::BaseUnknown { role: RoleName::Root, .. })
    ));
    // Pinned to another key.
    let mut pinned = request();
    pinned.bases = world.server(&base);
    pinned.accept_root = Some(AcceptRoot::Pinned(vec![SoftKey::new(3).public().id()]));
    assert!(matches!(world.sign_as(OWN, pinned).await, Err(SignError::BaseRefused { .. })));
    assert!(world.ledger().await.is_empty());
    // Pinned to the right one.
    let mut pinned = request();
    pinned.bases = world.server(&base);
    pinned.accept_root = Some(AcceptRoot::Pinned(vec![world.root_key.public().canonical_id()]));
    world.sign_as(OWN, pinned).await.unwrap();
    assert_eq!(world.ledger().await, ["targets 8 released"]);
    let rows = world.road.store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert!(rows.iter().any(|row| row.json.contains(r#""kind":"root-first-use","pinned":true"#)), "{rows:?}");
}

#[tokio::test]
async fn a_tampered_base_is_refused() {
    let world = World::new().await;
    let base = world.known().await;
    let newer = world.next(&base, &[set("v3", "three")]);
    let next = world.next(&newer, &[set("v4", "four")]);
    let good = world.targets_file(&newer);
    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [
        text.replace("\"length\":500", "\"length\":501"),
        text.replace("\"signatures\":[{", "\"signatures\":[],\"x\":[{"),
        text.replace("\"version\":3", "\"version\":9"),
        String::from_utf8(SoftKey::new(4).file(&newer.write(), world.targets_key.id())).unwrap(),
        "{}".to_owned(),
    ] {
        assert_ne!(bad, text);
        let mut request = world.request(vec![world.to_sign(&next)]);
        request.bases = vec![(RoleName::Targets, bad.into_bytes())];
        let error = world.sign_as(OWN, request).await.unwrap_err();
        assert!(matches!(error, SignError::BaseRefused { role: RoleName::Targets, .. }), "{error}");
    }
    let mut request = world.request(vec![world.to_sign(&next)]);
    request.bases = vec![(RoleName::Targets, good)];
    world.sign_as(OWN, request).await.unwrap();
}

#[tokio::test]
async fn the_caller_does_not_choose_the_difference() {
    // Bob may sign new tags. He shows an old document of the server, in which `v2` is not there yet, so that taking
    // it away would not show.
    let bob = 1002;
    let grants = vec![
        grant(ALICE, &["**"], None, &Action::ALL),
        grant(bob, &["**"], None, &[Action::Sign, Action::Refresh]),
    ];
    let world = World::with_policy(grants).await;
    let base = world.known().await;
    let old = world.targets(1, &[set("v1", "one"), set("latest", "one")]);
    let evil = world.next(&base, &[TargetChange::Remove { name: tag("v2") }]);
    let mut request = world.request(vec![world.to_sign(&evil)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&old))];
    let error = world.sign_as(bob, request).await.unwrap_err();
    assert!(matches!(error, SignError::NotAllowed(_)), "{error}");
}

#[tokio::test]
async fn a_newer_document_of_the_server_is_built_upon_and_the_same_one_counts_as_published() {
    let world = World::new().await;
    let base = world.known().await;
    let kept = || world.road.store.read(|view| view.kept(&gun(), &RoleName::Targets));
    assert!(!kept().await.unwrap().unwrap().published);
    // Ours, as the server shows it now.
    let next = world.next(&base, &[set("v3", "three")]);
    let mut request = world.request(vec![world.to_sign(&next)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&base))];
    world.sign_as(OWN, request).await.unwrap();
    let rows = world.audit().await;
    assert_eq!(
        rows.iter().filter(|row| *row == "base-accepted").count(),
        1,
        "only the first one was news: {rows:?}"
    );
    // Version 3 was never published: another signer's version 3 is on the server.
    let theirs = world.next(&base, &[set("theirs", "x")]);
    let four = world.next(&theirs, &[set("v4", "four")]);
    let mut request = world.request(vec![world.to_sign(&four)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&theirs))];
    let signed = world.sign_as(OWN, request).await.unwrap();
    assert_eq!(signed.differences.len(), 1, "built upon theirs: {:?}", signed.differences);
    // What the server had and what it has now cannot both be version 3.
    let mut request = world.request(vec![world.to_sign(&four)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&next))];
    world.sign_as(OWN, request).await.unwrap(); // older than ours: nothing to learn
}

#[tokio::test]
async fn the_server_cannot_have_two_documents_under_one_published_version() {
    let world = World::new().await;
    let base = world.known().await;
    let three = world.next(&base, &[set("v3", "three")]);
    let mut request = world.request(vec![world.to_sign(&world.next(&three, &[set("v4", "four")]))]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&three))];
    world.sign_as(OWN, request).await.unwrap();
    world
        .road
        .store
        .write(|tx| tx.mark_published(&gun(), &RoleName::Targets, 4.try_into().unwrap()))
        .await
        .unwrap();
    let other_four = world.next(&three, &[set("v4", "other")]);
    let mut request = world.request(vec![world.to_sign(&world.next(&other_four, &[set("v5", "five")]))]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&other_four))];
    let error = world.sign_as(OWN, request).await.unwrap_err();
    assert!(matches!(error, SignError::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn a_moved_state_wants_the_servers_document_first() {
    let world = World::new().await;
    let base = world.known().await;
    world.road.store.close().await;
    restore(&world);
    let mut world = world;
    world.road.store = world.fixture.open();

    let next = world.next(&base, &[set("v3", "three")]);
    let error = world.sign(&next).await.unwrap_err();
    assert!(matches!(&error, SignError::BaseUnknown { why, .. } if why.contains("restored")), "{error}");
    // The server went on meanwhile.
    let server = world.next(&next, &[set("v4", "four")]);
    let five = world.next(&server, &[set("v5", "five")]);
    let mut request = world.request(vec![world.to_sign(&five)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&server))];
    world.sign_as(OWN, request).await.unwrap();
    world.sign(&world.next(&five, &[set("v6", "six")])).await.unwrap();
}

#[tokio::test]
async fn after_a_crash_before_the_outcome_the_same_document_is_signed_again_and_no_other() {
    let world = World::new().await;
    let base = world.known().await;
    let next = world.next(&base, &[set("v3", "three")]);
    world.sign(&next).await.unwrap();
    world.road.store.close().await;
    lose_the_outcome(&world);
    let mut world = world;
    world.road.store = world.fixture.open();
    assert!(matches!(
        world.sign(&world.next(&base, &[set("v3", "other")])).await,
        Err(SignError::VersionReused { .. })
    ));
    let answer = world.sign(&next).await.unwrap();
    assert_eq!(world.ledger().await[0], "targets 3 released");
    let kept = world.road.store.read(|view| view.kept(&gun(), &RoleName::Targets)).await.unwrap().unwrap();
    assert_eq!(kept.file().unwrap(), World::answered(&next, &answer));
}

#[tokio::test]
async fn after_a_crash_and_a_restore_the_servers_document_leads_to_the_same_signature() {
    let world = World::new().await;
    let base = world.known().await;
    let next = world.next(&base, &[set("v3", "three")]);
    world.sign(&next).await.unwrap();
    world.road.store.close().await;
    lose_the_outcome(&world);
    restore(&world);
    let mut world = world;
    world.road.store = world.fixture.open();
    let error = world.sign(&next).await.unwrap_err();
    assert!(matches!(&error, SignError::BaseUnknown { why, .. } if why.contains("restored")), "{error}");
    let mut request = world.request(vec![world.to_sign(&next)]);
    request.bases = vec![(RoleName::Targets, world.targets_file(&base))];
    world.sign_as(OWN, request).await.unwrap();
    assert_eq!(world.ledger().await[0], "targets 3 released");
}

/// What the disk shows when the power goes between the intent of version 3 and its outcome.
fn lose_the_outcome(world: &World) {
    let lost = "UPDATE ledger SET state = 'reserved', holders = 1 WHERE version = 3;
                DELETE FROM document_signatures WHERE version = 3;";
    world.fixture.sqlite().execute_batch(lost).unwrap();
}

/// Puts a copy in the place of the database, which is another file then.
fn restore(world: &World) {
    let file = world.fixture.state().join(crate::store::FILE);
    let copy = world.fixture.dir.path().join("copy");
    std::fs::copy(&file, &copy).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&copy, &file).unwrap();
}

#[tokio::test]
async fn a_snapshot_lists_only_what_was_signed_or_verified_here() {
    let mut world = World::with_policy(vec![grant(ALICE, &["**"], None, &Action::ALL)]).await;
    let snapshot_key = world.vault_key(KeyRole::Snapshot, &[gun()]).await;
    let mut root = world.first_root();
    root.roles.snapshot.key_ids = vec![snapshot_key.id()];
    root.keys.insert(snapshot_key.id(), snapshot_key.clone());
    root.keys.retain(|id, _| *id != SoftKey::new(8).public().id());
    let targets = world.targets(1, &[set("v1", "one")]);
    let next = world.next(&targets, &[set("v2", "two")]);
    let root_file = world.root_file(&root);
    let mut request = world.request(vec![world.to_sign(&next)]);
    request.bases =
        vec![(RoleName::Root, root_file.clone()), (RoleName::Targets, world.targets_file(&targets))];
    request.accept_root = Some(AcceptRoot::FirstUse);
    let answer = world.sign_as(ALICE, request).await.unwrap();
    let document = |snapshot: &Snapshot| DocumentToSign {
        role: RoleName::Snapshot,
        key_ids: vec![snapshot_key.canonical_id()],
        bytes: snapshot.write(),
    };
    let next_file = World::answered(&next, &answer);
    let files = [(RoleName::Root, root_file.as_slice()), (RoleName::Targets, next_file.as_slice())];
    let good = next_snapshot(None, &files, world.in_days(100)).unwrap();
    let stray = world.targets_file(&world.next(&targets, &[set("v2", "evil")]));
    let files = [(RoleName::Root, root_file.as_slice()), (RoleName::Targets, stray.as_slice())];
    let bad = next_snapshot(None, &files, world.in_days(100)).unwrap();
    let error = world.sign_as(ALICE, world.request(vec![document(&bad)])).await.unwrap_err();
    assert!(matches!(error, SignError::Document(DocumentError::Rule { .. })), "{error}");
    world.sign_as(ALICE, world.request(vec![document(&good)])).await.unwrap();
    world.root_cert = world.root_key.certified(&gun());
}

#[tokio::test]
async fn the_servers_files_of_other_roles_are_not_looked_at() {
    let world = World::new().await;
    let base = world.known().await;
    let mut request = world.request(vec![world.to_sign(&world.next(&base, &[set("v3", "three")]))]);
    let strange = b"{\"strange\":true}".to_vec();
    request.bases = ["timestamp", "snapshot", "targets/gone"]
        .map(|role| (role.parse().unwrap(), strange.clone()))
        .into_iter()
        .chain([(RoleName::Root, world.root_file(&world.first_root()))])
        .collect();
    world.sign_as(OWN, request).await.unwrap();
    let kept = world.road.store.read(|view| view.kept(&gun(), &RoleName::Root)).await.unwrap().unwrap();
    assert!(kept.published);
}

#[tokio::test]
async fn what_another_client_had_signed_meanwhile_is_not_given_up_for_the_servers_document() {
    let world = World::new().await;
    let base = world.known().await;
    let digest = |targets: &touchmark_tuf::Targets| Sha256Digest::of(&targets.write());
    let seen = |targets| Seen { role: RoleName::Targets, digest: Some(digest(targets)) };
    // Both clients were shown `base`. One signs `v3`, and does not get to publishing it.
    let ours = world.next(&base, &[set("v3", "three")]);
    let mut first = world.request(vec![world.to_sign(&ours)]);
    first.seen = vec![seen(&base)];
    world.sign_as(OWN, first).await.unwrap();
    // Somebody else publishes that version; the other client builds on theirs, without `v3`.
    let theirs = world.next(&base, &[set("theirs", "x")]);
    let four = world.next(&theirs, &[set("v4", "four")]);
    let second = |shown| {
        let mut request = world.request(vec![world.to_sign(&four)]);
        request.bases = vec![(RoleName::Targets, world.targets_file(&theirs))];
        request.seen = vec![shown];
        request
    };
    let nothing = Seen { role: RoleName::Targets, digest: None };
    for stale in [seen(&base), nothing] {
        let error = world.sign_as(OWN, second(stale)).await.unwrap_err();
        assert!(matches!(error, SignError::Conflict { .. }), "{error}");
    }
    let kept = world.road.store.read(|view| view.kept(&gun(), &RoleName::Targets)).await.unwrap().unwrap();
    assert_eq!(kept.digest, digest(&ours), "what was signed is still there");
    world.sign_as(OWN, second(seen(&ours))).await.unwrap();
}
