//! A file of chained entries that grows on a stick: a transcript, or the record of a ceremony. Each entry is there,
//! whole, before the next thing happens; an entry that was cut short is taken away when the file is opened again.
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};
use touchmark_proto::reason::Reason;
use touchmark_proto::transcript::{Chain, Entry, Moment, TranscriptError};
use touchmark_tuf::Instant;

use super::file::{self, FILE_MAX, name};
use crate::error::Error;

/// What every file of entries begins with.
const BEGINNING: &[u8] = br#"{""#;

/// An open file of entries. While it is open, no other process adds to it.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: File,
    chain: Chain,
    /// Bytes of whole entries.
    length: u64,
}

/// What a file of entries had when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The file, to go on with.
    pub growing: Growing,
    /// Its text: whole entries.
    pub text: String,
    /// The entries.
    pub entries: Vec<Entry>,
    /// Bytes of an entry that was cut short: the power failed, or the stick was pulled out. They are gone now.
    pub dropped: usize,
}

impl Growing {
    /// Makes a new file without an entry.
    ///
    /// # Errors
    /// `USAGE`: it is there already, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        file::write_new(path, b"")?;
        Ok(Self::open(path)?.growing)
    }

    /// Opens a file to go on with it. An entry without its end is taken away.
    ///
    /// # Errors
    /// `USAGE`: it cannot be read or written, or another process has it. `CEREMONY_INVALID`: a whole entry of it is
    /// wrong.
    pub fn open(path: &Path) -> Result<Opened, Error> {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).open(path).map_err(|cause| refuse("open", path, &cause))?;
        file.try_lock().map_err(|cause| match cause {
            TryLockError::WouldBlock => Error::usage(format!("another process is at work on {}", name(path))),
            TryLockError::Error(cause) => refuse("lock", path, &cause),
        })?;
        let mut bytes = Vec::new();
        (&mut file).take(FILE_MAX).read_to_end(&mut bytes).map_err(|cause| refuse("read", path, &cause))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let dropped = bytes.len() - whole;
        // Nobody's file is emptied that is none of ours.
        let is_ours = whole > 0 || BEGINNING.starts_with(bytes.get(..BEGINNING.len()).unwrap_or(&bytes));
        if !is_ours {
            let message = format!("{} holds something else than entries", name(path));
            return Err(Error::new(Reason::CeremonyInvalid, message).hint("another --out"));
        }
        bytes.truncate(whole);
        let (text, entries, chain) = read(bytes).map_err(|cause| {
            Error::new(Reason::CeremonyInvalid, format!("{} is not to be used: {cause}", name(path)))
                .hint("go on with a copy of it that nobody has changed")
        })?;
        let length = text.len() as u64;
        let growing = Self { path: path.to_owned(), file, chain, length };
        if dropped > 0 {
            growing.cut().map_err(|cause| refuse("write", path, &cause))?;
        }
        Ok(Opened { growing, text, entries, dropped })
    }

    /// Adds an entry. When this returns it is on the stick.
    ///
    /// # Errors
    /// `USAGE`: it cannot be written (the stick is full, or gone). Nothing of it is left, and what was there stays.
    pub fn append(&mut self, moment: Moment, kind: &str, fields: Map<String, Value>) -> Result<(), Error> {
        let mut chain = self.chain.clone();
        let mut line = chain.append(moment, kind, fields);
        line.push('\n');
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data())
            .and_then(|()| self.is_where_it_was());
        if let Err(cause) = written {
            // Where not even this is possible, opening it again does it.
            drop(self.cut());
            return Err(refuse("add to", &self.path, &cause));
        }
        self.chain = chain;
        self.length += line.len() as u64;
        Ok(())
    }

    /// The chain as far as it has come.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// A stick that was pulled, or a file that was moved: the entry would be nowhere.
    fn is_where_it_was(&self) -> io::Result<()> {
        let (here, there) = (self.file.metadata()?, std::fs::metadata(&self.path)?);
        if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        Err(io::Error::other("another file has taken its place"))
    }

    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_data()
    }
}

/// Both clocks, now.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "each entry says when it was written")]
pub fn moment() -> Moment {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment {
        time_unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        uptime_ms: u64::try_from(uptime.tv_sec).unwrap_or_default() * 1000
            + u64::try_from(uptime.tv_nsec).unwrap_or_default() / 1_000_000,
    }
}

/// The wall clock of a moment.
#[must_use]
pub fn wall(moment: &Moment) -> Instant {
    Instant::from_unix(moment.time_unix_ms.div_euclid(1000))
}

fn read(bytes: Vec<u8>) -> Result<(String, Vec<Entry>, Chain), TranscriptError> {
    let text = String::from_utf8(bytes).map_err(|_| TranscriptError::Malformed { seq: 1 })?;
    let (entries, chain) = touchmark_proto::transcript::read(&text)?;
    Ok((text, entries, chain))
}

fn refuse(what: &str, path: &Path, cause: &io::Error) -> Error {
    Error::usage(format!("cannot {what} {}: {cause}; what was there before is still there", name(path)))
        .hint("see that the stick is in, may be written and has room; then the same command again")
}

#[cfg(test)]
mod tests;
