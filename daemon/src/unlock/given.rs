//! What became of a configured PIN that the token never answered to.

use crate::token::{PinState, TokenHandle};

/// A configured PIN that was given out, and how the token stood then. Kept while the daemon runs: after a restart nobody
/// knows any more, and a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// What the guard knows the PIN by.
    source: String,
    /// Tries that the token had left, where it says so.
    tries_left: Option<u32>,
    /// PINs that it had refused.
    refused: u32,
}

impl Given {
    /// The PIN of `source`, now.
    pub(crate) fn now(token: &TokenHandle, source: &str) -> Self {
        let (tries_left, refused) = (token.state().tries_left, token.pins_refused());
        Self { source: source.to_owned(), tries_left, refused }
    }

    /// Whether it is that PIN.
    pub(crate) fn is_of(&self, source: &str) -> bool {
        self.source == source
    }

    /// Whether it cost no try, asked of the token itself: it says that none is missing, now as then, and has refused
    /// none since. The card was pulled, or its service killed, before it looked at the PIN; or it was about to say that
    /// it is right.
    pub(crate) async fn cost_nothing(&self, token: &TokenHandle) -> bool {
        let none_missing = token.refresh().await.pin == PinState::Ok;
        none_missing && self.tries_left.is_some() && *self == Self::now(token, &self.source)
    }
}
