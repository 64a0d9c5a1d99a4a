//! The transcript of one signer: written entry by entry, each on the stick before the next step; read again to go on, to
//! merge and to verify. `entry` says what entries mean, `share` what has to hold of all of them together.
mod entry;
mod share;

use std::path::{Path, PathBuf};

use touchmark_proto::reason::Reason;
use touchmark_proto::transcript::Moment;

pub use entry::{
    Asked, Audit, Begun, By, Device, FORMAT, Refused, Resumed, Said, Sealed, SignedRoot, WrittenSignature,
};
pub use share::{Share, ShareError};

use super::file;
use super::growing::Growing;
use crate::error::Error;

/// A transcript that is being written.
#[derive(Debug)]
pub struct Transcript {
    path: PathBuf,
    growing: Growing,
    clock: fn() -> Moment,
}

/// What was in the file when it was opened.
#[derive(Clone, Debug)]
pub enum Found {
    /// Nothing: signing begins.
    Nothing,
    /// An earlier part, and how many bytes of a line that was not whole were cut off.
    Earlier(Box<Share>, u64),
}

impl Transcript {
    /// Opens a transcript to write it, or to go on with one that is there. A last line that is not whole goes: it was
    /// being written when somebody pulled the stick or the power. Nobody else may write it meanwhile.
    ///
    /// # Errors
    /// `USAGE`: the file cannot be opened, or somebody else writes it. `CEREMONY_INVALID`: what is there is no
    /// transcript.
    pub fn open(path: &Path, clock: fn() -> Moment) -> Result<(Self, Found), Error> {
        if path.symlink_metadata().is_err() {
            let growing = Growing::create(path)?;
            return Ok((Self { path: path.to_path_buf(), growing, clock }, Found::Nothing));
        }
        let opened = Growing::open(path)?;
        let found = if opened.entries.is_empty() {
            Found::Nothing
        } else {
            let share = Share::read(&opened.text).map_err(|why| {
                let message = format!("{} cannot be gone on with: {why}", file::name(path));
                Error::new(Reason::CeremonyInvalid, message)
                    .hint("another --out: what touchmarkd has signed is taken over without another touch")
            })?;
            Found::Earlier(Box::new(share), opened.dropped as u64)
        };
        Ok((Self { path: path.to_path_buf(), growing: opened.growing, clock }, found))
    }

    /// Writes one entry; when this returns, it is on the stick.
    ///
    /// # Errors
    /// `USAGE`: the file cannot be written, or is no longer where it was. What was signed is kept by touchmarkd.
    pub fn append(&mut self, said: &Said) -> Result<(), Error> {
        self.growing.append((self.clock)(), said.kind(), said.fields()).map_err(|cause| {
            let message = format!("{}; what was signed is not lost: touchmarkd keeps it", cause.message);
            Error { message, ..cause }
        })
    }

    /// All that was written, as it is on the stick.
    ///
    /// # Errors
    /// It cannot be read, or something else is there by now.
    pub fn text(&self) -> Result<String, Error> {
        let other = || {
            let message = format!("{} is not what was written into it", self.name());
            Error::new(Reason::CeremonyInvalid, message)
                .hint("another --out: what touchmarkd has signed is taken over without another touch")
        };
        let text = String::from_utf8(file::read(&self.path)?).map_err(|_| other())?;
        match touchmark_proto::transcript::read(&text) {
            Ok((_, chain)) if chain == *self.growing.chain() => Ok(text),
            _ => Err(other()),
        }
    }

    /// The file, as it is shown.
    #[must_use]
    pub fn name(&self) -> String {
        file::name(&self.path)
    }
}

#[cfg(test)]
mod tests;
