//! The record of a ceremony: the plan, what each signer did, the complete roots, and what became of each. `merge` begins
//! it, `publish` adds to it, `verify` reads it years later. `entry` says what its entries mean.
mod entry;

use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_proto::transcript::{self, Entry, Moment};
use touchmark_tuf::{Gun, Sha256Digest};

pub use entry::{Completed, FORMAT, Failed, Finished, Included, Merged, Noted, Published, Rehearsed};

use super::entry::EntryError;
use super::file::{self, name};
use super::growing::Growing;
use super::plan::{Occasion, Plan, PlanError};
use crate::error::Error;

/// A record, read. What it says is not checked yet: see [`super::judge`].
#[derive(Clone, Debug)]
pub struct Record {
    /// The plan that it carries.
    pub plan: Plan,
    /// SHA-256 of the plan's file.
    pub plan_digest: Sha256Digest,
    /// Every entry, with its number and time.
    pub entries: Vec<(Entry, Noted)>,
}

/// Why a text is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// One of its entries is wrong.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// It does not begin as records do.
    #[error("it is no record of a ceremony of a version that is known here ({FORMAT})")]
    Format,
    /// The plan in it.
    #[error("entry 1 (merged): the plan in it: {0}")]
    Plan(PlanError),
    /// It says otherwise than its plan whether it is in earnest.
    #[error("entry 1 (merged) and the plan in it disagree whether this is a rehearsal")]
    Occasion,
}

impl RecordError {
    /// The entry that is wrong; `None`: the file as a whole.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        match self {
            Self::Entry(why) => Some(why.seq()),
            Self::Plan(_) | Self::Occasion => Some(1),
            Self::Format => None,
        }
    }
}

impl Record {
    /// Reads a record: its chain is whole, and its entries stand in the order in which a ceremony goes.
    ///
    /// # Errors
    /// [`RecordError`], naming the first entry that is wrong.
    pub fn read(text: &str) -> Result<Self, RecordError> {
        Self::of(transcript::read(text).map_err(EntryError::from)?.0)
    }

    fn of(entries: Vec<Entry>) -> Result<Self, RecordError> {
        let mut read: Vec<(Entry, Noted)> = Vec::with_capacity(entries.len());
        let mut stage = 0;
        for entry in entries {
            let noted = Noted::read(&entry);
            if read.is_empty() && !matches!(&noted, Some(Noted::Merged(merged)) if merged.format == FORMAT) {
                return Err(RecordError::Format);
            }
            let noted = noted.ok_or_else(|| EntryError::unreadable(&entry))?;
            let next = stage_of(&noted);
            if next < stage || next == 0 && !read.is_empty() {
                return Err(EntryError::Misplaced { seq: entry.seq, kind: noted.kind() }.into());
            }
            stage = next;
            read.push((entry, noted));
        }
        let Some((_, Noted::Merged(merged))) = read.first() else { return Err(RecordError::Format) };
        let plan = Plan::parse(merged.plan.as_bytes()).map_err(RecordError::Plan)?;
        if merged.rehearsal != (plan.occasion == Occasion::Rehearsal) {
            return Err(RecordError::Occasion);
        }
        let plan_digest = Sha256Digest::of(merged.plan.as_bytes());
        Ok(Self { plan, plan_digest, entries: read })
    }

    /// The transcripts, with the number of each entry.
    pub fn shares(&self) -> impl Iterator<Item = (u64, &Included)> {
        self.entries.iter().filter_map(|(entry, noted)| match noted {
            Noted::Share(share) => Some((entry.seq, share)),
            _ => None,
        })
    }

    /// The complete roots, with the number of each entry.
    pub fn completed(&self) -> impl Iterator<Item = (u64, &Completed)> {
        self.entries.iter().filter_map(|(entry, noted)| match noted {
            Noted::Completed(completed) => Some((entry.seq, completed)),
            _ => None,
        })
    }

    /// What was published, with the number of each entry; a repository may stand there more than once.
    pub fn published(&self) -> impl Iterator<Item = (u64, &Published)> {
        self.entries.iter().filter_map(|(entry, noted)| match noted {
            Noted::Published(published) => Some((entry.seq, published)),
            _ => None,
        })
    }

    /// Whether it says that a repository was published.
    #[must_use]
    pub fn is_published(&self, gun: &Gun) -> bool {
        self.published().any(|(_, published)| published.repository == *gun)
    }
}

/// A record that is added to.
#[derive(Debug)]
pub struct Book {
    growing: Growing,
    clock: fn() -> Moment,
}

impl Book {
    /// Writes a new record, whole or not at all.
    ///
    /// # Errors
    /// `USAGE`: it is there already, or cannot be written.
    pub fn write_new(path: &Path, notes: &[Noted], clock: fn() -> Moment) -> Result<(), Error> {
        let mut chain = transcript::Chain::default();
        let mut text = String::new();
        for noted in notes {
            text.push_str(&chain.append(clock(), noted.kind(), noted.fields()));
            text.push('\n');
        }
        file::write_new(path, text.as_bytes())
    }

    /// Opens a record to add to it. A last entry without its end is taken away.
    ///
    /// # Errors
    /// `USAGE`: it cannot be read or written, or another process has it. `CEREMONY_INVALID`: it is no record.
    pub fn open(path: &Path, clock: fn() -> Moment) -> Result<(Self, Record), Error> {
        let opened = Growing::open(path)?;
        let record = Record::of(opened.entries).map_err(|cause| {
            Error::new(Reason::CeremonyInvalid, format!("{} is not to be used: {cause}", name(path)))
                .hint("touchmark ceremony merge makes a new one from the plan and the transcripts")
        })?;
        Ok((Self { growing: opened.growing, clock }, record))
    }

    /// Adds an entry. When this returns it is on the stick.
    ///
    /// # Errors
    /// `USAGE`: it cannot be written. Nothing of it is left, and what was there stays.
    pub fn append(&mut self, noted: &Noted) -> Result<(), Error> {
        self.growing.append((self.clock)(), noted.kind(), noted.fields())
    }
}

/// Entries come in this order; what happens while publishing comes as it happens.
const fn stage_of(noted: &Noted) -> u8 {
    match noted {
        Noted::Merged(_) => 0,
        Noted::Share(_) => 1,
        Noted::Completed(_) => 2,
        Noted::Published(_) | Noted::Failed(_) | Noted::Rehearsed(_) | Noted::Finished(_) => 3,
    }
}

#[cfg(test)]
mod tests;
