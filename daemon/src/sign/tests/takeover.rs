//! Another targets key: what the keys before it signed is taken over, by whoever may change keys, and only once.
use touchmark_tuf::{
    Document as _, PublicKey, RoleName, Root, RootChange, Signature, Targets, assemble, next_root,
};

use super::world::{ALICE, PIN, World, caller, grant, gun, set};
use crate::policy::Action;
use crate::sign::{AcceptRoot, DocumentToSign, SignError, SignRequest, SignedAll, sign};
use crate::vault::KeyRole;

const BOB: u32 = 1002;

/// A repository whose targets key the next root replaces; Bob may sign tags, Alice everything.
struct Rotated {
    world: World,
    /// What the daemon signed last with the old key, version 2.
    ours: Targets,
    new_key: PublicKey,
    next_root: Root,
    next_file: Vec<u8>,
}

impl Rotated {
    async fn new() -> Self {
        let grants = vec![
            grant(ALICE, &["**"], None, &Action::ALL),
            grant(BOB, &["**"], None, &[Action::Sign, Action::Revoke, Action::Refresh, Action::Init]),
        ];
        let world = World::with_policy(grants).await;
        let ours = world.known().await;
        let new_key = world.vault_key(KeyRole::Targets, &[gun()]).await;
        let change = RootChange::SetRoleKey(RoleName::Targets, new_key.clone());
        let base = world.first_root();
        let next_root = next_root(&gun(), &base, &[change], base.expires.clone()).unwrap();
        let next_file = world.root_file(&next_root);
        Self { world, ours, new_key, next_root, next_file }
    }

    fn request(&self, targets: &Targets, bases: Vec<(RoleName, Vec<u8>)>) -> SignRequest {
        let key_ids = vec![self.new_key.canonical_id()];
        let document = DocumentToSign { role: RoleName::Targets, key_ids, bytes: targets.write() };
        SignRequest { bases, ..self.world.request(vec![document]) }
    }

    fn by_new_key(&self, targets: &Targets) -> Vec<u8> {
        let signed = targets.write();
        let signature = self.world.road.vault.sign(&self.new_key.canonical_id(), &signed).unwrap();
        assemble(&signed, &[Signature::ecdsa(self.new_key.id(), &signature)]).unwrap()
    }

    /// The next root, and what the server still has from the old key.
    fn bases(&self, server: &Targets) -> Vec<(RoleName, Vec<u8>)> {
        vec![(RoleName::Root, self.next_file.clone()), (RoleName::Targets, self.world.targets_file(server))]
    }

    async fn sign(&self, uid: u32, request: SignRequest) -> Result<SignedAll, SignError> {
        self.world.sign_as(uid, request).await
    }
}

#[tokio::test]
async fn what_the_daemon_knows_itself_goes_on_under_the_new_key() {
    let rotated = Rotated::new().await;
    let next = rotated.world.next(&rotated.ours, &[set("v3", "three")]);
    // The server has just that, signed by the old key.
    let signed = rotated.sign(BOB, rotated.request(&next, rotated.bases(&rotated.ours))).await.unwrap();
    assert_eq!(signed.differences.len(), 1, "{:?}", signed.differences);
}

#[tokio::test]
async fn what_others_signed_with_the_old_key_is_taken_over_by_whoever_may_change_keys() {
    let rotated = Rotated::new().await;
    let world = &rotated.world;
    let theirs = world.next(&rotated.ours, &[set("theirs", "x")]);
    let next = world.next(&theirs, &[]);
    let request = || rotated.request(&next, rotated.bases(&theirs));
    let refused = rotated.sign(BOB, request()).await;
    assert!(
        matches!(&refused, Err(SignError::NotAllowed(why)) if why.action == Action::Rotate),
        "{refused:?}"
    );
    let signed = rotated.sign(ALICE, request()).await.unwrap();
    let says = "all of targets version 3, signed by the keys of root version 1, is taken over";
    assert_eq!(signed.differences, [says]);
    assert!(signed.documents[0].signatures.iter().all(|one| one.key_id == rotated.new_key.id()));

    // From here on the old key says nothing any more, whoever asks, with whatever version.
    let mut late = world.next(&next, &[set("late", "y")]);
    late.version = 9.try_into().unwrap();
    let mut after = late.clone();
    after.version = 10.try_into().unwrap();
    let refused = rotated.sign(ALICE, rotated.request(&after, rotated.bases(&late))).await;
    assert!(matches!(&refused, Err(SignError::BaseRefused { role: RoleName::Targets, .. })), "{refused:?}");
    let later = world.next(&next, &[set("v4", "four")]);
    let bases = vec![(RoleName::Targets, rotated.by_new_key(&next))];
    rotated.sign(BOB, rotated.request(&later, bases)).await.unwrap();
}

#[tokio::test]
async fn a_root_that_was_signed_here_before_its_targets_knows_the_one_before_it() {
    let rotated = Rotated::new().await;
    let world = &rotated.world;
    let request = world.request(vec![world.root_to_sign(&rotated.next_root)]);
    sign(&world.road, &caller(ALICE), request, &world.somebody(Some(PIN))).await.unwrap();
    let theirs = world.next(&rotated.ours, &[set("theirs", "x")]);
    let next = world.next(&theirs, &[]);
    let bases = vec![(RoleName::Targets, world.targets_file(&theirs))];
    rotated.sign(ALICE, rotated.request(&next, bases)).await.unwrap();
}

#[tokio::test]
async fn an_older_document_of_the_old_key_takes_nothing_back() {
    let rotated = Rotated::new().await;
    let old = rotated.world.targets(1, &[set("v1", "one"), set("latest", "one")]);
    // Version 2 is known here; a client that saw version 1 only does not get its own version 2 in.
    let stale = rotated.world.next(&old, &[set("x", "x")]);
    let refused = rotated.sign(ALICE, rotated.request(&stale, rotated.bases(&old))).await;
    assert!(matches!(&refused, Err(SignError::VersionReused { .. })), "{refused:?}");
    let next = rotated.world.next(&rotated.ours, &[]);
    rotated.sign(BOB, rotated.request(&next, rotated.bases(&old))).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_is_new_to_the_repository_takes_over_too_and_signs_first_targets_of_a_new_one() {
    let rotated = Rotated::new().await;
    let fresh = World::with_policy(vec![grant(ALICE, &["**"], None, &Action::ALL)]).await;
    let key = fresh.vault_key(KeyRole::Targets, &[gun()]).await;
    let first = rotated.world.first_root();
    let change = RootChange::SetRoleKey(RoleName::Targets, key.clone());
    let second = next_root(&gun(), &first, &[change], first.expires.clone()).unwrap();
    let theirs = rotated.world.next(&rotated.ours, &[set("theirs", "x")]);
    let document = |targets: &Targets| DocumentToSign {
        role: RoleName::Targets,
        key_ids: vec![key.canonical_id()],
        bytes: targets.write(),
    };
    let pinned = Some(AcceptRoot::Pinned(vec![fresh.root_cert.canonical_id()]));
    let mut request = fresh.request(vec![document(&fresh.next(&theirs, &[]))]);
    request.bases = vec![
        (RoleName::Root, rotated.world.root_file(&first)),
        (RoleName::Root, fresh.root_file(&second)),
        (RoleName::Targets, rotated.world.targets_file(&theirs)),
    ];
    request.accept_root = pinned.clone();
    fresh.sign_as(ALICE, request).await.unwrap();

    let fresh = World::with_policy(vec![grant(ALICE, &["**"], None, &[Action::Init])]).await;
    let request = SignRequest {
        bases: vec![(RoleName::Root, fresh.root_file(&fresh.first_root()))],
        accept_root: pinned,
        ..fresh.request(vec![fresh.to_sign(&fresh.targets(1, &[]))])
    };
    let signed = fresh.sign_as(ALICE, request).await.unwrap();
    assert!(signed.differences[0].starts_with("new targets, valid until "), "{:?}", signed.differences);
}
