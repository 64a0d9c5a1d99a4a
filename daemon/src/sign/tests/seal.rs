//! The seal of a transcript: read whole, compared with what was given out, signed by the key that took part.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use touchmark_proto::transcript::{self, Chain, Moment};
use touchmark_tuf::{Document as _, KeyId, RoleName, Root, Sha256Digest, Signature, verify_p256};

use super::world::{ALICE, OWN, PIN, SoftKey, World, caller, grant, gun};
use crate::audit::RequestId;
use crate::policy::Action;
use crate::sign::person::Purpose;
use crate::sign::seal::{Sealed, seal_transcript};
use crate::sign::{SignError, sign};
use crate::token::Presence;

/// A daemon that signed the first root.
struct Ceremony {
    world: World,
    root: Root,
    signatures: Vec<Signature>,
}

impl Ceremony {
    async fn new() -> Self {
        Self::of(World::new().await, OWN).await
    }

    async fn of(world: World, uid: u32) -> Self {
        let root = world.first_root();
        let request = world.request(vec![world.root_to_sign(&root)]);
        let signed = sign(&world.road, &caller(uid), request, &world.somebody(Some(PIN))).await.unwrap();
        let signatures = signed.documents[0].signatures.clone();
        Self { world, root, signatures }
    }

    fn key(&self) -> KeyId {
        self.world.root_key.public().canonical_id()
    }

    fn begun(&self) -> Value {
        json!({"key": self.key().to_string(), "plan": Sha256Digest::of(b"plan").to_string(), "title": "Spr\u{202e}ing"})
    }

    fn signed(&self) -> Value {
        let signatures = self.signatures.iter().map(|one| {
            json!({"keyid": one.key_id.to_string(), "method": "ecdsa", "sig": STANDARD.encode(&one.bytes)})
        });
        json!({
            "repository": gun().as_str(), "role": "root", "version": 1, "key": self.key().to_string(),
            "digest": Sha256Digest::of(&self.root.write()).to_string(),
            "signatures": signatures.collect::<Vec<_>>(),
        })
    }

    async fn seal(&self, uid: u32, text: &str, pin: Option<&[u8]>) -> Result<Sealed, SignError> {
        let (caller, key, person) = (caller(uid), self.key(), self.world.somebody(pin));
        let (id, text) = (RequestId::from_bytes([7; 8]), text.as_bytes().to_vec());
        let sealed = seal_transcript(&self.world.road, &caller, id, &key, text, &person).await;
        if sealed.is_ok() && uid == OWN {
            assert_eq!(person.asked(), [Purpose::Presence]);
        }
        sealed
    }
}

fn text(entries: &[(&str, Value)]) -> String {
    let mut chain = Chain::default();
    let mut line = |(kind, fields): &(&str, Value)| {
        let Value::Object(fields) = fields.clone() else { panic!("{fields}") };
        let moment = Moment { time_unix_ms: 1_700_000_000_000, uptime_ms: 5 };
        chain.append(moment, kind, fields) + "\n"
    };
    entries.iter().map(&mut line).collect()
}

fn with(mut value: Value, name: &str, other: Value) -> Value {
    value.as_object_mut().unwrap().insert(name.to_owned(), other);
    value
}

#[tokio::test]
async fn a_transcript_is_sealed_by_the_key_that_signed() {
    let ceremony = Ceremony::new().await;
    let asked = json!({"question": "Go on?", "answer": "yes", "by": "terminal"});
    let text = text(&[("begun", ceremony.begun()), ("asked", asked), ("signed", ceremony.signed())]);
    let sealed = ceremony.seal(OWN, &text, Some(PIN)).await.unwrap();
    let (_, chain) = transcript::read(&text).unwrap();
    assert_eq!(sealed.chain, chain);
    let point = ceremony.world.root_key.point();
    assert!(verify_p256(&point, &chain.seal_message(), &sealed.signature));
    let rows = ceremony.world.audit().await;
    assert_eq!(rows[rows.len() - 3..], ["transcript-intent", "token-unlocked", "transcript-sealed"]);
    let rows = ceremony.world.road.store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert_eq!(sealed.receipt.seq, rows.len() as u64);
    let intent = rows.iter().find(|row| row.json.contains("transcript-intent")).unwrap();
    for part in ["\"entries\":3", "\"signatures\":1", "\"repositories\":1", "\"title\":\"Spr\\u202eing\""] {
        assert!(intent.json.contains(part), "{part}: {}", intent.json);
    }
}

#[tokio::test]
async fn what_is_no_transcript_of_this_key_is_not_sealed() {
    let ceremony = Ceremony::new().await;
    let (begun, signed) = (ceremony.begun(), ceremony.signed());
    let good = text(&[("begun", begun.clone()), ("signed", signed.clone())]);
    let other = Value::from(SoftKey::new(3).public().canonical_id().to_string());
    for (bad, why) in [
        (good.replacen("1700000000000", "1700000000001", 1), "does not follow"),
        (good.trim_end().to_owned(), "cut off"),
        (String::new(), "first entry"),
        (text(&[("signed", signed.clone()), ("begun", begun.clone())]), "first entry"),
        (
            text(&[("begun", with(begun.clone(), "key", other.clone())), ("signed", signed.clone())]),
            "another key",
        ),
        (text(&[("begun", with(begun.clone(), "plan", "x".into())), ("signed", signed.clone())]), "no plan"),
        (
            text(&[
                ("begun", begun.clone()),
                ("signed", signed.clone()),
                ("sealed", Value::Object(Map::new())),
            ]),
            "already",
        ),
        (text(&[("begun", begun.clone())]), "signed nothing"),
        (text(&[("begun", begun.clone()), ("signed", with(signed.clone(), "key", other))]), "signed nothing"),
        (
            text(&[("begun", begun.clone()), ("signed", with(signed.clone(), "role", "targets".into()))]),
            "entry 2",
        ),
        (
            text(&[("begun", begun.clone()), ("signed", with(signed.clone(), "signatures", json!([])))]),
            "entry 2",
        ),
        (text(&[("begun", begun.clone()), ("signed", with(signed, "version", json!(0)))]), "entry 2"),
    ] {
        let refused = ceremony.seal(OWN, &bad, Some(PIN)).await.unwrap_err();
        assert!(
            matches!(&refused, SignError::Field { field: "transcript", why: said } if said.contains(why)),
            "{why}: {refused}"
        );
    }
    assert_eq!(ceremony.world.token.counts(), (1, 1), "the token was asked for the root alone");
    assert!(!ceremony.world.audit().await.contains(&"transcript-intent".to_owned()));
}

#[tokio::test]
async fn a_signature_that_was_not_given_out_here_is_not_sealed() {
    let ceremony = Ceremony::new().await;
    let mut forged = ceremony.signed();
    let wrong = STANDARD.encode(ceremony.world.root_key.sign(b"another document").as_bytes());
    forged["signatures"][0]["sig"] = wrong.into();
    let signed = ceremony.signed();
    let digest = Sha256Digest::of(b"other").to_string();
    for (bad, why) in [
        (with(signed.clone(), "digest", digest.into()), "gave out no such signature of root version 1 of"),
        (with(signed.clone(), "version", json!(2)), "gave out no such signature of root version 2 of"),
        (with(signed, "repository", "r.example.com/other".into()), "gave out no such signature"),
        (forged, "a signature does not verify, of root version 1 of"),
    ] {
        let refused = ceremony
            .seal(
                OWN,
                &text(&[("begun", ceremony.begun()), ("signed", ceremony.signed()), ("signed", bad)]),
                Some(PIN),
            )
            .await;
        assert!(
            matches!(&refused, Err(SignError::PolicyRefused { why: said }) if said.contains(why) && said.contains("entry 3")),
            "{why}: {refused:?}"
        );
    }
    // Let go, the version was never given out.
    let slot = crate::ledger::Slot { gun: gun(), role: RoleName::Root, version: ceremony.root.version };
    ceremony.world.road.store.write(move |tx| tx.let_go(&slot)).await.unwrap();
    let refused = ceremony
        .seal(OWN, &text(&[("begun", ceremony.begun()), ("signed", ceremony.signed())]), Some(PIN))
        .await;
    assert!(matches!(refused, Err(SignError::PolicyRefused { .. })), "{refused:?}");
    assert_eq!(ceremony.world.token.counts(), (1, 1));
}

#[tokio::test]
async fn a_seal_needs_the_right_to_change_keys_in_every_repository_that_is_named() {
    let (bob, carol) = (1002, 1003);
    let grants = vec![
        grant(ALICE, &["**"], None, &Action::ALL),
        grant(bob, &["r.example.com/team/*"], None, &[Action::Rotate]),
        grant(carol, &["**"], None, &[Action::Sign, Action::Refresh, Action::Delegate, Action::Admin]),
    ];
    let ceremony = Ceremony::of(World::with_policy(grants).await, ALICE).await;
    let one = text(&[("begun", ceremony.begun()), ("signed", ceremony.signed())]);
    let foreign = SoftKey::new(3).public().canonical_id().to_string();
    let elsewhere =
        with(with(ceremony.signed(), "repository", "x.example.com/y".into()), "key", foreign.into());
    let two = text(&[("begun", ceremony.begun()), ("signed", ceremony.signed()), ("signed", elsewhere)]);
    for (uid, text) in [(carol, &one), (bob, &two)] {
        let refused = ceremony.seal(uid, text, Some(PIN)).await;
        assert!(
            matches!(&refused, Err(SignError::NotAllowed(why)) if why.action == Action::Rotate),
            "{refused:?}"
        );
    }
    ceremony.seal(bob, &one, Some(PIN)).await.unwrap();
    ceremony.seal(ALICE, &two, Some(PIN)).await.unwrap();
}

#[tokio::test]
async fn a_seal_that_was_not_made_has_an_end_in_the_audit() {
    let ceremony = Ceremony::new().await;
    let text = text(&[("begun", ceremony.begun()), ("signed", ceremony.signed())]);
    assert!(matches!(ceremony.seal(OWN, &text, None).await, Err(SignError::PinRequired { .. })));
    ceremony.world.token.plug(Presence::Absent);
    assert!(matches!(ceremony.seal(OWN, &text, Some(PIN)).await, Err(SignError::TokenNotPresent { .. })));
    ceremony.world.token.plug(Presence::Present);
    ceremony.seal(OWN, &text, Some(PIN)).await.unwrap();
    let rows: Vec<_> =
        ceremony.world.audit().await.into_iter().filter(|row| row.starts_with("transcript")).collect();
    let (intent, not, sealed) = ("transcript-intent", "transcript-not-sealed", "transcript-sealed");
    assert_eq!(rows, [intent, not, intent, not, intent, sealed]);
}
