//! The transcript of a ceremony: what was read, asked, answered and signed in one place, entry by entry, each holding
//! the hash of the one before. Shared by the client that writes it, the daemon that signs its head, and everybody who
//! checks it years later. Pure. See `docs/formats.md`, "Transcripts".
use serde_json::{Map, Value};
use touchmark_tuf::Sha256Digest;

use crate::line::{hex, write};

/// The most bytes of a transcript that a daemon reads to sign its head.
pub const TRANSCRIPT_MAX: usize = 16 * 1024 * 1024;
/// What the message of a seal begins with, so that its signature is good for nothing else.
const SEAL_LABEL: &[u8] = b"touchmark transcript head v1\n";
/// The fields that every entry has; `kind` says what the others are.
const SEQ: &str = "seq";
const PREVIOUS: &str = "previous";
const KIND: &str = "kind";
const TIME: &str = "time";
const UPTIME: &str = "uptime";

/// When something happened, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970, as the wall clock says.
    pub time_unix_ms: i64,
    /// Milliseconds since the machine started, sleep included: it never jumps.
    pub uptime_ms: u64,
}

/// One entry, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on.
    pub seq: u64,
    /// When.
    pub moment: Moment,
    /// What happened: `begun`, `device`, `asked`, `signed`, `refused`, `resumed`, `sealed`...
    pub kind: String,
    /// The rest.
    pub fields: Map<String, Value>,
}

/// Why a text is no transcript, or not the one that was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// The line is not in the one form that is written.
    #[error("entry {seq} is malformed")]
    Malformed {
        /// Which one it should be.
        seq: u64,
    },
    /// The line has another number than its place.
    #[error("entry {got} stands where entry {wanted} belongs")]
    Sequence {
        /// The number that follows the last one.
        wanted: u64,
        /// The number found.
        got: u64,
    },
    /// It does not hold the hash of the entry before it.
    #[error("entry {seq} does not follow entry {before}: one of the two was changed", before = seq.saturating_sub(1))]
    Previous {
        /// Its number.
        seq: u64,
    },
    /// The text does not end with a newline: writing was cut short.
    #[error("the transcript is cut off after entry {seq}")]
    CutOff {
        /// The last whole one.
        seq: u64,
    },
}

/// The end of a chain of entries, which the next one follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    head: [u8; 32],
}

impl Chain {
    /// How many entries there are.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// SHA-256 of the last line without its newline; zeros before the first one.
    #[must_use]
    pub const fn head(&self) -> &[u8; 32] {
        &self.head
    }

    /// The line of the next entry, without a newline; the chain ends with it now. Fields named like those that every
    /// entry has are overwritten.
    #[must_use]
    pub fn append(&mut self, moment: Moment, kind: &str, mut fields: Map<String, Value>) -> String {
        self.seq = self.seq.saturating_add(1);
        fields.insert(SEQ.to_owned(), self.seq.into());
        fields.insert(PREVIOUS.to_owned(), hex(&self.head).into());
        fields.insert(KIND.to_owned(), kind.into());
        fields.insert(TIME.to_owned(), moment.time_unix_ms.into());
        fields.insert(UPTIME.to_owned(), moment.uptime_ms.into());
        let line = write(&fields);
        self.head = *Sha256Digest::of(line.as_bytes()).as_bytes();
        line
    }

    /// Takes the next line, without its newline.
    ///
    /// # Errors
    /// Names the first thing that is wrong with it; the chain stays where it was.
    pub fn push(&mut self, line: &str) -> Result<Entry, TranscriptError> {
        let wanted = self.seq.saturating_add(1);
        let malformed = || TranscriptError::Malformed { seq: wanted };
        let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(line) else {
            return Err(malformed());
        };
        if write(&fields) != line {
            return Err(malformed());
        }
        let seq = fields.remove(SEQ).and_then(|value| value.as_u64()).ok_or_else(malformed)?;
        if seq != wanted {
            return Err(TranscriptError::Sequence { wanted, got: seq });
        }
        let previous = fields.remove(PREVIOUS).ok_or_else(malformed)?;
        if previous.as_str() != Some(&hex(&self.head)) {
            return Err(TranscriptError::Previous { seq });
        }
        let kind = fields.remove(KIND).and_then(|kind| kind.as_str().map(str::to_owned));
        let time = fields.remove(TIME).and_then(|value| value.as_i64());
        let uptime = fields.remove(UPTIME).and_then(|value| value.as_u64());
        let entry = Entry {
            seq,
            moment: Moment {
                time_unix_ms: time.ok_or_else(malformed)?,
                uptime_ms: uptime.ok_or_else(malformed)?,
            },
            kind: kind.ok_or_else(malformed)?,
            fields,
        };
        self.seq = seq;
        self.head = *Sha256Digest::of(line.as_bytes()).as_bytes();
        Ok(entry)
    }

    /// What a root key signs to seal the chain as it is now: a label with its newline, the number of the last entry (8
    /// bytes, big-endian), its hash (32 bytes).
    #[must_use]
    pub fn seal_message(&self) -> Vec<u8> {
        [SEAL_LABEL, &self.seq.to_be_bytes(), &self.head].concat()
    }
}

/// Reads a whole transcript: lines that each end with a newline.
///
/// # Errors
/// With the first thing that is wrong.
pub fn read(text: &str) -> Result<(Vec<Entry>, Chain), TranscriptError> {
    let (mut entries, mut chain) = (Vec::new(), Chain::default());
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').ok_or(TranscriptError::CutOff { seq: chain.seq })?;
        entries.push(chain.push(line)?);
    }
    Ok((entries, chain))
}

#[cfg(test)]
mod tests;
