//! Why memory could not be locked, with what to do about it.
use std::fmt;
use std::io;

use super::account::CAP;

/// What failed in locked memory. Nothing here is worth a retry before the named cause is gone, but
/// [`MemoryError::Limit`] in a running daemon: buffers of requests that end give their bytes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The kernel has no `memfd_secret`, or it is switched off.
    #[error("no secret memory: memfd_secret: {0}; boot with secretmem.enable=1 or use --memory=mlock")]
    NoSecretMemory(#[source] io::Error),
    /// The bytes do not fit under the limit.
    #[error("cannot lock {wanted} bytes beside the {locked} already locked: {limit}")]
    Limit {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes locked before.
        locked: usize,
        /// Whose limit it is.
        limit: Limit,
    },
    /// The kernel refused for another reason.
    #[error("cannot map locked memory: {call}: {source}")]
    Map {
        /// The system call.
        call: &'static str,
        /// Its error.
        #[source]
        source: io::Error,
    },
    /// More bytes than the buffer was made for.
    #[error("{given} bytes do not fit into a buffer of {capacity}")]
    TooLong {
        /// Bytes given.
        given: usize,
        /// Bytes that fit.
        capacity: usize,
    },
    /// A closure panicked on its locked stack: our fault.
    #[error("a step on a locked stack panicked")]
    Panicked,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `RLIMIT_MEMLOCK` of this process, in bytes.
    Rlimit(usize),
    /// Our own cap, `CAP`.
    Own,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cap, kib) = (CAP, CAP / 1024);
        match self {
            Self::Rlimit(bytes) => write!(
                f,
                "RLIMIT_MEMLOCK is {bytes} bytes and {cap} are wanted; raise it with `LimitMEMLOCK={cap}` in the \
                 unit, or `ulimit -l {kib}` before the start"
            ),
            Self::Own => write!(f, "touchmarkd locks at most {cap} bytes; remove keys that nobody uses"),
        }
    }
}
