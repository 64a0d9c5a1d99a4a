//! The person at the other end, as the road sees one: told why it waits, asked for secrets.
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::vault::SecretBuf;

/// Why a request waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Another request holds what this one needs.
    Queued {
        /// What is ahead, in words.
        behind: String,
    },
    /// The token is not there.
    NeedsToken {
        /// Its name in the configuration.
        token: String,
        /// Its serial number.
        serial: String,
        /// Why it cannot be used, where it is not simply absent.
        why: String,
    },
    /// The token wants to be touched.
    NeedsTouch {
        /// Its name in the configuration.
        token: String,
        /// Its serial number.
        serial: String,
        /// What is signed, in words.
        intent: String,
        /// Until when, in milliseconds since 1970.
        deadline_unix_ms: i64,
        /// How long that is from now.
        wait: Duration,
        /// Which touch it is, from 1 on.
        touch: u32,
        /// How many there will be.
        of: u32,
    },
    /// The daemon is busy with this request itself.
    Working {
        /// With what.
        what: String,
    },
}

/// What kind of secret is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A token's user PIN.
    Pin,
    /// The vault's passphrase.
    Passphrase,
}

/// Why it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The token is not unlocked. A configured PIN may answer.
    Login,
    /// It was, and does not know of it any more. A configured PIN may answer.
    Again,
    /// Somebody has to be there: the policy wants it for this change.
    Presence,
}

/// A question to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub kind: SecretKind,
    /// Why.
    pub purpose: Purpose,
    /// The token; empty for a passphrase.
    pub token: String,
    /// Its serial number.
    pub serial: String,
    /// Wrong answers that are still forgiven, where the token says so.
    pub tries_left: Option<u32>,
    /// What it is for, in words, escaped.
    pub intent: String,
    /// The longest answer, in bytes.
    pub max_length: usize,
}

/// Why there is no answer. A retry with somebody there helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The request was given up.
    #[error("the request was given up")]
    Gone,
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    Timeout,
    /// The answer does not fit into locked memory.
    #[error("there is no locked memory for the answer")]
    NoMemory,
}

/// A person, or whatever answers for one.
pub trait Person: Send + Sync {
    /// Says why the request waits from now on.
    fn tell(&self, waiting: Waiting);

    /// Asks for a secret.
    fn ask(
        &self,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Result<SecretBuf, AskError>> + Send + '_>>;
}
