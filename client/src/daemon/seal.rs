//! `Signer.SealTranscript`: a root key's signature over the head of a ceremony's transcript.
use sha2::{Digest as _, Sha256};
use touchmark_proto::reason::Reason;
use touchmark_proto::transcript::{self, TRANSCRIPT_MAX};
use touchmark_proto::v1::seal_transcript_request::Part;
use touchmark_proto::{CHUNK_MAX, v1};
use touchmark_tuf::{EcdsaSignature, KeyId};

use super::sign::hex;
use super::{Daemon, failure};
use crate::error::Error;

/// What seals a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The signature over `Chain::seal_message()` of the transcript.
    pub signature: EcdsaSignature,
    /// The audit row that records it, and its hash in hex.
    pub audit: (u64, String),
}

impl Daemon {
    /// Has a root key seal a transcript: all of its entries so far, without a `sealed` one.
    ///
    /// # Errors
    /// `INVALID_FIELD` for a text that is no transcript, or too long; the daemon's refusal.
    pub async fn seal(&self, key: &KeyId, transcript: &str) -> Result<Seal, Error> {
        let refused = |why: String| Error::new(Reason::InvalidField, why);
        if transcript.len() > TRANSCRIPT_MAX {
            return Err(refused(format!(
                "the transcript is {} bytes long; {TRANSCRIPT_MAX} are sealed at most",
                transcript.len()
            )));
        }
        let (_, chain) = transcript::read(transcript).map_err(|cause| refused(cause.to_string()))?;
        let seal = self
            .until_right(async || {
                let requests = futures_util::stream::iter(requests(key, transcript.as_bytes()));
                let events = self.signer().seal_transcript(requests).await.map_err(failure)?;
                self.drive(events.into_inner()).await
            })
            .await?;
        if (seal.seq, seal.head.as_slice()) != (chain.seq(), chain.head().as_slice()) {
            return Err(Error::internal("touchmarkd sealed another transcript than it was given"));
        }
        let signature = <[u8; 64]>::try_from(seal.signature.as_slice())
            .map_err(|_| Error::internal("touchmarkd answered with a seal that cannot be read"))?;
        Ok(Seal {
            signature: EcdsaSignature::from_raw(signature),
            audit: (seal.audit_seq, hex(&seal.audit_head)),
        })
    }
}

/// The messages of a call.
fn requests(key: &KeyId, text: &[u8]) -> Vec<v1::SealTranscriptRequest> {
    let open = Part::Open(v1::SealTranscriptOpen {
        key_id: key.to_string(),
        length: text.len() as u64,
        sha256: Sha256::digest(text).to_vec(),
    });
    let chunks = text.chunks(CHUNK_MAX).map(|data| Part::Chunk(v1::Chunk { data: data.to_vec() }));
    let parts = std::iter::once(open).chain(chunks);
    parts.map(|part| v1::SealTranscriptRequest { part: Some(part) }).collect()
}
