//! What is locked and what may be: the budget, kept by us because root's mlock knows no limit.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

use super::error::{Limit, MemoryError};

/// The most that the product locks, in bytes, whatever `RLIMIT_MEMLOCK` would allow.
pub(super) const CAP: usize = 8 * 1024 * 1024;

/// The budget of one process.
#[derive(Debug)]
pub(super) struct Account {
    most: usize,
    limit: Limit,
    locked: AtomicUsize,
}

impl Account {
    /// The smaller of [`CAP`] and the soft limit in force.
    pub(super) fn of_this_process() -> Self {
        Self::with_rlimit(getrlimit(Resource::Memlock).current)
    }

    /// `rlimit`: bytes; `None` is unlimited.
    pub(super) fn with_rlimit(rlimit: Option<u64>) -> Self {
        match rlimit.and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) if bytes < CAP => {
                Self { most: bytes, limit: Limit::Rlimit(bytes), locked: AtomicUsize::new(0) }
            }
            _ => Self { most: CAP, limit: Limit::Own, locked: AtomicUsize::new(0) },
        }
    }

    /// Books `bytes`; they are given back when the charge is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, MemoryError> {
        let book = |locked: usize| locked.checked_add(bytes).filter(|sum| *sum <= self.most);
        match self.locked.fetch_update(Ordering::AcqRel, Ordering::Acquire, book) {
            Ok(_) => Ok(Charge { account: Arc::clone(self), bytes }),
            Err(locked) => Err(MemoryError::Limit { wanted: bytes, locked, limit: self.limit }),
        }
    }

    pub(super) fn locked(&self) -> usize {
        self.locked.load(Ordering::Acquire)
    }

    pub(super) const fn most(&self) -> usize {
        self.most
    }
}

/// Bytes booked.
#[derive(Debug)]
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.locked.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
