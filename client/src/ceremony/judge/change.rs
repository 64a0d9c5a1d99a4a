//! The first thing in a record that does not fit: where it stands, what is wrong, and what that means.
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, shown};

use crate::ceremony::record::RecordError;
use crate::ceremony::transcript::ShareError;
use crate::error::Error;

/// The plan in the record.
pub(super) const PLAN: &str =
    "the plan in the record is not the one of this repository's history, or was changed";
/// A claim about publishing.
pub(super) const EVENT: &str =
    "somebody changed what publishing noted; what was signed is not touched by that";
/// A claim that something was published.
pub(super) const NOT_PUBLISHED: &str =
    "it was never published, was rolled back on the server, or the root to compare with is an old copy";
/// A complete root.
pub(super) const OTHER_ROOT: &str = "the root that this ceremony made is not the one that is published: another ceremony made that, or the record was \
     changed";
/// The inside of a share.
const SHARE: &str = "the transcript was changed after its token sealed it, or it belongs to another ceremony; the signer's own copy tells";
/// What a token says of its keys.
const ATTESTATION: &str = "the token's own word about its key does not lead to a certificate that is trusted here: --ca \
                           with those of its maker; if it stays so, do not trust that key";
/// The chain.
const CHAIN: &str =
    "the record was changed, cut or put together anew after it was written; an untouched copy tells";

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Number of the entry in the file; `None`: the file as a whole.
    pub entry: Option<u64>,
    /// Where inside of a transcript that the entry carries.
    pub within: Option<Within>,
    /// What is wrong, naming the kind of the entry.
    pub what: String,
    /// What that means.
    pub means: &'static str,
    /// For scripts.
    pub reason: Reason,
}

/// A place in a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// Name of its file.
    pub name: String,
    /// Number of its entry, if it is one.
    pub entry: Option<u64>,
}

impl Change {
    pub(super) fn of_entry(seq: u64, kind: &str, why: impl Into<String>, means: &'static str) -> Self {
        let what = format!("{kind}: {}", why.into());
        Self { entry: Some(seq), within: None, what, means, reason: Reason::SignatureInvalid }
    }

    pub(super) fn of_share(seq: u64, within: Within, why: String) -> Self {
        let what = format!("share {}: {why}", shown(&within.name));
        Self { entry: Some(seq), within: Some(within), what, means: SHARE, reason: Reason::SignatureInvalid }
    }

    /// For a transcript that stands alone.
    pub(super) fn of_file(entry: Option<u64>, why: String) -> Self {
        Self { entry, within: None, what: why, means: SHARE, reason: Reason::SignatureInvalid }
    }

    /// What the record calls published is not on its server.
    #[must_use]
    pub fn not_there(seq: u64, gun: &Gun, server: &str) -> Self {
        Self::of_entry(
            seq,
            "published",
            format!("{} has no trust data of {gun}", shown(server)),
            NOT_PUBLISHED,
        )
    }

    /// The same where it is the attestation that does not fit.
    pub(super) fn of_attestation(self) -> Self {
        let what = format!("{} (its attestation)", self.what);
        Self { what, means: ATTESTATION, reason: Reason::NotAttested, ..self }
    }

    /// Where it stands and what it is, in one sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.entry {
            Some(seq) => format!("entry {seq}: {}", self.what),
            None => self.what.clone(),
        }
    }
}

impl From<Change> for Error {
    fn from(change: Change) -> Self {
        let message = format!("not as it was: {}", change.in_words());
        Self::new(change.reason, message).hint(change.means)
    }
}

/// A repository of the plan.
pub(super) fn of_item(why: Error) -> Change {
    Change { reason: why.reason, ..Change::of_entry(1, "merged", why.message, PLAN) }
}

/// The entry of a transcript that is wrong.
pub(super) const fn entry_of(why: &ShareError) -> Option<u64> {
    match why {
        ShareError::Entry(why) => Some(why.seq()),
        ShareError::Document { seq, .. }
        | ShareError::Stranger { seq, .. }
        | ShareError::Signature { seq, .. }
        | ShareError::Twice { seq, .. } => Some(*seq),
        ShareError::Plan { .. } | ShareError::Occasion => Some(1),
        _ => None,
    }
}

pub(super) fn of_record(why: &RecordError) -> Change {
    // Something that is no record at all is the wrong file rather than a changed one.
    let (means, reason) = match why {
        RecordError::Format => {
            ("it is another file, or its first entry was changed", Reason::CeremonyInvalid)
        }
        RecordError::Plan(_) | RecordError::Occasion => (PLAN, Reason::SignatureInvalid),
        _ => (CHAIN, Reason::SignatureInvalid),
    };
    Change { entry: why.seq(), within: None, what: why.to_string(), means, reason }
}
