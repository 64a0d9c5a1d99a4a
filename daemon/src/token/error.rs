//! Why a token did not do it, and whether asking again helps.
//!
//! Every variant means that no signature has left this room: what a token may still have signed is destroyed.

use serde::{Deserialize, Serialize};

use super::Credential;

/// Why a token did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenError {
    /// The token is not there. Asking again helps once it is back; it is looked for by itself.
    #[error("the token is not there")]
    NotPresent,
    /// Another token answers to the description, or several do. Asking again does not help.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// The enrolled token.
        expected: String,
        /// What answered.
        found: String,
    },
    /// Too many jobs wait for this token. Nothing was started; asking again later helps.
    #[error("too many requests wait for this token")]
    Busy,
    /// The token wants its PIN first. Asking again helps after a login.
    #[error("the token is not unlocked")]
    NotLoggedIn,
    /// The PIN was refused, and one try is gone. Never to be sent again without a person.
    #[error("the token refused the PIN")]
    WrongPin {
        /// Tries left, where the token says so.
        tries_left: Option<u32>,
    },
    /// The PIN is locked. Only the security officer can help; no PIN is sent any more.
    #[error("the PIN of the token is locked")]
    PinLocked,
    /// The token has no user PIN yet. Asking again does not help before one is set.
    #[error("the token has no user PIN")]
    PinNotSet,
    /// A new PIN is too short, too long or too simple for this token. Another PIN helps.
    #[error("the token does not take this PIN: {why}")]
    PinUnfit {
        /// What the token said.
        why: String,
    },
    /// Nobody touched the token in time. Nothing was signed; asking again helps.
    #[error("nobody touched the token in time")]
    NotTouched,
    /// What leads to the token is not there, or is kept by somebody else. It is looked for again by itself.
    #[error("the token cannot be reached: {why}")]
    Unreachable {
        /// Why, and what to do.
        why: String,
    },
    /// The token did not answer in time; its helper was killed. Asking again may help, after a new login.
    #[error("the token did not answer in time")]
    Timeout,
    /// The helper process ended in the middle of a call. Asking again may help, after a new login.
    #[error("the token's helper process ended unexpectedly: {how}")]
    HelperEnded {
        /// How it ended.
        how: String,
    },
    /// The key is not on the token, or another key has taken its place. Asking again does not help.
    #[error("the key is not on the token")]
    KeyNotFound,
    /// The token cannot do this at all. Asking again does not help.
    #[error("the token cannot {what}")]
    NotSupported {
        /// What it cannot do.
        what: String,
    },
    /// The box was not made for this key, or was damaged. Asking again does not help.
    #[error("the token could not open what was sealed to it ({code})")]
    BoxRefused {
        /// What the token said.
        code: String,
    },
    /// The signature does not verify with the enrolled public key. Asking again is unsafe: look at the token.
    #[error("the token made a wrong signature")]
    WrongSignature,
    /// Whoever knows the manual can open it, or change what is on it. Asking again helps once it was made ready.
    #[error("its {} still as the factory sets it for every one", with_verb(.which))]
    FactoryValues {
        /// What.
        which: Vec<Credential>,
    },
    /// A token with this label is there and has been initialised: it is never wiped. Asking again does not help.
    #[error("a token with that label exists already")]
    AlreadyInitialised,
    /// The module cannot be loaded. Asking again helps after the configuration or the installation is mended.
    #[error("the PKCS#11 module {module} cannot be used: {why}")]
    ModuleUnusable {
        /// Path of the module.
        module: String,
        /// Why.
        why: String,
    },
    /// A call failed in a way that has no name of its own. It is tried again with back-off.
    #[error("{call} failed: {code}")]
    Failed {
        /// Name of the call, as in PKCS#11, or what a YubiKey was asked to do.
        call: String,
        /// Its return value, or the name of the fault.
        code: String,
    },
    /// The locked memory that the answer needs cannot be had. Asking again helps when other secrets are gone.
    #[error("no locked memory for a secret of the token")]
    NoLockedMemory,
}

impl TokenError {
    /// Whether the helper should let go of the token and look for it anew.
    pub(super) fn loses_token(&self) -> bool {
        matches!(
            self,
            Self::NotPresent
                | Self::Mismatch { .. }
                | Self::Unreachable { .. }
                | Self::Failed { .. }
                | Self::ModuleUnusable { .. }
        )
    }
}

fn with_verb(which: &[Credential]) -> String {
    let verb = if which.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", Credential::words(which))
}
