//! Since when the vault is open, and when it was last used.

use std::sync::{MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::app::App;
use crate::config::Locking;
use crate::unlock::LockReason;

/// The two times that closing by itself depends on.
#[derive(Debug, Default)]
pub(super) struct Times {
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: Instant,
    used: Instant,
}

impl Times {
    /// Why the vault has to close now, if it has to.
    pub(super) fn due(&self, locking: Locking) -> Option<LockReason> {
        let open = self.open?;
        if locking.at_most.is_some_and(|most| open.since.elapsed() >= most) {
            return Some(LockReason::Longest);
        }
        locking.idle.is_some_and(|idle| open.used.elapsed() >= idle).then_some(LockReason::Idle)
    }
}

impl App {
    /// The vault was opened.
    pub(crate) fn note_opened(&self) {
        let now = Instant::now();
        self.times().open = Some(Open { since: now, used: now });
    }

    /// Somebody uses its keys.
    pub(crate) fn note_used(&self) {
        if let Some(open) = &mut self.times().open {
            open.used = Instant::now();
        }
    }

    /// It was closed.
    pub(crate) fn note_locked(&self) {
        self.times().open = None;
    }

    /// Until when it stays open if nobody uses it, in wall-clock seconds; 0 when it is closed or stays open.
    pub(crate) fn open_until_unix(&self) -> i64 {
        let Some(open) = self.times().open else { return 0 };
        let locking = self.config().locking;
        let rest = [
            locking.idle.map(|idle| idle.saturating_sub(open.used.elapsed())),
            locking.at_most.map(|most| most.saturating_sub(open.since.elapsed())),
        ];
        rest.into_iter().flatten().min().map_or(0, |rest| self.deadline_unix_ms(rest).div_euclid(1000))
    }

    pub(super) fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
