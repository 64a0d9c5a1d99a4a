//! `Signer.Sign`: what is coming, then the bytes in chunks, then events until the signatures are there.
use sha2::{Digest as _, Sha256};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::{CHUNK_MAX, SIGN_MAX, v1};
use touchmark_tuf::{Gun, KeyId, Method, RoleName, Sha256Digest, Signature};

use super::{Daemon, failure};
use crate::error::Error;

/// One document to be signed.
#[derive(Clone, Debug)]
pub struct DocumentToSign {
    /// Its role.
    pub role: RoleName,
    /// Canonical ids of the keys to sign with.
    pub keys: Vec<KeyId>,
    /// Its canonical form.
    pub bytes: Vec<u8>,
}

/// One request: all documents are signed or none is.
#[derive(Clone, Debug)]
pub struct SignJob {
    /// The repository.
    pub gun: Gun,
    /// What to sign.
    pub documents: Vec<DocumentToSign>,
    /// The server's files that are newer than the daemon's, root chain first, as they were served.
    pub bases: Vec<(RoleName, Vec<u8>)>,
    /// What to do about the root of a repository that the daemon has not seen.
    pub accept_root: Option<v1::RootAcceptance>,
    /// What the daemon had of the roles when the documents were made; `None`: nothing.
    pub seen: Vec<(RoleName, Option<Sha256Digest>)>,
}

/// The signatures over one document.
#[derive(Clone, Debug)]
pub struct SignedDocument {
    /// Its role.
    pub role: RoleName,
    /// Its version as the daemon read it.
    pub version: u64,
    /// One a key.
    pub signatures: Vec<Signature>,
}

/// The answer to a [`SignJob`].
#[derive(Clone, Debug)]
pub struct SignedJob {
    /// In the order of the job.
    pub documents: Vec<SignedDocument>,
    /// What the daemon understood, in words.
    pub differences: Vec<String>,
    /// The audit row that records it, and its hash in hex.
    pub audit: (u64, String),
    /// The id in the daemon's log.
    pub request_id: String,
}

impl Daemon {
    /// Has documents signed.
    ///
    /// # Errors
    /// The daemon's refusal; `INVALID_FIELD` for more bytes than a request may have.
    pub async fn sign(&self, job: &SignJob) -> Result<SignedJob, Error> {
        let total: usize = job.bases.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
            + job.documents.iter().map(|document| document.bytes.len()).sum::<usize>();
        if total > SIGN_MAX {
            return Err(Error::new(
                Reason::InvalidField,
                format!("the trust data of {} is {total} bytes long; one request takes {SIGN_MAX}", job.gun),
            ));
        }
        let signed = self
            .until_right(async || {
                let requests = futures_util::stream::iter(requests(job));
                let events = self.signer().sign(requests).await.map_err(failure)?;
                self.drive(events.into_inner()).await
            })
            .await?;
        answer(signed, job)
    }
}

/// The messages of a job.
pub(super) fn requests(job: &SignJob) -> Vec<v1::SignRequest> {
    let open = v1::SignOpen {
        gun: job.gun.to_string(),
        documents: job
            .documents
            .iter()
            .map(|document| v1::Document {
                role: document.role.to_string(),
                key_ids: document.keys.iter().map(ToString::to_string).collect(),
                length: document.bytes.len() as u64,
                sha256: Sha256::digest(&document.bytes).to_vec(),
            })
            .collect(),
        bases: job
            .bases
            .iter()
            .map(|(role, bytes)| v1::Base {
                role: role.to_string(),
                length: bytes.len() as u64,
                sha256: Sha256::digest(bytes).to_vec(),
            })
            .collect(),
        accept_root: job.accept_root.clone(),
        seen: job
            .seen
            .iter()
            .map(|(role, digest)| v1::Seen {
                role: role.to_string(),
                sha256: digest.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default(),
            })
            .collect(),
    };
    let bases = job.bases.iter().map(|(_, bytes)| bytes);
    let documents = job.documents.iter().map(|document| &document.bytes);
    let chunks = bases
        .chain(documents)
        .flat_map(|bytes| bytes.chunks(CHUNK_MAX))
        .map(|data| Part::Chunk(v1::Chunk { data: data.to_vec() }));
    std::iter::once(Part::Open(open)).chain(chunks).map(|part| v1::SignRequest { part: Some(part) }).collect()
}

fn answer(signed: v1::Signed, job: &SignJob) -> Result<SignedJob, Error> {
    let documents = signed.documents.into_iter().map(document).collect::<Result<Vec<_>, _>>()?;
    let asked = job.documents.iter().map(|document| &document.role);
    if !documents.iter().map(|document| &document.role).eq(asked) {
        return Err(Error::internal("touchmarkd signed other documents than it was asked to"));
    }
    Ok(SignedJob {
        documents,
        differences: signed.differences,
        audit: (signed.audit_seq, hex(&signed.audit_head)),
        request_id: signed.request_id,
    })
}

fn document(signed: v1::DocumentSignatures) -> Result<SignedDocument, Error> {
    let role = signed.role.parse().map_err(|_| unreadable("role"))?;
    let signatures = signed.signatures.into_iter().map(signature).collect::<Result<Vec<_>, _>>()?;
    Ok(SignedDocument { role, version: signed.version, signatures })
}

fn signature(signature: v1::Signature) -> Result<Signature, Error> {
    if signature.method != "ecdsa" {
        return Err(unreadable("signature method"));
    }
    let key_id = signature.key_id.parse().map_err(|_| unreadable("key id"))?;
    Ok(Signature { key_id, method: Method::Ecdsa, bytes: signature.signature })
}

fn unreadable(what: &str) -> Error {
    Error::internal(format!("touchmarkd answered with a {what} that cannot be read"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
