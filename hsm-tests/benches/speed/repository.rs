//! Repositories that a daemon signs for, made over its own gRPC: no trust server has a part in signing.

use std::num::NonZeroU32;
use std::time::Duration;

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use tonic::codegen::tokio_stream::iter;
use tonic::transport::Channel;
use tonic::{Code, Status};
use touchmark_proto::v1;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_tuf::{
    Document, Expires, Instant, PublicKey, RoleName, Root, Sha256Digest, Target, TargetChange, Targets,
    first_root, first_targets, next_targets,
};

use crate::load::Client;

/// Tags in each targets document: some 600 bytes of canonical JSON.
const TAGS: usize = 5;
/// Before a request that found the token busy asks again.
const BUSY: Duration = Duration::from_millis(1);
const DAY: i64 = 24 * 60 * 60;

/// One role that a client signs for, version after version.
pub(crate) struct Role<D> {
    role: RoleName,
    key: v1::Key,
    document: D,
}

/// A client that has the next version of each of its documents signed, all in one request.
pub(crate) struct Signing<D> {
    signer: SignerClient<Channel>,
    gun: String,
    roles: Vec<Role<D>>,
}

/// Something that has a next version.
pub(crate) trait Versions: Document + Send + 'static {
    /// The next version with one change, as whoever publishes it would make it.
    fn step(&mut self);
}

impl Versions for Targets {
    /// One tag moves, and the expiry with it.
    fn step(&mut self) {
        self.version = self.version.next().unwrap();
        self.expires = later(&self.expires);
        let digest = Sha256Digest::of(&self.version.get().to_be_bytes());
        if let Some(target) = self.targets.values_mut().next() {
            *target = Target::new(digest, 1000);
        }
    }
}

impl Versions for Root {
    /// A new expiry.
    fn step(&mut self) {
        self.version = self.version.next().unwrap();
        self.expires = later(&self.expires);
    }
}

fn later(expires: &Expires) -> Expires {
    Expires::at(Instant::from_unix(expires.instant().unix() + 1))
}

/// A repository as it was made.
pub(crate) struct Made {
    pub(crate) gun: String,
    pub(crate) root: Role<Root>,
    pub(crate) targets: Role<Targets>,
}

/// Makes a repository with a targets key in the vault and the token's root key.
pub(crate) async fn make(channel: &Channel, gun: &str) -> Made {
    let root_key = root_key(channel).await;
    let key = create_key(channel, v1::Role::Targets, gun, "").await;
    let targets_key = PublicKey::from_spki(&key.public_key).unwrap();
    let certificate = certificate(channel, &root_key, gun).await;
    let root = first_root(
        &gun.parse().unwrap(),
        &[certificate],
        NonZeroU32::MIN,
        &targets_key,
        &elsewhere(1),
        &elsewhere(2),
        in_days(300),
    );
    let targets = next_tags(&first_targets(in_days(300)));
    let made = Made {
        gun: gun.to_owned(),
        root: Role { role: RoleName::Root, key: root_key, document: root.unwrap() },
        targets: Role { role: RoleName::Targets, key, document: targets },
    };
    let documents = [made.root.wanted(), made.targets.wanted()];
    sign(&mut SignerClient::new(channel.clone()), gun, &documents).await;
    made
}

/// As many delegations of a repository, with one key; their first documents are not signed yet.
pub(crate) async fn delegate(channel: &Channel, made: &mut Made, count: usize) -> Vec<Role<Targets>> {
    let key = create_key(channel, v1::Role::Delegation, &made.gun, "ci").await;
    let public = PublicKey::from_spki(&key.public_key).unwrap();
    let names = (0..count).map(|number| format!("targets/ci{number}").parse::<RoleName>().unwrap());
    let names: Vec<_> = names.collect();
    let changes = names.iter().map(|role| {
        let RoleName::Delegation(name) = role else { panic!("{role} is no delegation") };
        TargetChange::AddDelegation {
            name: name.clone(),
            keys: vec![public.clone()],
            paths: vec![String::new()],
        }
    });
    let changes: Vec<_> = changes.collect();
    let next = next_targets(&made.targets.document, &changes, in_days(300)).unwrap();
    made.targets.document = next;
    let documents = [made.targets.wanted()];
    sign(&mut SignerClient::new(channel.clone()), &made.gun, &documents).await;
    let role = |role| Role { role, key: key.clone(), document: next_tags(&first_targets(in_days(300))) };
    let mut roles: Vec<_> = names.into_iter().map(role).collect();
    let first: Vec<_> = roles.iter_mut().map(|role| role.wanted()).collect();
    sign(&mut SignerClient::new(channel.clone()), &made.gun, &first).await;
    roles
}

/// One more key in the vault.
pub(crate) async fn create_key(channel: &Channel, role: v1::Role, gun: &str, delegation: &str) -> v1::Key {
    let request = v1::CreateKeyRequest {
        role: role.into(),
        repository: gun.to_owned(),
        delegation: delegation.to_owned(),
        ..Default::default()
    };
    created(channel, request).await
}

/// One more key on the token. `touch`: its policy, where the token knows such.
pub(crate) async fn create_root_key(channel: &Channel, token: &str, label: &str, touch: &str) -> v1::Key {
    let (token, label, touch_policy) = (token.to_owned(), label.to_owned(), touch.to_owned());
    let role = v1::Role::Root.into();
    created(channel, v1::CreateKeyRequest { role, token, label, touch_policy, ..Default::default() }).await
}

async fn created(channel: &Channel, request: v1::CreateKeyRequest) -> v1::Key {
    let mut events = KeysClient::new(channel.clone()).create(request).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(v1::key_event::Event::Key(key)) = event.event {
            return key;
        }
    }
    panic!("no key was made");
}

/// A key of the trust server, which nobody asks for anything here.
fn elsewhere(number: u8) -> PublicKey {
    let key = SigningKey::from_slice(&[number; 32]).unwrap();
    PublicKey::from_p256_point(key.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap())
}

fn point(key: &v1::Key) -> [u8; 65] {
    PublicKey::from_spki(&key.public_key).unwrap().p256_point().expect("a P-256 key")
}

async fn root_key(channel: &Channel) -> v1::Key {
    let listed = KeysClient::new(channel.clone()).list(v1::ListKeysRequest {}).await.unwrap();
    let keys = listed.into_inner().keys;
    keys.into_iter().find(|key| key.role() == v1::Role::Root).expect("a root key")
}

async fn certificate(channel: &Channel, root: &v1::Key, gun: &str) -> PublicKey {
    let request =
        v1::IssueRootCertificateRequest { key_id: root.id.clone(), gun: gun.to_owned(), renew: false };
    let mut keys = KeysClient::new(channel.clone());
    let mut events = keys.issue_root_certificate(request).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(v1::root_certificate_event::Event::Certificate(certificate)) = event.event {
            return PublicKey::from_certificate_pem(certificate.pem.as_bytes()).unwrap();
        }
    }
    panic!("no certificate was made");
}

fn next_tags(base: &Targets) -> Targets {
    let set = |number| TargetChange::Set {
        name: format!("1.{number}").parse().unwrap(),
        target: Target::new(Sha256Digest::of(&[number]), 1000),
    };
    let changes: Vec<_> = (0..u8::try_from(TAGS).unwrap()).map(set).collect();
    let mut next = next_targets(base, &changes, base.expires.clone()).unwrap();
    next.version = base.version;
    next
}

fn in_days(days: i64) -> Expires {
    Expires::at(Instant::from_unix(time::OffsetDateTime::now_utc().unix_timestamp() + days * DAY))
}

/// One document of a request: role, key, bytes.
struct Wanted {
    document: v1::Document,
    bytes: Vec<u8>,
}

impl<D: Document> Role<D> {
    fn wanted(&self) -> Wanted {
        let bytes = self.document.write();
        let document = v1::Document {
            role: self.role.to_string(),
            key_ids: vec![self.key.id.clone()],
            length: bytes.len() as u64,
            sha256: Sha256::digest(&bytes).to_vec(),
        };
        Wanted { document, bytes }
    }
}

impl<D: Versions> Signing<D> {
    /// A client for these roles of a repository. What it gets is checked with p256 once, here.
    pub(crate) async fn new(channel: Channel, gun: &str, roles: Vec<Role<D>>) -> Self {
        let mut client = Self { signer: SignerClient::new(channel), gun: gun.to_owned(), roles };
        let (wanted, signed) = client.next().await;
        for ((role, wanted), signed) in client.roles.iter().zip(&wanted).zip(&signed.documents) {
            let key = VerifyingKey::from_sec1_bytes(&point(&role.key)).unwrap();
            let signature = Signature::from_slice(&signed.signatures[0].signature).unwrap();
            key.verify_prehash(&Sha256::digest(&wanted.bytes), &signature).expect("a good signature");
        }
        client
    }

    async fn next(&mut self) -> (Vec<Wanted>, v1::Signed) {
        self.roles.iter_mut().for_each(|role| role.document.step());
        let wanted: Vec<_> = self.roles.iter().map(Role::wanted).collect();
        let signed = sign(&mut self.signer, &self.gun, &wanted).await;
        (wanted, signed)
    }
}

impl<D: Versions> Client for Signing<D> {
    async fn ask(&mut self) -> u32 {
        u32::try_from(self.next().await.1.documents.len()).unwrap()
    }
}

/// Has documents signed. A token is held by one request at a time, and the others are told so: they ask again.
async fn sign(signer: &mut SignerClient<Channel>, gun: &str, wanted: &[Wanted]) -> v1::Signed {
    let documents = wanted.iter().map(|wanted| wanted.document.clone()).collect();
    let open = v1::SignOpen { gun: gun.to_owned(), documents, ..Default::default() };
    let bytes: Vec<u8> = wanted.iter().flat_map(|wanted| wanted.bytes.iter().copied()).collect();
    let chunks = bytes
        .chunks(touchmark_proto::CHUNK_MAX)
        .map(|chunk| v1::sign_request::Part::Chunk(v1::Chunk { data: chunk.to_vec() }));
    let parts = std::iter::once(v1::sign_request::Part::Open(open)).chain(chunks);
    let parts: Vec<_> = parts.map(|part| v1::SignRequest { part: Some(part) }).collect();
    loop {
        match ask(signer, parts.clone()).await {
            Ok(signed) => {
                assert_eq!(signed.documents.len(), wanted.len());
                assert!(signed.documents.iter().all(|document| !document.signatures.is_empty()));
                return signed;
            }
            Err(busy) if busy.code() == Code::ResourceExhausted => tokio::time::sleep(BUSY).await,
            Err(refusal) => panic!("the daemon refuses: {refusal}"),
        }
    }
}

async fn ask(signer: &mut SignerClient<Channel>, parts: Vec<v1::SignRequest>) -> Result<v1::Signed, Status> {
    let mut events = signer.sign(iter(parts)).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(v1::sign_event::Event::Signed(signed)) = event.event {
            return Ok(signed);
        }
    }
    Err(Status::internal("the daemon signed nothing"))
}
