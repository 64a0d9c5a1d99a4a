//! Bytes that come in over a call: what is announced is admitted first, and what comes is what was announced.
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tonic::{Status, Streaming};
use touchmark_proto::convert::{self, FieldError};
use touchmark_proto::reason::Refusal;
use touchmark_proto::{CHUNK_MAX, v1};
use touchmark_tuf::Sha256Digest;

/// How long a client may be silent in the middle of its bytes.
const UPLOAD_PAUSE: Duration = Duration::from_secs(10);
/// How long all of its bytes may take: whoever sends them one by one holds what was set aside for them no longer.
pub(super) const UPLOAD_TIME: Duration = Duration::from_secs(120);

/// One part of an upload.
pub(super) enum Part<O> {
    /// What is coming: the first one, once.
    Open(O),
    /// Some of its bytes.
    Chunk(v1::Chunk),
}

/// A message that carries a part.
pub(super) trait Message {
    /// What it announces.
    type Open;
    /// Its part; `None`: it has none.
    fn part(self) -> Option<Part<Self::Open>>;
}

impl Message for v1::SignRequest {
    type Open = v1::SignOpen;
    fn part(self) -> Option<Part<v1::SignOpen>> {
        use v1::sign_request::Part as Wire;
        Some(match self.part? {
            Wire::Open(open) => Part::Open(open),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
        })
    }
}

impl Message for v1::SealTranscriptRequest {
    type Open = v1::SealTranscriptOpen;
    fn part(self) -> Option<Part<v1::SealTranscriptOpen>> {
        use v1::seal_transcript_request::Part as Wire;
        Some(match self.part? {
            Wire::Open(open) => Part::Open(open),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
        })
    }
}

/// What was announced, of one file.
pub(super) struct Announced {
    field: String,
    pub(super) length: usize,
    sha256: Sha256Digest,
}

impl Announced {
    /// Reads it off the wire. `field`: what the caller calls the file.
    pub(super) fn new(field: String, length: u64, sha256: &[u8]) -> Result<Self, FieldError> {
        let sha256 = convert::sha256(&format!("{field}.sha256"), sha256)?;
        let length = usize::try_from(length)
            .map_err(|_| FieldError::new(format!("{field}.length"), "is too large"))?;
        Ok(Self { field, length, sha256 })
    }
}

/// What the first message announces.
pub(super) async fn open<M: Message>(upload: &mut Streaming<M>) -> Result<M::Open, Refusal> {
    match next(upload).await? {
        Some(Part::Open(open)) => Ok(open),
        _ => Err(FieldError::new("part", "the first message has to be `open`").into()),
    }
}

/// The bytes of every announced file, and nothing after them. Chunks may end anywhere.
pub(super) async fn files<M: Message>(
    upload: &mut Streaming<M>,
    announced: &[Announced],
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut files = Vec::with_capacity(announced.len());
    let mut chunk = Vec::new();
    for one in announced {
        let mut file = Vec::new();
        while file.len() < one.length {
            if chunk.is_empty() {
                chunk = chunk_of(next(upload).await?, &one.field)?;
            }
            let rest = chunk.split_off(chunk.len().min(one.length - file.len()));
            file.append(&mut chunk);
            chunk = rest;
        }
        let digest: [u8; 32] = Sha256::digest(&file).into();
        if digest != *one.sha256.as_bytes() {
            return Err(
                FieldError::new(one.field.clone(), "its bytes do not have the announced digest").into()
            );
        }
        files.push(file);
    }
    if !chunk.is_empty() || next(upload).await?.is_some() {
        return Err(FieldError::new("chunk", "more bytes came than were announced").into());
    }
    Ok(files)
}

/// Takes an upload in within its time.
pub(super) async fn in_time<T>(received: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let received = tokio::time::timeout(UPLOAD_TIME, received).await;
    received.map_err(|_| too_slow(UPLOAD_TIME, "the request was not there"))?
}

fn chunk_of<O>(part: Option<Part<O>>, field: &str) -> Result<Vec<u8>, Refusal> {
    match part {
        Some(Part::Chunk(chunk)) if (1..=CHUNK_MAX).contains(&chunk.data.len()) => Ok(chunk.data),
        Some(Part::Chunk(_)) => {
            Err(FieldError::new("chunk", format!("has not 1 to {CHUNK_MAX} bytes")).into())
        }
        Some(Part::Open(_)) => Err(FieldError::new("part", "`open` came twice").into()),
        None => Err(FieldError::new(field, "the request ended before its bytes were all there").into()),
    }
}

/// The next part; `None` after the half-close.
async fn next<M: Message>(upload: &mut Streaming<M>) -> Result<Option<Part<M::Open>>, Refusal> {
    let broken = |status: &Status| FieldError::new("part", status.message());
    match tokio::time::timeout(UPLOAD_PAUSE, upload.message()).await {
        Ok(Ok(Some(message))) => match message.part() {
            Some(part) => Ok(Some(part)),
            None => Err(FieldError::new("part", "is empty").into()),
        },
        Ok(Ok(None)) => Ok(None),
        Ok(Err(status)) => Err(broken(&status).into()),
        Err(_) => Err(too_slow(UPLOAD_PAUSE, "nothing came")),
    }
}

/// A client that takes its time.
fn too_slow(time: Duration, what: &str) -> Refusal {
    FieldError::new("part", format!("{what} for {} seconds", time.as_secs())).into()
}
