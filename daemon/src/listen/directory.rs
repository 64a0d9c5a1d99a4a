//! Asks the user database who somebody is: once for all who come within a second. The database may be a directory
//! service that takes its time, and a thread waits for each answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Peer, Peers};

/// How old an answer may be. So long somebody who was taken out of a group may still come in.
const FRESH: Duration = Duration::from_secs(1);

/// The user database, asked by at most one thread for each pair of uid and gid.
pub struct Directory {
    peers: Arc<dyn Peers>,
    asked: Mutex<HashMap<(u32, u32), Question>>,
}

struct Question {
    answer: Answer,
    asking: AbortHandle,
    began: Instant,
}

/// `None`: the question was answered by a panic.
type Answer = Shared<BoxFuture<'static, Option<Arc<Peer>>>>;

impl Directory {
    /// In front of this one.
    #[must_use]
    pub fn new(peers: Arc<dyn Peers>) -> Arc<Self> {
        Arc::new(Self { peers, asked: Mutex::default() })
    }

    /// The peer with these credentials, as it was a second ago at most. `None` where the database cannot be asked.
    pub async fn find(self: &Arc<Self>, uid: u32, gid: u32) -> Option<Arc<Peer>> {
        let answer = {
            let mut asked = self.asked();
            asked.retain(|_, question| question.is_of_use());
            asked.entry((uid, gid)).or_insert_with(|| self.ask(uid, gid)).answer.clone()
        };
        answer.await
    }

    fn ask(&self, uid: u32, gid: u32) -> Question {
        let peers = Arc::clone(&self.peers);
        // Goes on when whoever asked first is gone: the others wait for it, and nobody asks again meanwhile.
        let asking = tokio::task::spawn_blocking(move || Arc::new(peers.peer(uid, gid)));
        let handle = asking.abort_handle();
        Question { asking: handle, answer: asking.map(Result::ok).boxed().shared(), began: Instant::now() }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<(u32, u32), Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Not yet answered, or asked a moment ago. Whether anybody waited for the answer does not matter.
    fn is_of_use(&self) -> bool {
        let failed = matches!(self.answer.peek(), Some(None));
        !self.asking.is_finished() || (!failed && self.began.elapsed() < FRESH)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests;
