//! Locked memory: the one place where secrets may stand in the clear, and the only `unsafe` of the product.
//!
//! Three rooms, all mapped here with guard pages around them, kept from swap, core dumps and children:
//! * [`Locked::inside`] runs a closure on a stack of its own, wipes that stack and the registers afterwards, and
//!   lets nothing out but types marked [`Public`]. Keys are made, unsealed and used there and nowhere else,
//!   because arithmetic leaves copies on whatever stack it runs on.
//! * [`Slots`] holds 32-byte keys, readable only with the [`Inside`] that a running closure has.
//! * [`SecretBuf`] holds one PIN, passphrase or key file on its way in.
//!
//! All of it together stays within `CAP` at every moment, so that a scan for copies cannot be made easy by
//! locking everything. If locking fails, the caller gets the reason and must not go on without.
#![allow(unsafe_code)] // mapping, stack switching and register wiping have no safe form; every block says why it holds

mod account;
mod blocks;
mod buffer;
mod error;
mod public;
mod region;
mod registers;
mod slots;
mod stack;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

pub(crate) use blocks::Blocks;
pub use buffer::SecretBuf;
pub use error::{Limit, MemoryError};
pub use public::Public;
pub(crate) use slots::{Slot, Slots};
pub use stack::Inside;

use account::Account;
use region::Region;
use stack::{Pool, Stack};

/// The most stacks that are kept: with Argon2's 7 MiB mapped, key slabs and buffers still fit under `CAP`.
const MOST_STACKS: usize = 8;

/// How memory is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// `memfd_secret(2)`: out of the kernel's own map; not even root reads it through `/proc/PID/mem`.
    Secret,
    /// `mlock(2)` with `MADV_DONTDUMP`: never in swap or a core dump, but root can read it.
    Mlock,
}

impl MemoryKind {
    /// The word in `--memory` and in `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Mlock => "mlock",
        }
    }
}

impl std::fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for MemoryKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "secret" => Ok(Self::Secret),
            "mlock" => Ok(Self::Mlock),
            _ => Err(UnknownKind),
        }
    }
}

/// The text names no kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory is \"secret\" or \"mlock\"")]
pub struct UnknownKind;

/// The locked memory of one process: its kind, its budget and its stacks.
pub struct Locked {
    kind: MemoryKind,
    account: Arc<Account>,
    stacks: Pool,
    /// Held while Argon2's blocks are mapped: two derivations at once would not fit the budget.
    derivation: Mutex<()>,
}

impl Locked {
    /// Maps `stacks` stacks (at least one, at most eight are kept) and so proves that locking works.
    ///
    /// `kind`: `None` takes `memfd_secret` where the kernel has it, else `mlock`.
    ///
    /// # Errors
    /// [`MemoryError::Limit`] names the limit that is too low and how to raise it; [`MemoryError::NoSecretMemory`]
    /// when `memfd_secret` was demanded and the kernel lacks it. A retry does not help before that is changed.
    pub fn open(kind: Option<MemoryKind>, stacks: usize) -> Result<Arc<Self>, MemoryError> {
        match kind {
            Some(kind) => Self::of_kind(kind, stacks),
            None => match Self::of_kind(MemoryKind::Secret, stacks) {
                Err(MemoryError::NoSecretMemory(_)) => Self::of_kind(MemoryKind::Mlock, stacks),
                other => other,
            },
        }
    }

    /// Runs `work` on a locked stack and wipes stack and vector registers before it returns.
    ///
    /// Waits while all stacks are in use, which is for the time of a signature. `work` must not wait for anything,
    /// and must not call `inside` again: with every stack taken that way, nobody would ever get one.
    ///
    /// Nothing but [`Public`] types comes out:
    /// ```compile_fail,E0277
    /// let memory = touchmarkd::vault::Locked::open(None, 1).unwrap();
    /// let _ = memory.inside(|_| [0_u8; 32]); // a key could leave in an array
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Panicked`] when `work` panicked; its stack is wiped all the same.
    pub fn inside<R: Public>(&self, work: impl FnOnce(&Inside<'_>) -> R) -> Result<R, MemoryError> {
        self.stacks.with(|stack| stack.run(work))
    }

    /// As [`Locked::inside`], on a stack mapped for this call alone: for work that takes long enough (a key
    /// derivation) to keep signatures waiting.
    ///
    /// # Errors
    /// [`MemoryError::Limit`] when the stack does not fit the budget; [`MemoryError::Panicked`] as above.
    pub fn aside<R: Public>(&self, work: impl FnOnce(&Inside<'_>) -> R) -> Result<R, MemoryError> {
        Stack::map(self)?.run(work)
    }

    /// Which kind of memory this is.
    #[must_use]
    pub const fn kind(&self) -> MemoryKind {
        self.kind
    }

    /// Bytes locked at this moment, stacks included.
    #[must_use]
    pub fn locked_bytes(&self) -> usize {
        self.account.locked()
    }

    /// Bytes that may be locked in all: the smaller of `CAP` and `RLIMIT_MEMLOCK`.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.account.most()
    }

    fn of_kind(kind: MemoryKind, stacks: usize) -> Result<Arc<Self>, MemoryError> {
        let account = Arc::new(Account::of_this_process());
        let count = NonZeroUsize::new(stacks.min(MOST_STACKS)).unwrap_or(NonZeroUsize::MIN);
        let stacks = Pool::map(kind, &account, count)?;
        Ok(Arc::new(Self { kind, account, stacks, derivation: Mutex::new(()) }))
    }

    fn region(&self, len: usize) -> Result<Region, MemoryError> {
        Region::map(self.kind, &self.account, len)
    }
}

impl std::fmt::Debug for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locked")
            .field("kind", &self.kind)
            .field("bytes", &self.locked_bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
