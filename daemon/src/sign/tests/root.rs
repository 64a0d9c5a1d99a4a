//! Root documents and root certificates: keys on tokens, and people.
use std::sync::Arc;

use tokio::sync::Notify;
use touchmark_tuf::{
    Document as _, Expires, Gun, Instant, KeyId, PublicKey, RoleName, Root, RootCertificate, to_be_signed,
};

use super::world::{ALICE, Mood, OWN, PIN, SoftKey, World, caller, grant, gun, set, signed_by};
use crate::audit::RequestId;
use crate::document::DocumentError;
use crate::policy::Action;
use crate::sign::certificate::{Wanted, issue_root_certificate};
use crate::sign::person::{Purpose, Waiting};
use crate::sign::{SignError, SignRequest, SignedAll, sign};
use crate::token::Presence;

fn init(world: &World) -> (Root, touchmark_tuf::Targets, SignRequest) {
    let (root, targets) = (world.first_root(), world.targets(1, &[set("v1", "one")]));
    let request = world.request(vec![world.root_to_sign(&root), world.to_sign(&targets)]);
    (root, targets, request)
}

async fn with_pin(world: &World, request: SignRequest, pin: &[u8]) -> Result<SignedAll, SignError> {
    sign(&world.road, &caller(OWN), request, &world.somebody(Some(pin))).await
}

#[tokio::test]
async fn a_new_repository_is_signed_in_one_go_and_its_root_is_trusted() {
    let world = World::new().await;
    let (root, targets, request) = init(&world);
    let person = world.somebody(Some(PIN));
    let signed = sign(&world.road, &caller(OWN), request, &person).await.unwrap();
    assert!(signed_by(&signed, 0, &root.write(), &world.root_cert));
    assert!(signed_by(&signed, 1, &targets.write(), &world.targets_key));
    assert_eq!(person.asked(), [Purpose::Presence], "one answer is enough");
    assert_eq!(world.ledger().await, ["root 1 released", "targets 1 released"]);
    let trusted = world.road.store.read(|view| view.trusted_root(&gun())).await.unwrap().unwrap();
    assert_eq!(trusted.file, world.root_file(&root));
    assert_eq!(
        world.audit().await,
        ["intent", "intent", "token-unlocked", "outcome released", "outcome released"]
    );
    // From now on tags need nobody.
    world.sign(&world.next(&targets, &[set("v2", "two")])).await.unwrap();
    // So does a refresh of the root, while the token is unlocked.
    let next = Root { version: 2.try_into().unwrap(), expires: world.in_days(3649), ..root };
    let request = world.request(vec![world.root_to_sign(&next)]);
    assert!(world.sign_as(OWN, request).await.is_ok(), "a refresh alone is free: the token is unlocked");
}

#[tokio::test]
async fn a_wrong_pin_burns_no_version() {
    let world = World::new().await;
    let (mut root, targets, request) = init(&world);
    let error = with_pin(&world, request, b"000000").await.unwrap_err();
    assert!(matches!(error, SignError::WrongPin { tries_left: Some(2), .. }), "{error}");
    assert_eq!(world.token.counts(), (1, 0), "one try, and no second one by itself");
    assert_eq!(world.ledger().await, ["root 1 void", "targets 1 void"]);
    assert_eq!(world.audit().await, ["intent", "intent", "pin-refused", "outcome void", "outcome void"]);
    // The next try may well have another expiry.
    root.expires = world.in_days(3000);
    let request = world.request(vec![world.root_to_sign(&root), world.to_sign(&targets)]);
    with_pin(&world, request, PIN).await.unwrap();
    assert_eq!(world.ledger().await, ["root 1 released", "targets 1 released"]);
}

#[tokio::test]
async fn nobody_there_and_no_token_burn_no_version() {
    let world = World::new().await;
    let error = world.sign_as(OWN, init(&world).2).await.unwrap_err();
    assert!(matches!(error, SignError::PinRequired { .. }), "{error}");
    world.token.plug(Presence::Absent);
    let person = world.somebody(Some(PIN));
    let error = sign(&world.road, &caller(OWN), init(&world).2, &person).await.unwrap_err();
    assert!(matches!(error, SignError::TokenNotPresent { .. }), "{error}");
    let needs =
        Waiting::NeedsToken { token: "soft".to_owned(), serial: "soft-1".to_owned(), why: String::new() };
    assert_eq!(*person.told.lock().unwrap(), [needs]);
    world.token.plug(Presence::Mismatch("serial soft-2".to_owned()));
    let error = with_pin(&world, init(&world).2, PIN).await.unwrap_err();
    assert!(matches!(error, SignError::TokenMismatch { .. }), "{error}");
    assert_eq!(world.ledger().await, ["root 1 void", "targets 1 void"]);
}

#[tokio::test]
async fn a_token_that_comes_back_in_time_is_waited_for() {
    let mut world = World::new().await;
    world.road.token_wait = std::time::Duration::from_secs(60);
    world.token.plug(Presence::Absent);
    let token = Arc::clone(&world.token);
    let request = init(&world).2;
    let (signed, ()) = tokio::join!(with_pin(&world, request, PIN), async {
        tokio::task::yield_now().await;
        token.plug(Presence::Present);
    });
    signed.unwrap();
}

#[tokio::test]
async fn a_wrong_signature_never_leaves_and_burns_no_version() {
    let world = World::new().await;
    world.token.mood(Mood::Glitch);
    let error = with_pin(&world, init(&world).2, PIN).await.unwrap_err();
    assert!(
        matches!(&error, SignError::TokenFailed { why, .. } if why.contains("wrong signature")),
        "{error}"
    );
    assert_eq!(world.ledger().await, ["root 1 void", "targets 1 void"]);
    world.token.mood(Mood::Unplugged);
    let error = with_pin(&world, init(&world).2, PIN).await.unwrap_err();
    assert!(matches!(error, SignError::TokenNotPresent { .. }), "{error}");
    // A lost session is healed by one more question.
    world.token.mood(Mood::Forgetful);
    let person = world.somebody(Some(PIN));
    sign(&world.road, &caller(OWN), init(&world).2, &person).await.unwrap();
    assert_eq!(person.asked(), [Purpose::Presence, Purpose::Again]);
}

#[tokio::test]
async fn a_token_that_waits_for_one_person_is_busy_for_another() {
    let world = World::new().await;
    let mut slow = world.somebody(Some(PIN));
    let thinks = Arc::new(Notify::new());
    slow.thinks = Some(Arc::clone(&thinks));
    let first = async { sign(&world.road, &caller(OWN), init(&world).2, &slow).await };
    let second = async {
        while slow.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let intent = world.road.seat("soft").unwrap().intent().unwrap();
        assert!(intent.starts_with("sign root v1 of r.example.com/team/app ("), "{intent}");
        let error = with_pin(&world, init(&world).2, PIN).await.unwrap_err();
        assert!(matches!(&error, SignError::TokenBusy { behind, .. } if *behind == intent), "{error}");
        thinks.notify_one();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(world.road.seat("soft").unwrap().intent(), None);
}

#[tokio::test]
async fn a_touch_is_announced_in_the_words_of_the_decision_and_one_that_does_not_come_burns_no_version() {
    let world = World::new().await;
    world.token.wants_touch();
    world.token.mood(Mood::Untouched);
    let person = world.somebody(Some(PIN));
    let error = sign(&world.road, &caller(OWN), init(&world).2, &person).await.unwrap_err();
    assert!(matches!(&error, SignError::TouchTimeout { token } if token == "soft"), "{error}");
    assert_eq!(world.ledger().await, ["root 1 void", "targets 1 void"]);
    let told = person.told.lock().unwrap().clone();
    let touches: Vec<_> = told
        .iter()
        .filter_map(|waiting| match waiting {
            Waiting::NeedsTouch { token, serial, intent, touch, of, .. } => {
                Some((token.as_str(), serial.as_str(), intent.as_str(), *touch, *of))
            }
            _ => None,
        })
        .collect();
    let [(token, serial, intent, 1, 1)] = touches[..] else { panic!("{told:?}") };
    assert_eq!((token, serial), ("soft", "soft-1"));
    assert!(intent.starts_with("sign root v1 of r.example.com/team/app ("), "{intent}");
    assert_eq!(world.road.seat("soft").unwrap().touch_until(), None);

    world.token.mood(Mood::Fine);
    with_pin(&world, init(&world).2, PIN).await.unwrap();
}

#[tokio::test]
async fn several_touches_for_one_request_are_counted() {
    let mut world = World::new().await;
    let spare = world.spare(2).await;
    world.token.wants_touch();
    spare.wants_touch();
    let root = world.first_root_of(&[world.root_cert.clone(), SoftKey::new(2).certified(&gun())]);
    let mut to_sign = world.root_to_sign(&root);
    to_sign.key_ids.push(SoftKey::new(2).public().canonical_id());
    let request = world.request(vec![to_sign, world.to_sign(&world.targets(1, &[]))]);
    let person = world.somebody(Some(PIN));
    sign(&world.road, &caller(OWN), request, &person).await.unwrap();
    let told = person.told.lock().unwrap().clone();
    let touches = told.iter().filter_map(|waiting| match waiting {
        Waiting::NeedsTouch { token, touch, of, .. } => Some((token.as_str(), *touch, *of)),
        _ => None,
    });
    assert_eq!(touches.collect::<Vec<_>>(), [("soft", 1, 2), ("spare", 2, 2)]);
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_its_versions_back() {
    let world = World::new().await;
    let mut slow = world.somebody(Some(PIN));
    slow.thinks = Some(Arc::new(Notify::new()));
    {
        let person = caller(OWN);
        let request = sign(&world.road, &person, init(&world).2, &slow);
        tokio::pin!(request);
        let gone = async {
            while slow.asked().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut request => panic!("signed without a PIN"),
            () = gone => {}
        }
        assert_eq!(world.ledger().await, ["root 1 reserved", "targets 1 reserved"]);
    }
    assert_eq!(world.ledger().await, ["root 1 void", "targets 1 void"]);
    let rows = world.audit().await;
    assert_eq!(rows, ["intent", "intent", "outcome void", "outcome void"]);
}

#[tokio::test]
async fn a_root_is_signed_for_its_own_repository_alone() {
    let world = World::with_policy(vec![grant(ALICE, &["**"], None, &Action::ALL)]).await;
    let cert = |name: &str| {
        // Another certificate of the key than the one of the fixture.
        let serial = [9; 16];
        let other: Gun = "x/y".parse().unwrap();
        let (from, to) = (Instant::from_unix(1_600_000_000), Instant::from_unix(2_000_000_000));
        let gun = name.parse().unwrap_or(other);
        let template = to_be_signed(&gun, &world.root_key.point(), serial, from, to).unwrap();
        let signature = world.root_key.sign(template.bytes());
        template.finish(&signature).unwrap().public_key()
    };
    let with_root_key = |key: PublicKey| {
        let mut root = world.first_root();
        root.keys.remove(&world.root_cert.id());
        root.roles.root.key_ids = vec![key.id()];
        root.keys.insert(key.id(), key);
        root
    };
    let mut twice = with_root_key(world.root_cert.clone());
    let again = cert(gun().as_str());
    twice.roles.root.threshold = 2.try_into().unwrap();
    twice.roles.root.key_ids.push(again.id());
    twice.keys.insert(again.id(), again);
    let mut shared = world.first_root();
    shared.roles.targets.key_ids.push(SoftKey::new(9).public().id());
    for (root, why) in [
        (with_root_key(cert("r.example.com/team/other")), "is for r.example.com/team/other"),
        (with_root_key(world.root_key.public()), "without a certificate"),
        (shared, "listed for both"),
        (twice, "2 root keys must sign, and there are 1 different ones"),
    ] {
        let request = world.request(vec![world.root_to_sign(&root)]);
        let error = sign(&world.road, &caller(ALICE), request, &world.somebody(Some(PIN))).await.unwrap_err();
        assert!(
            matches!(&error, SignError::Document(DocumentError::Rule { why: said, .. }) if said.contains(why)),
            "{why}: {error}"
        );
    }
    assert!(world.ledger().await.is_empty());
    assert_eq!(world.token.counts(), (0, 0));
}

#[tokio::test]
async fn keys_of_a_root_change_only_with_the_right_to_rotate() {
    let bob = 1002;
    let grants = vec![
        grant(ALICE, &["**"], None, &Action::ALL),
        grant(bob, &["**"], None, &[Action::Init, Action::Sign, Action::Refresh, Action::Delegate]),
    ];
    let world = World::with_policy(grants).await;
    let (root, _, request) = init(&world);
    let person = world.somebody(Some(PIN));
    sign(&world.road, &caller(bob), request, &person).await.unwrap();
    let new_key = SoftKey::new(20).public();
    let mut next = Root { version: 2.try_into().unwrap(), ..root };
    next.keys.insert(new_key.id(), new_key.clone());
    next.roles.targets.key_ids = vec![new_key.id()];
    let request = || world.request(vec![world.root_to_sign(&next)]);
    let error = sign(&world.road, &caller(bob), request(), &person).await.unwrap_err();
    assert!(matches!(&error, SignError::NotAllowed(why) if why.action == Action::Rotate), "{error}");
    sign(&world.road, &caller(ALICE), request(), &person).await.unwrap();
    let trusted = world.road.store.read(|view| view.trusted_root(&gun())).await.unwrap().unwrap();
    assert_eq!(trusted.version.get(), 2);
    // The old targets key is listed no more.
    let mut late = world.targets(2, &[set("v2", "two")]);
    late.expires = Expires::at(Instant::from_unix(1_750_000_000));
    let error = world.sign_as(ALICE, world.request(vec![world.to_sign(&late)])).await.unwrap_err();
    assert!(matches!(error, SignError::KeyUnfit { .. }), "{error}");
}

#[tokio::test]
async fn a_root_that_was_never_published_can_be_let_go() {
    let world = World::new().await;
    let (mut root, _, request) = init(&world);
    with_pin(&world, request, PIN).await.unwrap();
    root.expires = world.in_days(2000);
    let again = || world.request(vec![world.root_to_sign(&root)]);
    assert!(matches!(with_pin(&world, again(), PIN).await, Err(SignError::VersionReused { .. })));
    let slot =
        crate::ledger::Slot { gun: gun(), role: RoleName::Root, version: touchmark_tuf::Version::FIRST };
    world.road.store.write(move |tx| tx.let_go(&slot)).await.unwrap();
    with_pin(&world, again(), PIN).await.unwrap();
}

#[tokio::test]
async fn a_root_certificate_is_made_once_and_returned_again() {
    let world = World::new().await;
    let key = world.root_key.public().canonical_id();
    let issue = async |repository: Gun, pin: Option<&[u8]>| {
        issue_one(&world, OWN, &key, &repository, Wanted::Kept, pin).await
    };
    assert!(matches!(issue(gun(), None).await, Err(SignError::PinRequired { .. })));
    let made = issue(gun(), Some(PIN)).await.unwrap();
    assert_eq!(made.common_name(), gun().as_str());
    assert_eq!(made.public_key().canonical_id(), key);
    let now = world.road.clock.now().unix();
    assert_eq!((made.not_before().unix(), made.not_after().unix()), (now - 86_400, now + 3650 * 86_400));
    let again = issue(gun(), None).await.unwrap();
    assert_eq!(again, made);
    assert_eq!(world.token.counts(), (1, 1));
    let other = issue("r.example.com/other".parse().unwrap(), Some(PIN)).await.unwrap();
    assert_ne!(other.public_key().id(), made.public_key().id());
    assert_eq!(
        world.audit().await,
        [
            "certificate-intent",
            "certificate-failed",
            "certificate-intent",
            "token-unlocked",
            "certificate",
            "certificate-intent",
            "token-unlocked",
            "certificate"
        ]
    );
    let targets = world.targets_key.canonical_id();
    let refused = issue_one(&world, OWN, &targets, &gun(), Wanted::Kept, Some(PIN)).await;
    assert!(matches!(refused, Err(SignError::Field { .. })));
}

async fn issue_one(
    world: &World,
    uid: u32,
    key: &KeyId,
    repository: &Gun,
    wanted: Wanted,
    pin: Option<&[u8]>,
) -> Result<RootCertificate, SignError> {
    let (request, person) = (RequestId::from_bytes([6; 8]), world.somebody(pin));
    issue_root_certificate(&world.road, &caller(uid), request, key, repository, wanted, &person).await
}

#[tokio::test]
async fn a_renewed_certificate_is_the_one_that_is_kept() {
    let world = World::new().await;
    let key = world.root_key.public().canonical_id();
    let first = issue_one(&world, OWN, &key, &gun(), Wanted::Renewed, Some(PIN)).await.unwrap();
    let renewed = issue_one(&world, OWN, &key, &gun(), Wanted::Renewed, Some(PIN)).await.unwrap();
    let listed = |certificate: &RootCertificate| certificate.public_key().id();
    assert_ne!(listed(&renewed), listed(&first));
    assert_eq!(renewed.public_key().canonical_id(), key);
    assert_eq!(issue_one(&world, OWN, &key, &gun(), Wanted::Kept, None).await.unwrap(), renewed);
    let nobody = issue_one(&world, OWN, &key, &gun(), Wanted::Renewed, None).await;
    assert!(matches!(nobody, Err(SignError::PinRequired { .. })), "a person is asked for each");
    assert_eq!(issue_one(&world, OWN, &key, &gun(), Wanted::Kept, None).await.unwrap(), renewed);
    let rows = world.road.store.read(|view| view.audit_rows(0, 1000)).await.unwrap();
    let replaced: Vec<_> = rows.iter().filter(|row| row.json.contains("\"replaces\"")).collect();
    let [row] = replaced[..] else { panic!("{rows:?}") };
    assert!(row.json.contains(&format!("\"replaces\":\"{}\"", listed(&first))), "{}", row.json);
}

#[tokio::test]
async fn whoever_may_begin_or_rotate_a_repository_gets_certificates_and_nobody_else() {
    let (bob, carol) = (1002, 1003);
    let grants = vec![
        grant(ALICE, &["r.example.com/team/*"], None, &[Action::Init]),
        grant(bob, &["r.example.com/team/*"], None, &[Action::Rotate]),
        grant(carol, &["**"], None, &[Action::Sign, Action::Refresh, Action::Delegate, Action::Admin]),
    ];
    let world = World::with_policy(grants).await;
    let key = world.root_key.public().canonical_id();
    for uid in [ALICE, bob] {
        issue_one(&world, uid, &key, &gun(), Wanted::Renewed, Some(PIN)).await.unwrap();
        let elsewhere = "r.example.com/other/app".parse().unwrap();
        let refused = issue_one(&world, uid, &key, &elsewhere, Wanted::Kept, Some(PIN)).await;
        assert!(matches!(&refused, Err(SignError::NotAllowed(why)) if why.action == Action::Rotate));
    }
    let refused = issue_one(&world, carol, &key, &gun(), Wanted::Kept, Some(PIN)).await;
    assert!(matches!(&refused, Err(SignError::NotAllowed(why)) if why.action == Action::Rotate));
}
