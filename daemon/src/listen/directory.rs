//! Asks the user database who somebody is: once for all who come at the same time. The database may be a directory
//! service that takes its time, and a thread waits for each answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::{Peer, Peers};

/// The user database, asked by at most one thread for each pair of uid and gid.
pub struct Directory {
    peers: Arc<dyn Peers>,
    asked: Mutex<HashMap<(u32, u32), Answer>>,
}

/// `None`: the question was answered by a panic.
type Answer = Shared<BoxFuture<'static, Option<Arc<Peer>>>>;

impl Directory {
    /// In front of this one.
    #[must_use]
    pub fn new(peers: Arc<dyn Peers>) -> Arc<Self> {
        Arc::new(Self { peers, asked: Mutex::default() })
    }

    /// The peer with these credentials. `None` where the database cannot be asked.
    pub async fn find(self: &Arc<Self>, uid: u32, gid: u32) -> Option<Arc<Peer>> {
        let answer = self.asked().entry((uid, gid)).or_insert_with(|| self.ask(uid, gid)).clone();
        answer.await
    }

    fn ask(self: &Arc<Self>, uid: u32, gid: u32) -> Answer {
        let this = Arc::clone(self);
        // Goes on when whoever asked first is gone: the others wait for it, and nobody asks again meanwhile.
        let asking = tokio::task::spawn_blocking(move || {
            let _forget = Forget { directory: &this, key: (uid, gid) };
            Arc::new(this.peers.peer(uid, gid))
        });
        asking.map(Result::ok).boxed().shared()
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<(u32, u32), Answer>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer is as old as its question: whoever comes later asks anew.
struct Forget<'a> {
    directory: &'a Directory,
    key: (u32, u32),
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.directory.asked().remove(&self.key);
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests;
