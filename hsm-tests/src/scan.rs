//! Looks for secrets where they must not be: in the memory of a running process, in its core, in its files.
//!
//! The process is stopped (SIGSTOP) while its memory is read through `/proc/PID/mem`, so that one picture is
//! consistent; only pages that are present and that the process may have written are read, whatever their
//! protection. A find in a mapping that the kernel lists as locked (`lo`) and kept out of dumps (`dd`) is
//! *protected*; everywhere else it is *exposed*.
//!
//! Out of sight: registers (a core of gdb has them), `memfd_secret` (start the daemon with `--memory=mlock` to
//! look inside), socket buffers of the kernel, pages already given back.

mod files;
mod matcher;
mod memory;
mod needles;
mod nonce;

use std::path::Path;

pub use matcher::Hit;
pub use memory::Picture;
pub use needles::{Needles, Signed};

/// What was found, and how much was looked at.
#[derive(Debug, Default)]
pub struct Findings {
    /// Where anybody with a core dump, the swap or a look at the memory reads it.
    pub exposed: Vec<Hit>,
    /// In locked, undumped memory.
    pub protected: Vec<Hit>,
    /// Bytes that were searched.
    pub bytes: u64,
    /// Bytes of locked memory that even root could not read: secret memory.
    pub unreadable: u64,
}

impl Findings {
    /// Ends the test when something is exposed, or when so little was read that nothing could have been found.
    #[track_caller]
    pub fn assert_clean(&self, when: &str) {
        assert!(self.bytes > 0, "{when}: nothing was read");
        assert!(self.exposed.is_empty(), "{when}: exposed:\n{}", list(&self.exposed));
    }

    /// Adds up two scans.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.exposed.extend(other.exposed);
        self.protected.extend(other.protected);
        self.bytes += other.bytes;
        self.unreadable += other.unreadable;
        self
    }
}

/// Stops the process, searches its memory, lets it go on.
///
/// # Panics
/// When the process is not there or its memory may not be read: a daemon that is not dumpable is read by root only.
#[must_use]
pub fn process(pid: u32, needles: &Needles) -> Findings {
    picture(pid).search(needles)
}

/// Stops the process, copies its memory, lets it go on.
///
/// # Panics
/// As [`process`].
#[must_use]
pub fn picture(pid: u32) -> Picture {
    Picture::take(pid)
}

/// Searches every file below a folder, or one file. Hidden ones count, links are not followed.
///
/// # Panics
/// When one cannot be read.
#[must_use]
pub fn tree(path: &Path, needles: &Needles) -> Findings {
    files::scan(path, needles)
}

/// Searches the regular files that a process has open, those included that have no name any more.
///
/// # Panics
/// When the process is not there.
#[must_use]
pub fn open_files(pid: u32, needles: &Needles) -> Findings {
    files::scan_open(pid, needles)
}

/// Lets gdb write a core of the running process, registers of every thread included, and searches it.
///
/// # Panics
/// When gdb is not installed or cannot attach.
#[must_use]
pub fn core(pid: u32, folder: &Path, needles: &Needles) -> Findings {
    files::scan_core(pid, folder, needles)
}

fn list(hits: &[Hit]) -> String {
    hits.iter().map(|hit| format!("  {hit}\n")).collect()
}

#[cfg(test)]
mod tests;
