//! Who is in: caps per uid and in all. A newcomer is never refused; the one that has been silent longest goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use requests::{InFlight, Requests, Turn};

use crate::log::Sparingly;

mod requests;

/// Connections that may be on their way out at once.
const CLOSING: usize = 64;
/// Newcomers that may have spoken and not be heard yet. Few, so that each is heard soon and none has to go before.
const UNHEARD: usize = 8;
/// How long they have a right to that.
const HEARING: Duration = Duration::from_millis(20);

/// How many connections and requests there may be, and how long a connection may stay that does nothing.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections of one uid.
    pub each: usize,
    /// Connections of all.
    pub all: usize,
    /// Requests under way of one uid.
    pub requests: usize,
    /// Without a request for this long, a connection is closed.
    pub idle: Duration,
    /// When answers are there and none was taken for this long, their connection is closed.
    pub unread: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            each: 32,
            all: 128,
            requests: 96,
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(30),
        }
    }
}

/// Every connection there is.
#[derive(Debug)]
pub struct Register {
    caps: Caps,
    entries: Mutex<Entries>,
    /// Those that are told to close and have not yet are among them: each still has its descriptor.
    present: AtomicUsize,
    /// One has left, or was heard.
    moved: Notify,
    lines: Sparingly<()>,
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
    /// Has spoken, and was not heard yet.
    unheard: AtomicBool,
    /// Known to be somebody who may be here.
    admitted: AtomicBool,
    /// Has made a request.
    asked: AtomicBool,
    /// Requests under way, answers that are still being streamed included.
    requests: AtomicUsize,
    /// Parts of answers that the peer has to take before there is more to do.
    untaken: AtomicUsize,
    /// When the last request began or ended, a part of an answer was taken, or the connection was made.
    heard: Mutex<Instant>,
    closed: CancellationToken,
}

impl Register {
    /// An empty one.
    #[must_use]
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self {
            caps,
            entries: Mutex::default(),
            present: AtomicUsize::new(0),
            moved: Notify::new(),
            lines: Sparingly::default(),
        })
    }

    /// A new connection of `uid`. Over a cap, another one is closed for it.
    #[must_use]
    pub fn enter(self: &Arc<Self>, uid: u32) -> Member {
        let state = Arc::new(State {
            uid,
            unheard: AtomicBool::new(false),
            admitted: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            heard: Mutex::new(Instant::now()),
            closed: CancellationToken::new(),
        });
        self.present.fetch_add(1, Ordering::AcqRel);
        let mut entries = self.entries();
        if entries.members.values().filter(|member| member.uid == uid).count() >= self.caps.each {
            self.close(entries.most_silent(|member| member.uid == uid), &mut entries);
        } else if entries.members.len() >= self.caps.all {
            self.close(entries.most_silent(|_| true), &mut entries);
        }
        let number = entries.next;
        entries.next += 1;
        entries.members.insert(number, Arc::clone(&state));
        Member { number, state, register: Arc::clone(self) }
    }

    /// Waits until those that were closed for others have gone, all but a few: so descriptors stay bounded however
    /// fast newcomers come; and until those who have spoken were heard, all but a few. For one waiter.
    pub async fn room(&self) {
        while self.present.load(Ordering::Acquire) >= self.caps.all.saturating_add(CLOSING)
            || self.entries().unheard() >= UNHEARD
        {
            drop(tokio::time::timeout(HEARING, self.moved.notified()).await);
        }
    }

    /// Closes what has had no request for too long, and whose answers were not taken for too long.
    pub fn close_idle(&self) {
        let mut entries = self.entries();
        entries.members.retain(|_, member| {
            let silent = member.heard().elapsed();
            let unread = member.untaken.load(Ordering::Acquire) > 0 && silent >= self.caps.unread;
            let idle = member.is_idle() && silent >= self.caps.idle;
            if idle || unread {
                member.closed.cancel();
            }
            !(idle || unread)
        });
    }

    /// Closes the one that has been silent longest, for lack of something else than places, and waits until one has
    /// gone. For the one waiter of [`Register::room`].
    pub async fn make_room(&self) {
        let present = self.present.load(Ordering::Acquire);
        {
            let mut entries = self.entries();
            self.close(entries.most_silent(|_| true), &mut entries);
        }
        while self.present.load(Ordering::Acquire) >= present {
            self.moved.notified().await;
        }
    }

    /// A request of `state` begins. Over the cap of its uid, the connection with the most requests is closed: whoever
    /// asks one thing after the other is served, whatever else runs under that uid.
    fn begin(&self, state: &State) {
        let mut entries = self.entries();
        state.requests.fetch_add(1, Ordering::AcqRel);
        state.asked.store(true, Ordering::Relaxed);
        state.hear();
        let mine = || entries.members.iter().filter(|(_, member)| member.uid == state.uid);
        let requests = |member: &State| member.requests.load(Ordering::Acquire);
        if mine().map(|(_, member)| requests(member)).sum::<usize>() > self.caps.requests {
            let greediest = mine().max_by_key(|(_, member)| requests(member)).map(|(number, _)| *number);
            self.close(greediest, &mut entries);
        }
    }

    fn close(&self, number: Option<u64>, entries: &mut Entries) {
        let Some(member) = number.and_then(|number| entries.members.remove(&number)) else { return };
        if let Some(left_out) = self.lines.line(()) {
            tracing::info!(
                uid = member.uid,
                left_out,
                "too many connections or requests: one connection was closed"
            );
        }
        member.closed.cancel();
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
    fn unheard(&self) -> usize {
        self.members.values().filter(|member| member.is_unheard()).count()
    }

    /// The most dispensable one: first those not known to be allowed, then those who never asked anything, then those
    /// without a request, then by silence. Whoever has spoken and was not heard yet comes last: it would be taken for one
    /// who never asked.
    fn most_silent(&self, among: impl Fn(&State) -> bool) -> Option<u64> {
        let worth = |member: &State| {
            let admitted = member.admitted.load(Ordering::Relaxed);
            let asked = admitted && member.asked.load(Ordering::Relaxed);
            (member.is_unheard(), admitted, asked, !member.is_idle(), member.heard())
        };
        let members = self.members.iter().filter(|(_, member)| among(member));
        members.min_by_key(|(_, member)| worth(member)).map(|(number, _)| *number)
    }
}

impl State {
    fn is_unheard(&self) -> bool {
        self.unheard.load(Ordering::Acquire) && self.heard().elapsed() < HEARING
    }

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
    /// It belongs to somebody who may be here. All others are the first to go.
    pub fn admit(&self) {
        self.state.admitted.store(true, Ordering::Relaxed);
    }

    /// Its first words are here.
    pub fn has_spoken(&self) {
        self.state.unheard.store(true, Ordering::Release);
    }

    /// They were heard, and what they ask for has begun.
    pub fn was_heard(&self) {
        if self.state.unheard.swap(false, Ordering::AcqRel) {
            self.register.moved.notify_one();
        }
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
        Requests { state: Arc::clone(&self.state), register: Arc::clone(&self.register) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.register.entries().members.remove(&self.number);
        self.register.present.fetch_sub(1, Ordering::AcqRel);
        self.register.moved.notify_one();
    }
}

#[cfg(test)]
mod tests;
