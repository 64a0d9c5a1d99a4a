//! Parsers that are private, opened to the fuzz targets. Not in a release: see the feature `doors`.
use rusqlite::Connection;
use tonic::Streaming;
use touchmark_proto::reason::Refusal;
use touchmark_proto::transcript::Chain;
use touchmark_proto::v1;
use touchmark_tuf::{Gun, KeyId, Method, Sha256Digest, Version};

use crate::audit::RequestId;
use crate::policy::Caller;
use crate::rpc::budget::Budget;
use crate::rpc::call::Call;
use crate::rpc::signer::receive;
use crate::rpc::{seal, vault};
use crate::sign::SignRequest;
use crate::sign::seal::Read;
use crate::store::View;
use crate::unlock::backup::Backup;

pub use crate::token::doors as token;

/// Takes a `Sign` request's bytes in, as from a caller.
///
/// # Errors
/// With what is wrong with them.
pub async fn upload(upload: Streaming<v1::SignRequest>) -> Result<SignRequest, Refusal> {
    receive(&Budget::default(), &call(), upload).await.map(|(request, _)| request)
}

/// Takes a `SealTranscript` request's bytes in, as from a caller: the key that is to seal, and the text.
///
/// # Errors
/// With what is wrong with them.
pub async fn seal_upload(upload: Streaming<v1::SealTranscriptRequest>) -> Result<(KeyId, Vec<u8>), Refusal> {
    let received = seal::receive(&Budget::default(), &call(), upload).await;
    received.map(|(key, text, _)| (key, text))
}

/// Takes a `Restore` request's bytes in.
///
/// # Errors
/// In words.
pub async fn restore_upload(mut upload: Streaming<v1::RestoreRequest>) -> Result<Vec<u8>, String> {
    vault::whole(&mut upload).await.map_err(|error| error.to_string())
}

fn call() -> Call {
    let caller = Caller { uid: 1, gid: 1, groups: Vec::new(), name: None };
    Call { caller, id: RequestId::from_bytes([0; 8]) }
}

/// What one entry of a transcript says that a key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Number of the entry.
    pub entry: u64,
    /// The repository.
    pub gun: Gun,
    /// Of its root.
    pub version: Version,
    /// Of the root's canonical bytes.
    pub digest: Sha256Digest,
    /// The key.
    pub key: KeyId,
    /// Its signatures.
    pub signatures: Vec<(Method, Vec<u8>)>,
}

/// Reads a transcript as before this key seals it.
///
/// # Errors
/// In words.
pub fn transcript(text: &str, key: &KeyId) -> Result<(Chain, Vec<Signed>), String> {
    let read = Read::of(text.as_bytes().to_vec(), key).map_err(|error| error.to_string())?;
    let signed = read.signed.into_iter().map(|one| Signed {
        entry: one.entry,
        gun: one.slot.gun,
        version: one.slot.version,
        digest: one.digest,
        key: one.key,
        signatures: one.signatures,
    });
    Ok((read.chain, signed.collect()))
}

/// Reads a vault backup and writes it again.
///
/// # Errors
/// In words.
pub fn backup(bytes: &[u8]) -> Result<Vec<u8>, String> {
    Backup::read(bytes).and_then(|backup| backup.write()).map_err(|error| error.to_string())
}

/// The connection behind a job, to write into it what this program would not.
#[must_use]
pub fn sql<'v>(view: &'v View<'_>) -> &'v Connection {
    view.sql()
}
