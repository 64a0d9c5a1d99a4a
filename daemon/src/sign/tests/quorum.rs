//! Roots that several keys have to sign, and plans that are given up.
use std::num::NonZeroU32;
use std::sync::Arc;

use touchmark_tuf::{
    Document as _, PublicKey, RoleName, Root, RootChange, Signature, Version, assemble, next_root,
};

use super::world::{ALICE, OWN, PIN, SoftKey, SoftToken, World, caller, grant, gun, set};
use crate::ledger::Slot;
use crate::policy::Action;
use crate::sign::{AcceptRoot, DocumentToSign, SignError, SignedAll, sign};
use crate::store::documents::Kept;

const SPARE: u8 = 2;

fn two() -> NonZeroU32 {
    NonZeroU32::new(2).unwrap()
}

fn spare_cert() -> PublicKey {
    SoftKey::new(SPARE).certified(&gun())
}

/// A daemon with both root keys, each on a token of its own.
async fn with_both() -> (World, Arc<SoftToken>) {
    let mut world = World::new().await;
    let spare = world.spare(SPARE).await;
    (world, spare)
}

/// The first root: both keys must sign.
fn root_of_both(world: &World) -> Root {
    let mut root = world.first_root_of(&[world.root_cert.clone(), spare_cert()]);
    root.roles.root.threshold = two();
    root
}

fn by_spare(root: &Root) -> DocumentToSign {
    let key_ids = vec![SoftKey::new(SPARE).public().canonical_id()];
    DocumentToSign { role: RoleName::Root, key_ids, bytes: root.write() }
}

async fn signed(world: &World, document: DocumentToSign, pin: Option<&[u8]>) -> Result<SignedAll, SignError> {
    let person = world.somebody(pin);
    sign(&world.road, &caller(OWN), world.request(vec![document]), &person).await
}

async fn trusted(world: &World) -> Option<(u64, Vec<u8>)> {
    let root = world.road.store.read(|view| view.trusted_root(&gun())).await.unwrap();
    root.map(|root| (root.version.get(), root.file))
}

async fn kept(world: &World) -> Kept {
    world.road.store.read(|view| view.kept(&gun(), &RoleName::Root)).await.unwrap().unwrap()
}

fn slot(version: u64) -> Slot {
    Slot { gun: gun(), role: RoleName::Root, version: version.try_into().unwrap() }
}

#[tokio::test]
async fn a_root_that_lacks_a_signature_is_kept_and_completed_by_the_other_key() {
    let (world, _) = with_both().await;
    let root = root_of_both(&world);
    let first = signed(&world, world.root_to_sign(&root), Some(PIN)).await.unwrap();
    assert_eq!(trusted(&world).await, None);
    let half = kept(&world).await;
    assert_eq!(
        (half.signed.as_slice(), half.signatures.as_slice()),
        (&*root.write(), &*first.documents[0].signatures)
    );
    let tags = world.sign(&world.targets(1, &[set("v1", "one")])).await;
    assert!(matches!(tags, Err(SignError::BaseUnknown { role: RoleName::Root, .. })), "{tags:?}");

    // The second signature is decided on as the first one was, person and all.
    let nobody = signed(&world, by_spare(&root), None).await;
    assert!(matches!(nobody, Err(SignError::PinRequired { .. })), "{nobody:?}");
    assert_eq!(world.ledger().await, ["root 1 released"], "what was given out stays so");
    let second = signed(&world, by_spare(&root), Some(PIN)).await.unwrap();
    assert_eq!(second.differences, first.differences);
    let signatures: Vec<Signature> =
        [&first, &second].iter().flat_map(|signed| signed.documents[0].signatures.clone()).collect();
    let file = assemble(&root.write(), &signatures).unwrap();
    assert_eq!(trusted(&world).await, Some((1, file)));
}

#[tokio::test]
async fn whoever_may_sign_tags_adds_no_signature_to_a_root_that_lacks_one() {
    let bob = 1002;
    let grants = vec![
        grant(ALICE, &["**"], None, &Action::ALL),
        grant(bob, &["**"], None, &[Action::Sign, Action::Revoke, Action::Refresh]),
    ];
    let mut world = World::with_policy(grants).await;
    let spare = world.spare(SPARE).await;
    let root = root_of_both(&world);
    let person = world.somebody(Some(PIN));
    let request = world.request(vec![world.root_to_sign(&root)]);
    sign(&world.road, &caller(ALICE), request, &person).await.unwrap();
    let request = || world.request(vec![by_spare(&root)]);
    let refused = sign(&world.road, &caller(bob), request(), &person).await;
    assert!(matches!(&refused, Err(SignError::NotAllowed(why)) if why.action == Action::Init), "{refused:?}");
    assert_eq!(spare.counts(), (0, 0));
    sign(&world.road, &caller(ALICE), request(), &person).await.unwrap();
    assert_eq!(trusted(&world).await.unwrap().0, 1);
}

#[tokio::test]
async fn the_old_root_counts_until_the_new_one_is_complete() {
    let (world, _) = with_both().await;
    let targets = world.targets(1, &[set("v1", "one")]);
    let first = world.first_root();
    let request = world.request(vec![world.root_to_sign(&first), world.to_sign(&targets)]);
    sign(&world.road, &caller(OWN), request, &world.somebody(Some(PIN))).await.unwrap();
    let change = [RootChange::AddRootKey(spare_cert()), RootChange::SetThreshold(two())];
    let next = next_root(&gun(), &first, &change, first.expires.clone()).unwrap();
    signed(&world, world.root_to_sign(&next), Some(PIN)).await.unwrap();
    assert_eq!(trusted(&world).await, Some((1, world.root_file(&first))));
    assert_eq!(kept(&world).await.version, next.version);
    world.sign(&world.next(&targets, &[set("v2", "two")])).await.unwrap();
    signed(&world, by_spare(&next), Some(PIN)).await.unwrap();
    assert_eq!(trusted(&world).await.unwrap().0, 2);
}

#[tokio::test]
async fn a_plan_that_is_given_up_makes_room_for_another_once_its_version_is_let_go() {
    let (world, _) = with_both().await;
    let first = world.first_root();
    signed(&world, world.root_to_sign(&first), Some(PIN)).await.unwrap();
    let add = [RootChange::AddRootKey(spare_cert())];
    let both = [RootChange::AddRootKey(spare_cert()), RootChange::SetThreshold(two())];
    let plan =
        |changes: &[RootChange], days| next_root(&gun(), &first, changes, world.in_days(days)).unwrap();
    // One that lacks a signature, one that is complete and trusted here, and one that counts in the end.
    for (given_up, is_trusted) in [(plan(&both, 3000), false), (plan(&add, 2000), true)] {
        signed(&world, world.root_to_sign(&given_up), Some(PIN)).await.unwrap();
        assert_eq!(trusted(&world).await.unwrap().0, 1 + u64::from(is_trusted));
        let other = world.root_to_sign(&plan(&both, 1000));
        let refused = signed(&world, other, Some(PIN)).await.unwrap_err();
        assert!(matches!(refused, SignError::VersionReused { .. }), "{refused}");
        let says = "root version 2 of r.example.com/team/app was given to other content already: another plan for it \
                    was signed here";
        assert_eq!(refused.to_string(), says);
        world.road.store.write(|tx| tx.let_go(&slot(2))).await.unwrap();
        assert_eq!(trusted(&world).await, Some((1, world.root_file(&first))));
        assert_eq!(kept(&world).await.version, Version::FIRST);
    }
    let last = plan(&both, 1000);
    signed(&world, world.root_to_sign(&last), Some(PIN)).await.unwrap();
    assert_eq!(kept(&world).await.signatures.len(), 1, "no signature of another plan");
    signed(&world, by_spare(&last), Some(PIN)).await.unwrap();
    assert_eq!(trusted(&world).await.unwrap().0, 2);
}

#[tokio::test]
async fn a_chain_from_the_beginning_is_accepted_by_the_keys_of_today() {
    let beginning = SoftKey::new(11);
    let old_cert = beginning.certified(&gun());
    let history = |world: &World| {
        let one = world.first_root_of(std::slice::from_ref(&old_cert));
        let change =
            [RootChange::AddRootKey(world.root_cert.clone()), RootChange::RemoveRootKey(old_cert.id())];
        let two = next_root(&gun(), &one, &change, one.expires.clone()).unwrap();
        let signature = |root: &Root, key: &SoftKey, cert: &PublicKey| {
            Signature::ecdsa(cert.id(), &key.sign(&root.write()))
        };
        let old = |root| signature(root, &beginning, &old_cert);
        let new = |root| signature(root, &world.root_key, &world.root_cert);
        let files = [assemble(&one.write(), &[old(&one)]), assemble(&two.write(), &[old(&two), new(&two)])];
        let next = next_root(&gun(), &two, &[RootChange::AddRootKey(spare_cert())], world.in_days(3000));
        (files.map(|file| (RoleName::Root, file.unwrap())).to_vec(), next.unwrap())
    };
    let pins = [(SoftKey::new(1), Some(2)), (SoftKey::new(11), Some(1)), (SoftKey::new(SPARE), None)];
    for (pin, from) in pins {
        let world = World::new().await;
        let (chain, next) = history(&world);
        let mut request = world.request(vec![world.root_to_sign(&next)]);
        request.bases = chain;
        request.accept_root = Some(AcceptRoot::Pinned(vec![pin.public().canonical_id()]));
        let answer = sign(&world.road, &caller(OWN), request, &world.somebody(Some(PIN))).await;
        let Some(from) = from else {
            assert!(matches!(answer, Err(SignError::BaseRefused { role: RoleName::Root, .. })), "{answer:?}");
            assert_eq!(trusted(&world).await, None);
            continue;
        };
        answer.unwrap();
        assert_eq!(trusted(&world).await.unwrap().0, 3);
        let rows = world.road.store.read(|view| view.audit_rows(0, 100)).await.unwrap();
        let first = rows.iter().find(|row| row.json.contains("root-first-use")).unwrap();
        assert!(first.json.contains(&format!("\"version\":{from}")), "{}", first.json);
    }
}
