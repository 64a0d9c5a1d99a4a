//! A daemon's inside with one repository, and the people around it.
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use tokio::sync::{Notify, watch};
use touchmark_tuf::{
    Difference, Document as _, EcdsaSignature, Expires, Gun, Instant, KeyId, PublicKey, RoleName, Root,
    Sha256Digest, Signature, Target, TargetChange, TargetName, Targets, assemble, first_root, next_targets,
    to_be_signed,
};

use crate::audit::RequestId;
use crate::policy::{Action, Caller, Glob, Grant, MaxExpiry, Policy, Who};
use crate::sign::person::{AskError, Person, Purpose, Question, Waiting};
use crate::sign::seat::{RootToken, Seat};
use crate::sign::{AcceptRoot, DocumentToSign, Road, SignError, SignRequest, SignedAll, sign};
use crate::store::keys::{KeyRecord, Origin, Place};
use crate::store::tests::Fixture;
use crate::token::{KeyRef, PinState, Presence, TokenError, TokenInfo, TokenState};
use crate::vault::{Binding, KeyRole, Locked, MemoryKind, SecretBuf, Vault};

pub(super) const OWN: u32 = 900;
pub(super) const ALICE: u32 = 1001;
pub(super) const PIN: &[u8] = b"123456";
const SERIAL: &str = "soft-1";

pub(super) fn gun() -> Gun {
    "r.example.com/team/app".parse().unwrap()
}

pub(super) fn tag(text: &str) -> TargetName {
    text.parse().unwrap()
}

pub(super) fn target(content: &str) -> Target {
    Target::new(Sha256Digest::of(content.as_bytes()), 500)
}

pub(super) fn set(name: &str, content: &str) -> TargetChange {
    TargetChange::Set { name: tag(name), target: target(content) }
}

pub(super) fn caller(uid: u32) -> Caller {
    Caller { uid, gid: uid, groups: vec![], name: None }
}

/// A key outside of the daemon, the same for the same `seed`.
pub(super) struct SoftKey(SigningKey);

impl SoftKey {
    pub(super) fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    pub(super) fn point(&self) -> [u8; 65] {
        self.0.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap()
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey::from_p256_point(&self.point())
    }

    pub(super) fn sign(&self, message: &[u8]) -> EcdsaSignature {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        EcdsaSignature::from_raw(signature.to_bytes().into())
    }

    /// As root documents of `gun` list it.
    pub(super) fn certified(&self, gun: &Gun) -> PublicKey {
        let (from, to) = (Instant::from_unix(1_600_000_000), Instant::from_unix(2_000_000_000));
        let template = to_be_signed(gun, &self.point(), [7; 16], from, to).unwrap();
        let signature = self.sign(template.bytes());
        template.finish(&signature).unwrap().public_key()
    }

    /// A file signed by this key, listed as `id`.
    pub(super) fn file(&self, signed: &[u8], id: KeyId) -> Vec<u8> {
        assemble(signed, &[Signature::ecdsa(id, &self.sign(signed))]).unwrap()
    }
}

/// What the token of software does when asked to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Fine,
    Glitch,
    Forgetful,
    Unplugged,
    Untouched,
}

pub(super) struct SoftToken {
    key: SoftKey,
    state: watch::Sender<TokenState>,
    mood: Mutex<Mood>,
    /// How long it may wait for a finger.
    touch: Mutex<Option<Duration>>,
    pub(super) logins: AtomicUsize,
    pub(super) signatures: AtomicUsize,
}

impl SoftToken {
    fn new(key: SoftKey) -> Self {
        let info = TokenInfo {
            serial: SERIAL.to_owned(),
            label: "soft".to_owned(),
            manufacturer: String::new(),
            model: String::new(),
            firmware: String::new(),
        };
        let state = watch::Sender::new(TokenState::present(info, PinState::Ok, false));
        let (logins, signatures) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { key, state, mood: Mutex::new(Mood::Fine), touch: Mutex::default(), logins, signatures }
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Its keys want a touch from now on.
    pub(super) fn wants_touch(&self) {
        *self.touch.lock().unwrap() = Some(Duration::from_secs(15));
    }

    pub(super) fn plug(&self, presence: Presence) {
        self.state.send_modify(|state| state.presence = presence);
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.logins.load(Ordering::SeqCst), self.signatures.load(Ordering::SeqCst))
    }
}

impl RootToken for Arc<SoftToken> {
    fn watch(&self) -> watch::Receiver<TokenState> {
        self.state.subscribe()
    }

    fn login<'a>(
        &'a self,
        pin: &'a SecretBuf,
    ) -> Pin<Box<dyn Future<Output = Result<(), TokenError>> + Send + 'a>> {
        Box::pin(async move {
            self.logins.fetch_add(1, Ordering::SeqCst);
            let right = pin.expose() == PIN;
            self.state.send_modify(|state| state.logged_in = right);
            if right { Ok(()) } else { Err(TokenError::WrongPin { tries_left: Some(2) }) }
        })
    }

    fn sign<'a>(
        &'a self,
        key: &'a KeyRef,
        digest: Sha256Digest,
    ) -> Pin<Box<dyn Future<Output = Result<EcdsaSignature, TokenError>> + Send + 'a>> {
        use p256::ecdsa::signature::hazmat::PrehashSigner as _;
        Box::pin(async move {
            assert_eq!(key.public, self.key.public());
            let mood = *self.mood.lock().unwrap();
            match mood {
                Mood::Unplugged => return Err(TokenError::NotPresent),
                Mood::Untouched => return Err(TokenError::NotTouched),
                Mood::Forgetful => {
                    self.mood(Mood::Fine);
                    self.state.send_modify(|state| state.logged_in = false);
                    return Err(TokenError::NotLoggedIn);
                }
                Mood::Fine | Mood::Glitch => {}
            }
            if !self.state.borrow().logged_in {
                return Err(TokenError::NotLoggedIn);
            }
            self.signatures.fetch_add(1, Ordering::SeqCst);
            let signature: p256::ecdsa::Signature = self.key.0.sign_prehash(digest.as_bytes()).unwrap();
            let mut bytes: [u8; 64] = signature.to_bytes().into();
            if mood == Mood::Glitch {
                bytes[40] ^= 1;
            }
            Ok(EcdsaSignature::from_raw(bytes))
        })
    }

    fn look(&self) -> Pin<Box<dyn Future<Output = TokenState> + Send + '_>> {
        Box::pin(async { self.state.borrow().clone() })
    }

    fn serial(&self) -> Option<String> {
        None
    }

    fn may_want_touch(&self, _: &KeyRef) -> bool {
        self.touch.lock().unwrap().is_some()
    }

    fn touch_wait<'a>(
        &'a self,
        _: &'a KeyRef,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Duration>, TokenError>> + Send + 'a>> {
        Box::pin(async { Ok(*self.touch.lock().unwrap()) })
    }

    fn works_for_nobody(&self) -> bool {
        false
    }
}

/// Somebody at the other end: knows a PIN, or none; may be told to think first.
pub(super) struct Somebody {
    locked: Arc<Locked>,
    pin: Option<Vec<u8>>,
    pub(super) thinks: Option<Arc<Notify>>,
    pub(super) asked: Mutex<Vec<Question>>,
    pub(super) told: Mutex<Vec<Waiting>>,
}

impl Somebody {
    pub(super) fn asked(&self) -> Vec<Purpose> {
        self.asked.lock().unwrap().iter().map(|question| question.purpose).collect()
    }
}

impl Person for Somebody {
    fn tell(&self, waiting: Waiting) {
        self.told.lock().unwrap().push(waiting);
    }

    fn ask(
        &self,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Result<SecretBuf, AskError>> + Send + '_>> {
        self.asked.lock().unwrap().push(question);
        Box::pin(async move {
            if let Some(thinks) = &self.thinks {
                thinks.notified().await;
            }
            let pin = self.pin.as_ref().ok_or(AskError::Timeout)?;
            let mut answer = SecretBuf::new(&self.locked, 255).unwrap();
            answer.extend_from_slice(pin).unwrap();
            Ok(answer)
        })
    }
}

/// What the store knows of a root key on a token.
fn root_on(token: &str, key: &SoftKey) -> KeyRecord {
    KeyRecord {
        id: key.public().canonical_id(),
        role: KeyRole::Root,
        guns: vec![],
        public: key.public(),
        place: Place::Token {
            token: token.to_owned(),
            serial: SERIAL.to_owned(),
            key: KeyRef { id: vec![1], public: key.public() },
            label: "root".to_owned(),
        },
        created: Instant::from_unix(0),
        last_used: None,
        origin: Origin::Found,
    }
}

/// A daemon's inside. The root key is on the token, the others in the vault.
pub(super) struct World {
    pub(super) fixture: Fixture,
    pub(super) road: Road,
    pub(super) token: Arc<SoftToken>,
    pub(super) root_key: SoftKey,
    pub(super) root_cert: PublicKey,
    pub(super) targets_key: PublicKey,
    locked: Arc<Locked>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_policy(vec![]).await
    }

    pub(super) async fn with_policy(grants: Vec<Grant>) -> Self {
        let fixture = Fixture::new();
        let store = fixture.open();
        let locked = Locked::open(Some(MemoryKind::Mlock), 1).unwrap();
        let vault = Arc::new(Vault::new(locked.clone()));
        vault.create().unwrap();
        let root_key = SoftKey::new(1);
        let token = Arc::new(SoftToken::new(SoftKey::new(1)));
        let seat = Seat::new("soft", Box::new(token.clone()));
        let road = Road {
            store,
            vault,
            tokens: BTreeMap::from([("soft".to_owned(), seat)]),
            policy: Policy::new(OWN, grants, MaxExpiry::default()),
            clock: fixture.clock.clone(),
            remembered: Arc::default(),
            token_wait: Duration::from_millis(200),
        };
        let root = root_on("soft", &root_key);
        road.store.write(move |tx| tx.insert_key(&root)).await.unwrap();
        let root_cert = root_key.certified(&gun());
        let mut world =
            Self { fixture, road, token, root_cert, targets_key: root_key.public(), root_key, locked };
        world.targets_key = world.vault_key(KeyRole::Targets, &[gun()]).await;
        world
    }

    /// One more token, with a root key of its own.
    pub(super) async fn spare(&mut self, seed: u8) -> Arc<SoftToken> {
        let token = Arc::new(SoftToken::new(SoftKey::new(seed)));
        self.road.tokens.insert("spare".to_owned(), Seat::new("spare", Box::new(token.clone())));
        let root = root_on("spare", &SoftKey::new(seed));
        self.road.store.write(move |tx| tx.insert_key(&root)).await.unwrap();
        token
    }

    pub(super) async fn vault_key(&self, role: KeyRole, guns: &[Gun]) -> PublicKey {
        let binding = Binding::new(role.clone(), guns.to_vec());
        let (public, sealed) = self.road.vault.generate(&binding).unwrap();
        let record = KeyRecord {
            id: public.canonical_id(),
            role,
            guns: guns.to_vec(),
            public: public.clone(),
            place: Place::Vault { sealed },
            created: self.road.clock.now(),
            last_used: None,
            origin: Origin::Generated,
        };
        self.road.store.write(move |tx| tx.insert_key(&record)).await.unwrap();
        public
    }

    pub(super) fn in_days(&self, days: u64) -> Expires {
        Expires::at(self.road.clock.now().plus(Duration::from_secs(days * 86_400)))
    }

    /// The first root: our root key, our targets key, the server's keys.
    pub(super) fn first_root(&self) -> Root {
        self.first_root_of(std::slice::from_ref(&self.root_cert))
    }

    pub(super) fn first_root_of(&self, certs: &[PublicKey]) -> Root {
        let (snapshot, timestamp) = (SoftKey::new(8).public(), SoftKey::new(9).public());
        first_root(
            &gun(),
            certs,
            NonZeroU32::MIN,
            &self.targets_key,
            &snapshot,
            &timestamp,
            self.in_days(3650),
        )
        .unwrap()
    }

    pub(super) fn root_file(&self, root: &Root) -> Vec<u8> {
        self.root_key.file(&root.write(), self.root_cert.id())
    }

    /// A targets document with these tags, under that version.
    pub(super) fn targets(&self, version: u64, changes: &[TargetChange]) -> Targets {
        let base = touchmark_tuf::first_targets(self.in_days(100));
        let mut targets = next_targets(&base, changes, self.in_days(1000)).unwrap();
        targets.version = version.try_into().unwrap();
        targets
    }

    /// A file that our targets key signed, on another day.
    pub(super) fn targets_file(&self, targets: &Targets) -> Vec<u8> {
        let signed = targets.write();
        let signature = self.road.vault.sign(&self.targets_key.canonical_id(), &signed).unwrap();
        assemble(&signed, &[Signature::ecdsa(self.targets_key.id(), &signature)]).unwrap()
    }

    /// The file that a client makes of an answer's first document.
    pub(super) fn answered(document: &Targets, answer: &SignedAll) -> Vec<u8> {
        assemble(&document.write(), &answer.documents[0].signatures).unwrap()
    }

    /// The repository as the server has it: root version 1, and `targets`.
    pub(super) fn server(&self, targets: &Targets) -> Vec<(RoleName, Vec<u8>)> {
        vec![
            (RoleName::Root, self.root_file(&self.first_root())),
            (RoleName::Targets, self.targets_file(targets)),
        ]
    }

    pub(super) fn somebody(&self, pin: Option<&[u8]>) -> Somebody {
        Somebody {
            locked: self.locked.clone(),
            pin: pin.map(<[u8]>::to_vec),
            thinks: None,
            asked: Mutex::new(vec![]),
            told: Mutex::new(vec![]),
        }
    }

    pub(super) fn request(&self, documents: Vec<DocumentToSign>) -> SignRequest {
        let id = RequestId::from_bytes([5; 8]);
        SignRequest { id, gun: gun(), documents, bases: vec![], accept_root: None, seen: vec![] }
    }

    pub(super) fn to_sign(&self, targets: &Targets) -> DocumentToSign {
        DocumentToSign {
            role: RoleName::Targets,
            key_ids: vec![self.targets_key.canonical_id()],
            bytes: targets.write(),
        }
    }

    pub(super) fn root_to_sign(&self, root: &Root) -> DocumentToSign {
        let key_ids = vec![self.root_key.public().canonical_id()];
        DocumentToSign { role: RoleName::Root, key_ids, bytes: root.write() }
    }

    /// Signs on behalf of `uid`, with nobody there.
    pub(super) async fn sign_as(&self, uid: u32, request: SignRequest) -> Result<SignedAll, SignError> {
        sign(&self.road, &caller(uid), request, &self.somebody(None)).await
    }

    /// Signs on behalf of our own uid, with nobody there.
    pub(super) async fn sign(&self, targets: &Targets) -> Result<SignedAll, SignError> {
        self.sign_as(OWN, self.request(vec![self.to_sign(targets)])).await
    }

    /// Makes the server's repository known: version 1 of `targets` with the tags `v1` and `latest`.
    pub(super) async fn known(&self) -> Targets {
        let base = self.targets(1, &[set("v1", "one"), set("latest", "one")]);
        let next = self.next(&base, &[set("v2", "two")]);
        let mut request = self.request(vec![self.to_sign(&next)]);
        request.bases = self.server(&base);
        request.accept_root = Some(AcceptRoot::FirstUse);
        // By the uid of the daemon where nothing is listed, else by Alice, who may everything in these tests.
        let uid = if self.road.policy.grants(&caller(ALICE)).next().is_some() { ALICE } else { OWN };
        self.sign_as(uid, request).await.unwrap();
        next
    }

    pub(super) fn next(&self, base: &Targets, changes: &[TargetChange]) -> Targets {
        next_targets(base, changes, self.in_days(1000)).unwrap()
    }

    /// The kinds of the audit rows, and outcomes with how they ended.
    pub(super) async fn audit(&self) -> Vec<String> {
        let rows = self.road.store.read(|view| view.audit_rows(0, 1000)).await.unwrap();
        let word = |row: &touchmark_proto::v1::AuditRow, name: &str| {
            let fields = touchmark_proto::audit::fields(&row.json).unwrap();
            fields.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        rows.iter()
            .map(|row| format!("{} {}", word(row, "kind"), word(row, "outcome")).trim().to_owned())
            .collect()
    }

    /// Role, version and state of everything in the ledger, the newest version of each role first.
    pub(super) async fn ledger(&self) -> Vec<String> {
        let entries = self.road.store.read(|view| view.ledger(None, None, u32::MAX));
        let mut entries = entries.await.unwrap();
        entries.sort_by_key(|entry| (entry.slot.role.clone(), Reverse(entry.slot.version)));
        let line = |entry: &crate::ledger::Entry| {
            format!("{} {} {}", entry.slot.role, entry.slot.version, entry.state.as_str())
        };
        entries.iter().map(line).collect()
    }
}

pub(super) fn grant(uid: u32, repositories: &[&str], tags: Option<&[&str]>, actions: &[Action]) -> Grant {
    let globs = |texts: &[&str]| texts.iter().map(|text| Glob::parse(text).unwrap()).collect();
    Grant {
        who: Who::User(uid),
        repositories: globs(repositories),
        tags: tags.map(globs),
        actions: actions.iter().copied().collect(),
    }
}

/// Whether the signatures of a document are by the key that is listed as `listed`.
pub(super) fn signed_by(signed: &SignedAll, at: usize, bytes: &[u8], listed: &PublicKey) -> bool {
    let signatures = &signed.documents[at].signatures;
    let [signature] = signatures.as_slice() else { return false };
    let spki = listed.spki().unwrap();
    let point = PublicKey::from_spki(&spki).unwrap().p256_point().unwrap();
    let raw = EcdsaSignature::from_raw(signature.bytes.clone().try_into().unwrap());
    signature.key_id == listed.id() && touchmark_tuf::verify_p256(&point, bytes, &raw)
}

pub(super) fn words(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}
