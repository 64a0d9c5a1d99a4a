//! Whether a connection takes what is written to it. HTTP/2 keeps 400 KiB of each answer for a peer that allows them
//! and does not read its socket; so answers wait as long as the socket is full.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The writing side of one connection, as its answers see it.
#[derive(Debug, Default)]
pub struct Outlet {
    full: AtomicBool,
    drained: Notify,
}

impl Outlet {
    /// Whether the last write did not go through.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Waits until a write has gone through.
    pub async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            if !self.is_full() {
                return;
            }
            drained.await;
        }
    }

    /// A write did not go through.
    pub(super) fn fill(&self) {
        self.full.store(true, Ordering::Release);
    }

    /// A write went through.
    pub(super) fn drain(&self) {
        if self.full.swap(false, Ordering::AcqRel) {
            self.drained.notify_waiters();
        }
    }
}
