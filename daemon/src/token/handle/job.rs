//! What waits in a token's queue.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Orphan;
use crate::token::TokenError;
use crate::token::message::{Answer, Request};
use crate::vault::SecretBuf;

/// One thing to do.
pub(super) enum Command {
    /// Ask the helper.
    Call(Box<Call>),
    /// End the helper; answered when it is gone.
    Stop(oneshot::Sender<()>),
}

/// One question to the helper.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) secrets: [Option<SecretBuf>; 2],
    /// How long the helper may take.
    pub(super) allowed: Duration,
    /// When it is no longer worth starting.
    pub(super) start_by: Instant,
    pub(super) reply: oneshot::Sender<Result<Finished, TokenError>>,
    /// What to report where nobody takes the answer.
    pub(super) orphan: Orphan,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) answer: Answer,
    pub(super) secret: Option<SecretBuf>,
}
