//! Why the entries of a transcript or a record cannot be taken: the chain, the words, the order.

use touchmark_proto::transcript::{Entry, TranscriptError};
use touchmark_tuf::shown;

/// The first entry that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The chain is broken.
    #[error(transparent)]
    Chain(#[from] TranscriptError),
    /// It says something that no such entry says.
    #[error("entry {seq} ({kind}) cannot be read")]
    Unreadable {
        /// Its number.
        seq: u64,
        /// Its kind, escaped.
        kind: String,
    },
    /// It stands where it must not.
    #[error("entry {seq} ({kind}) does not belong there")]
    Misplaced {
        /// Its number.
        seq: u64,
        /// Its kind.
        kind: &'static str,
    },
}

impl EntryError {
    /// That nobody can read this one.
    #[must_use]
    pub fn unreadable(entry: &Entry) -> Self {
        Self::Unreadable { seq: entry.seq, kind: shown(&entry.kind).to_string() }
    }

    /// Its number.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Chain(
                TranscriptError::Malformed { seq }
                | TranscriptError::Previous { seq }
                | TranscriptError::Sequence { wanted: seq, .. }
                | TranscriptError::CutOff { seq },
            )
            | Self::Unreadable { seq, .. }
            | Self::Misplaced { seq, .. } => *seq,
        }
    }
}
