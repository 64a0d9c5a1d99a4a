//! How many bytes of documents the daemon holds at once: per uid, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use touchmark_proto::reason::{Reason, Refusal};

/// Bytes that one uid's requests may hold together.
pub(crate) const EACH: u64 = 32 * 1024 * 1024;
/// Bytes that all requests may hold together.
pub(crate) const ALL: u64 = 128 * 1024 * 1024;

/// What is held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    all: u64,
    each: HashMap<u32, u64>,
}

/// Bytes set aside for one request; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    uid: u32,
    bytes: u64,
}

impl Budget {
    /// Sets bytes aside.
    ///
    /// # Errors
    /// `OVERLOADED`; a retry helps when other requests have ended.
    pub(crate) fn take(&self, uid: u32, bytes: u64) -> Result<Share, Refusal> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.each.get(&uid).copied().unwrap_or(0).saturating_add(bytes);
        let all = held.all.saturating_add(bytes);
        if mine > EACH || all > ALL {
            let whose = if mine > EACH { "of this user " } else { "" };
            let mut refusal = Refusal::new(
                Reason::Overloaded,
                format!("other requests {whose}hold as many bytes as they may"),
            );
            refusal.retry_after = Some(std::time::Duration::from_secs(1));
            return Err(refusal);
        }
        held.all = all;
        held.each.insert(uid, mine);
        Ok(Share { budget: self.clone(), uid, bytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.budget.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(self.bytes);
        let rest = held.each.get(&self.uid).copied().unwrap_or(0).saturating_sub(self.bytes);
        if rest == 0 {
            held.each.remove(&self.uid);
        } else {
            held.each.insert(self.uid, rest);
        }
    }
}

#[cfg(test)]
mod tests;
