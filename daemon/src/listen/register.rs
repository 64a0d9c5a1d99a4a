//! Who is in: caps per uid and in all. A newcomer is never refused; the one that has been silent longest goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many connections there may be, and how long one may stay without a request.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Of one uid.
    pub each: usize,
    /// Of all.
    pub all: usize,
    /// Without a request for this long, a connection is closed.
    pub idle: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self { each: 32, all: 128, idle: Duration::from_secs(60) }
    }
}

/// Every connection there is.
#[derive(Debug)]
pub struct Register {
    caps: Caps,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    members: BTreeMap<u64, Arc<State>>,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub struct Member {
    number: u64,
    state: Arc<State>,
    register: Arc<Register>,
}

#[derive(Debug)]
struct State {
    uid: u32,
    stranger: AtomicBool,
    /// Requests under way, answers that are still being streamed included.
    requests: AtomicUsize,
    /// When the last request began or ended, or the connection was made.
    heard: Mutex<Instant>,
    closed: CancellationToken,
}

/// A request under way. Its connection is not idle while this lives.
#[derive(Debug)]
pub struct InFlight(Arc<State>);

impl Register {
    /// An empty one.
    #[must_use]
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, entries: Mutex::default() })
    }

    /// A new connection of `uid`. Over a cap, another one is closed for it.
    #[must_use]
    pub fn enter(self: &Arc<Self>, uid: u32) -> Member {
        let state = Arc::new(State {
            uid,
            stranger: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            heard: Mutex::new(Instant::now()),
            closed: CancellationToken::new(),
        });
        let mut entries = self.entries();
        if entries.members.values().filter(|member| member.uid == uid).count() >= self.caps.each {
            entries.close_silent(|member| member.uid == uid);
        } else if entries.members.len() >= self.caps.all {
            entries.close_silent(|_| true);
        }
        let number = entries.next;
        entries.next += 1;
        entries.members.insert(number, Arc::clone(&state));
        Member { number, state, register: Arc::clone(self) }
    }

    /// Closes what has had no request for too long.
    pub fn close_idle(&self) {
        let mut entries = self.entries();
        entries.members.retain(|_, member| {
            let idle = member.is_idle() && member.heard().elapsed() >= self.caps.idle;
            if idle {
                member.closed.cancel();
            }
            !idle
        });
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries().members.len()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Closes the most dispensable one: strangers first, then those without a request, then by silence.
    fn close_silent(&mut self, among: impl Fn(&State) -> bool) {
        let worth =
            |member: &State| (!member.stranger.load(Ordering::Relaxed), !member.is_idle(), member.heard());
        let chosen =
            self.members.iter().filter(|(_, member)| among(member)).min_by_key(|(_, member)| worth(member));
        let Some((number, _)) = chosen else { return };
        let number = *number;
        if let Some(member) = self.members.remove(&number) {
            tracing::info!(uid = member.uid, "too many connections: the one silent longest was closed");
            member.closed.cancel();
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0
    }

    fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Member {
    /// It belongs to somebody who is not allowed: the first to go.
    pub fn is_stranger(&self) {
        self.state.stranger.store(true, Ordering::Relaxed);
    }

    /// Waits until it has to be closed.
    pub async fn closed(&self) {
        self.state.closed.cancelled().await;
    }

    /// The same, to be kept in a connection.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.state.closed.clone()
    }

    /// Counts requests for this connection.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests(Arc::clone(&self.state))
    }
}

/// Tells the register of a connection's requests.
#[derive(Clone, Debug)]
pub struct Requests(Arc<State>);

impl Requests {
    /// A request began; it ends when the answer is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        self.0.hear();
        InFlight(Arc::clone(&self.0))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.hear();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.register.entries().members.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
