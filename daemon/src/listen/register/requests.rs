//! Requests of a connection: it is not idle while one of them lasts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Register, State};

/// Tells the register of a connection's requests.
#[derive(Clone, Debug)]
pub struct Requests {
    pub(super) state: Arc<State>,
    pub(super) register: Arc<Register>,
}

/// A request under way. Its connection is not idle while this lives.
#[derive(Debug)]
pub struct InFlight {
    state: Arc<State>,
    turn: Turn,
}

/// Who has to do something before an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The daemon, to have something to say.
    Ours,
    /// The peer, to take what there is.
    Theirs,
}

impl Requests {
    /// A request began; it ends when the answer is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.register.begin(&self.state);
        InFlight { state: Arc::clone(&self.state), turn: Turn::Ours }
    }
}

impl InFlight {
    /// The answer has come this far. Whose turn it was before is over.
    pub fn is_now(&mut self, turn: Turn) {
        match (self.turn, turn) {
            (Turn::Ours, Turn::Ours) => return,
            (Turn::Ours, Turn::Theirs) => _ = self.state.untaken.fetch_add(1, Ordering::AcqRel),
            (Turn::Theirs, Turn::Ours) => _ = self.state.untaken.fetch_sub(1, Ordering::AcqRel),
            (Turn::Theirs, Turn::Theirs) => (),
        }
        self.state.hear();
        self.turn = turn;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.is_now(Turn::Ours);
        self.state.hear();
        self.state.requests.fetch_sub(1, Ordering::AcqRel);
    }
}
