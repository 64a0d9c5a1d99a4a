//! Signatures asked for over the socket, without the client: repositories whose root is made here, and what the daemon
//! says of them.

mod root;

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::codegen::tokio_stream::iter;
use tonic::transport::{Channel, Endpoint};
use touchmark_proto::reason::Reason;
use touchmark_proto::reason::Refusal;
use touchmark_proto::v1;
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_tuf::{
    Document as _, EcdsaSignature, Expires, Gun, Instant, PublicKey, Sha256Digest, Signature, Target,
    TargetChange, Targets, Unverified, assemble, first_root, first_targets, next_targets, to_be_signed,
    verify_p256,
};

pub use root::{TokenRoot, create_root};

/// How long the documents made here are good for.
const LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A connection to the daemon on this socket.
///
/// # Errors
/// Nobody listens there.
pub async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    Endpoint::try_from(format!("unix:{}", socket.display()))?.connect().await
}

/// A connection to the daemon on this socket, which has answered: it may listen before it serves.
///
/// # Errors
/// It does not answer.
pub async fn answered(socket: &Path) -> Result<Channel, Failure> {
    let channel = connect(socket).await.map_err(|why| Failure::Gone(Status::unavailable(why.to_string())))?;
    DaemonClient::new(channel.clone()).status(v1::StatusRequest {}).await?;
    Ok(channel)
}

/// Why nothing was signed.
#[derive(Debug)]
pub enum Failure {
    /// The daemon said no, or that it cannot.
    Refused(Refusal),
    /// It is not there any more, or did not say.
    Gone(Status),
}

impl Failure {
    /// The daemon's reason, if it gave one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason),
            Self::Gone(_) => None,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Refusal::from_status(&status).map_or(Self::Gone(status), Self::Refused)
    }
}

/// A repository whose root was made here and whose targets key is in the daemon's vault.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its full name.
    pub gun: String,
    key: PublicKey,
    root: Vec<u8>,
}

/// What the daemon last signed or accepted of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its version.
    pub version: u64,
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// Its signature; none where a crash took it.
    pub signature: Option<Vec<u8>>,
}

impl Repository {
    /// A new targets key in the vault, a root that lists it, and version 1 of the targets signed.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn adopt(channel: &Channel, gun: &str) -> Result<Self, Failure> {
        let key = create_key(channel, gun).await?;
        let repository = Self { gun: gun.to_owned(), root: root_file(gun, &key), key };
        let bytes = repository.targets(1, "", &expiry());
        repository.sign_after_root(channel, bytes).await?;
        Ok(repository)
    }

    /// A targets document of this version: the tag `latest`, for an image named `text`; version 1 has no tag.
    #[must_use]
    pub fn targets(&self, version: u64, text: &str, expires: &Expires) -> Vec<u8> {
        let first = first_targets(expires.clone());
        if version == 1 {
            return first.write();
        }
        let target = Target::new(Sha256Digest::of(text.as_bytes()), 500);
        let change = TargetChange::Set { name: "latest".parse().unwrap(), target };
        let mut next = next_targets(&first, &[change], expires.clone()).unwrap();
        next.version = version.try_into().unwrap();
        next.write()
    }

    /// Has a targets document signed. The signature is verified.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn sign(&self, channel: &Channel, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.request(channel, bytes, Vec::new(), None).await
    }

    async fn sign_after_root(&self, channel: &Channel, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let accept = v1::RootAcceptance { first_use: true, pinned_key_ids: Vec::new() };
        self.request(channel, bytes, vec![self.root.clone()], Some(accept)).await
    }

    async fn request(
        &self,
        channel: &Channel,
        bytes: Vec<u8>,
        roots: Vec<Vec<u8>>,
        accept_root: Option<v1::RootAcceptance>,
    ) -> Result<Vec<u8>, Failure> {
        let key_ids = vec![self.key.canonical_id().to_string()];
        let request = requests(&self.gun, key_ids, &bytes, &roots, accept_root);
        let signature = signed(channel, request).await?.documents[0].signatures[0].signature.clone();
        assert!(self.is_signature(&bytes, &signature), "the daemon signed something else");
        Ok(signature)
    }

    /// Whether that is a signature of the repository's targets key.
    #[must_use]
    pub fn is_signature(&self, bytes: &[u8], signature: &[u8]) -> bool {
        is_signature(&self.key, bytes, signature)
    }

    /// The last targets document of the daemon, one too whose signature a crash took.
    ///
    /// # Errors
    /// Why it does not say.
    pub async fn last(&self, channel: &Channel) -> Result<Option<Last>, Failure> {
        let request = v1::LastRequest {
            gun: self.gun.clone(),
            role: "targets".to_owned(),
            unsigned: true,
            ..Default::default()
        };
        let mut chunks = SignerClient::new(channel.clone()).last(request).await?.into_inner();
        let Some(first) = chunks.message().await? else { return Ok(None) };
        let mut data = first.data;
        while let Some(chunk) = chunks.message().await? {
            data.extend_from_slice(&chunk.data);
        }
        if first.unsigned {
            return Ok(Some(Last { version: first.version, bytes: data, signature: None }));
        }
        let file = Unverified::<Targets>::parse(&data).expect("a file of the daemon");
        let signature = file.signatures()[0].bytes.clone();
        let bytes = file.signed_bytes().to_vec();
        Ok(Some(Last { version: first.version, bytes, signature: Some(signature) }))
    }

    /// Version, digest and state of everything that the ledger has of it.
    ///
    /// # Errors
    /// Why the daemon does not say.
    pub async fn ledger(&self, channel: &Channel) -> Result<Vec<v1::LedgerEntry>, Failure> {
        let request = v1::LedgerRequest { gun: self.gun.clone() };
        let mut pages = DaemonClient::new(channel.clone()).ledger(request).await?.into_inner();
        let mut entries = Vec::new();
        while let Some(page) = pages.message().await? {
            entries.extend(page.entries);
        }
        Ok(entries)
    }
}

/// An expiry in a year, by this machine's clock.
#[must_use]
pub fn expiry() -> Expires {
    Expires::at(now().plus(LIFE))
}

/// This machine's clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "a person's clock")]
pub fn now() -> Instant {
    Instant::from_system(std::time::SystemTime::now())
}

/// The messages of a request for one targets document.
#[must_use]
pub fn requests(
    gun: &str,
    key_ids: Vec<String>,
    bytes: &[u8],
    roots: &[Vec<u8>],
    accept_root: Option<v1::RootAcceptance>,
) -> Vec<v1::SignRequest> {
    one_document(gun, "targets", key_ids, bytes, roots, accept_root)
}

fn one_document(
    gun: &str,
    role: &str,
    key_ids: Vec<String>,
    bytes: &[u8],
    roots: &[Vec<u8>],
    accept_root: Option<v1::RootAcceptance>,
) -> Vec<v1::SignRequest> {
    use v1::sign_request::Part;
    let base = |file: &Vec<u8>| v1::Base {
        role: "root".to_owned(),
        length: file.len() as u64,
        sha256: Sha256::digest(file).to_vec(),
    };
    let document = v1::Document {
        role: role.to_owned(),
        key_ids,
        length: bytes.len() as u64,
        sha256: Sha256::digest(bytes).to_vec(),
    };
    let open = v1::SignOpen {
        gun: gun.to_owned(),
        documents: vec![document],
        bases: roots.iter().map(base).collect(),
        accept_root,
        seen: Vec::new(),
    };
    let chunk = |data: &[u8]| Part::Chunk(v1::Chunk { data: data.to_vec() });
    let chunks = roots.iter().map(Vec::as_slice).chain([bytes]).map(chunk);
    std::iter::once(Part::Open(open)).chain(chunks).map(|part| v1::SignRequest { part: Some(part) }).collect()
}

async fn signed(channel: &Channel, request: Vec<v1::SignRequest>) -> Result<v1::Signed, Failure> {
    let mut events = SignerClient::new(channel.clone()).sign(iter(request)).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(v1::sign_event::Event::Signed(signed)) = event.event {
            return Ok(signed);
        }
    }
    Err(Failure::Gone(Status::unknown("the stream ended without an answer")))
}

fn is_signature(key: &PublicKey, bytes: &[u8], signature: &[u8]) -> bool {
    let raw = EcdsaSignature::from_raw(signature.try_into().expect("64 bytes"));
    verify_p256(&key.p256_point().expect("a P-256 key"), bytes, &raw)
}

async fn create_key(channel: &Channel, gun: &str) -> Result<PublicKey, Failure> {
    let request = v1::CreateKeyRequest {
        role: v1::Role::Targets.into(),
        repository: gun.to_owned(),
        ..Default::default()
    };
    let key = create(channel, request).await?;
    Ok(PublicKey::from_spki(&key.public_key).expect("the daemon's own key"))
}

async fn create(channel: &Channel, request: v1::CreateKeyRequest) -> Result<v1::Key, Failure> {
    let mut events = KeysClient::new(channel.clone()).create(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(v1::key_event::Event::Key(key)) = event.event {
            return Ok(key);
        }
    }
    Err(Failure::Gone(Status::unknown("the stream ended without a key")))
}

/// A root whose key nobody keeps.
fn root_file(gun: &str, targets: &PublicKey) -> Vec<u8> {
    let [root, snapshot, timestamp] = [1, 2, 3].map(|seed| SigningKey::from_slice(&[seed; 32]).unwrap());
    let point = |key: &SigningKey| -> [u8; 65] {
        key.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap()
    };
    let sign = |bytes: &[u8]| {
        let signature: p256::ecdsa::Signature = root.sign(bytes);
        EcdsaSignature::from_raw(signature.to_bytes().into())
    };
    let gun: Gun = gun.parse().unwrap();
    let (from, to) = (now().minus(LIFE), now().plus(10 * LIFE));
    let unsigned = to_be_signed(&gun, &point(&root), [7; 16], from, to).unwrap();
    let signature = sign(unsigned.bytes());
    let certificate = unsigned.finish(&signature).unwrap().public_key();
    let others = [snapshot, timestamp].map(|key| PublicKey::from_p256_point(&point(&key)));
    let certificates = [certificate.clone()];
    let root =
        first_root(&gun, &certificates, NonZeroU32::MIN, targets, &others[0], &others[1], Expires::at(to))
            .unwrap()
            .write();
    assemble(&root, &[Signature::ecdsa(certificate.id(), &sign(&root))]).unwrap()
}
