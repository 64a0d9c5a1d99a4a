//! The one error of every command: a stable reason, a sentence, the next command to type. May not enter: text
//! that anything acts upon.
use serde_json::{Value, json};
use touchmark_proto::reason::{Reason, Refusal};

/// Why a command failed. Whether a retry helps is a matter of the [`Reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What scripts act on; gives the exit code.
    pub reason: Reason,
    /// What failed (the thing named) and why.
    pub message: String,
    /// The next command to type, if there is one.
    pub hint: Option<String>,
    /// The id that the daemon's log carries.
    pub request_id: Option<String>,
    /// PIN tries left, where a token says.
    pub tries_left: Option<u32>,
}

impl Error {
    /// An error with a sentence and nothing else.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), hint: None, request_id: None, tries_left: None }
    }

    /// Bad usage or bad input: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Reason::Usage, message)
    }

    /// Our fault: exit 70.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// Ctrl-C: exit 130.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Reason::Interrupted, "interrupted; nothing more is done")
    }

    /// With the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.reason.exit_code()
    }

    /// The error as the JSON document of the contract.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = serde_json::Map::new();
        body.insert("reason".to_owned(), json!(self.reason.as_str()));
        body.insert("message".to_owned(), json!(self.message));
        if let Some(hint) = &self.hint {
            body.insert("hint".to_owned(), json!(hint));
        }
        if let Some(request_id) = &self.request_id {
            body.insert("request_id".to_owned(), json!(request_id));
        }
        if let Some(tries_left) = self.tries_left {
            body.insert("tries_left".to_owned(), json!(tries_left));
        }
        json!({ "error": body })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason,
            message: refusal.message,
            hint: refusal.hint.or_else(|| next_step(refusal.reason).map(ToOwned::to_owned)),
            request_id: refusal.request_id,
            tries_left: refusal.tries_left,
        }
    }
}

/// What comes next after a refusal of the daemon that says nothing of it.
const fn next_step(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::WrongPin => {
            Some("the same command with the right one; touchmark status shows the tries left")
        }
        Reason::PinRequired => Some("touchmark unlock"),
        Reason::KeyUnknown => Some("touchmark key ls"),
        Reason::PolicyRefused => Some("touchmark status shows what you may do"),
        Reason::TokenFailed | Reason::TokenMismatch | Reason::Internal => Some("touchmark doctor"),
        Reason::TokenBusy | Reason::TouchTimeout | Reason::TokenNotPresent => {
            Some("try again; touchmark status --watch shows what it waits for")
        }
        Reason::AuditUnavailable => Some("make room on the disk of touchmarkd's state, then try again"),
        Reason::Overloaded | Reason::Conflict | Reason::BaseUnknown => Some("try again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
