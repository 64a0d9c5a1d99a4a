//! Why nothing was signed. One variant for each reason of the contract, and whether a retry helps.
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, KeyId, RoleName, Version, shown};

use super::person::AskError;
use crate::document::DocumentError;
use crate::ledger::LedgerError;
use crate::policy::NotAllowed;
use crate::store::StoreError;
use crate::token::TokenError;
use crate::vault::VaultError;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The request makes no sense. A retry does not help.
    #[error("{field}: {why}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The document is not one that is signed here, whoever asks. A retry does not help.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The key does not sign such documents, or nobody listed it for this role. A retry does not help.
    #[error("key {key} does not sign {role} of {}: {why}", shown(.gun.as_str()))]
    KeyUnfit {
        /// The key.
        key: KeyId,
        /// The role.
        role: RoleName,
        /// The repository.
        gun: Gun,
        /// Why not.
        why: &'static str,
    },
    /// No such key, or none that the caller may see.
    #[error("there is no key {key}")]
    KeyUnknown {
        /// The key.
        key: KeyId,
    },
    /// The key is on a token that the configuration does not have.
    #[error("the configuration has no token {}", shown(.token))]
    TokenUnknown {
        /// Its name.
        token: String,
    },
    /// The token did not come. A retry helps once it is there.
    #[error("the token {} is not there", shown(.token))]
    TokenNotPresent {
        /// Its name.
        token: String,
        /// Its serial number, where known.
        serial: String,
    },
    /// Another token answers than the enrolled one. A retry does not help.
    #[error("the token {} is not the enrolled one: {}", shown(.token), shown(.why))]
    TokenMismatch {
        /// Its name.
        token: String,
        /// What answers.
        why: String,
    },
    /// Another request has the token. A retry helps later.
    #[error("the token {} is busy with: {behind}", shown(.token))]
    TokenBusy {
        /// Its name.
        token: String,
        /// What the other request is doing.
        behind: String,
    },
    /// The token or its module failed. A retry may help.
    #[error("the token {} failed: {}", shown(.token), shown(.why))]
    TokenFailed {
        /// Its name.
        token: String,
        /// How.
        why: String,
    },
    /// Nobody touched the token, or it did not answer in time. A retry may help.
    #[error("the token {} was not touched, or did not answer, in time", shown(.token))]
    TouchTimeout {
        /// Its name.
        token: String,
    },
    /// A PIN or passphrase is needed and none came. A retry with somebody there helps.
    #[error("a PIN or passphrase is needed for {}: {why}", shown(.what))]
    PinRequired {
        /// The token, or the vault.
        what: String,
        /// Why none came.
        why: AskError,
    },
    /// The PIN or passphrase was refused. Another one may help.
    #[error("the PIN or passphrase for {} was refused", shown(.what))]
    WrongPin {
        /// The token, or the vault.
        what: String,
        /// Tries left, where the token says so.
        tries_left: Option<u32>,
    },
    /// The token refuses every PIN. A retry does not help.
    #[error("the PIN of the token {} is locked", shown(.token))]
    PinLocked {
        /// Its name.
        token: String,
    },
    /// The vault is closed. A retry helps after an unlock.
    #[error("the vault is locked")]
    VaultLocked,
    /// There is no vault yet.
    #[error("there is no vault yet")]
    VaultMissing,
    /// The caller may not do that. A retry does not help.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// Nobody may do that. A retry does not help.
    #[error("{why}")]
    PolicyRefused {
        /// Why.
        why: String,
    },
    /// The version lies below one that was signed or accepted. Build on the newer document.
    #[error("{role} version {version} is below version {have}, the last one known here")]
    VersionRegression {
        /// The role.
        role: RoleName,
        /// The version asked for.
        version: Version,
        /// The last one.
        have: Version,
    },
    /// Other content has this version. Publish that, build on it, or, for what will never be published, let it go.
    #[error("{role} version {version} of {} was given to other content already{}", shown(.gun.as_str()),
        if *.role == RoleName::Root { ": another plan for it was signed here" } else { "" })]
    VersionReused {
        /// The repository.
        gun: Gun,
        /// The role.
        role: RoleName,
        /// The version.
        version: Version,
    },
    /// The daemon does not know the document that this one follows. Sending the server's current one helps.
    #[error("the {role} document before this one is not known here: {why}")]
    BaseUnknown {
        /// The role.
        role: RoleName,
        /// What is missing.
        why: String,
    },
    /// A document that came as the server's does not verify. A retry with the right one helps.
    #[error("the {role} document given as the server's is not believed: {why}")]
    BaseRefused {
        /// The role.
        role: RoleName,
        /// Why.
        why: String,
    },
    /// The record cannot be written, so nothing is signed. A retry helps once it can.
    #[error("the record cannot be written, so nothing was signed: {0}")]
    AuditUnavailable(StoreError),
    /// Another request changed the same document meanwhile. A retry helps.
    #[error("{why}")]
    Conflict {
        /// What changed.
        why: String,
    },
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

impl SignError {
    /// What a program acts on.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Field { .. } => Reason::InvalidField,
            Self::Document(DocumentError::Change { .. } | DocumentError::Expiry { .. })
            | Self::PolicyRefused { .. } => Reason::PolicyRefused,
            Self::Document(_) | Self::KeyUnfit { .. } => Reason::InvalidDocument,
            Self::KeyUnknown { .. } => Reason::KeyUnknown,
            Self::TokenUnknown { .. } => Reason::TokenUnknown,
            Self::TokenNotPresent { .. } => Reason::TokenNotPresent,
            Self::TokenMismatch { .. } => Reason::TokenMismatch,
            Self::TokenBusy { .. } => Reason::TokenBusy,
            Self::TokenFailed { .. } => Reason::TokenFailed,
            Self::TouchTimeout { .. } => Reason::TouchTimeout,
            Self::PinRequired { .. } => Reason::PinRequired,
            Self::WrongPin { .. } => Reason::WrongPin,
            Self::PinLocked { .. } => Reason::PinLocked,
            Self::VaultLocked => Reason::VaultLocked,
            Self::VaultMissing => Reason::VaultMissing,
            Self::NotAllowed(_) => Reason::NotAllowed,
            Self::VersionRegression { .. } => Reason::VersionRegression,
            Self::VersionReused { .. } => Reason::VersionReused,
            Self::BaseUnknown { .. } | Self::BaseRefused { .. } => Reason::BaseUnknown,
            Self::AuditUnavailable(_) => Reason::AuditUnavailable,
            Self::Conflict { .. } => Reason::Conflict,
            Self::Internal(_) => Reason::Internal,
        }
    }

    /// What a token's error means for the request.
    pub(super) fn of_token(token: &str, error: TokenError) -> Self {
        let token = token.to_owned();
        match error {
            TokenError::NotPresent => Self::TokenNotPresent { token, serial: String::new() },
            TokenError::Mismatch { .. } => Self::TokenMismatch { token, why: error.to_string() },
            TokenError::Busy => Self::TokenBusy { token, behind: "other requests".to_owned() },
            TokenError::WrongPin { tries_left } => Self::WrongPin { what: token, tries_left },
            TokenError::PinLocked => Self::PinLocked { token },
            TokenError::NotLoggedIn => Self::PinRequired { what: token, why: AskError::Gone },
            TokenError::Timeout | TokenError::NotTouched => Self::TouchTimeout { token },
            other => Self::TokenFailed { token, why: other.to_string() },
        }
    }

    /// What the vault's error means for the request.
    pub(super) fn of_vault(error: VaultError) -> Self {
        match error {
            VaultError::Locked => Self::VaultLocked,
            VaultError::KeyUnknown(key) => Self::KeyUnknown { key },
            VaultError::Wrong => Self::WrongPin { what: "the vault".to_owned(), tries_left: None },
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<StoreError> for SignError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Statement(why) => Self::Internal(why),
            other => Self::AuditUnavailable(other),
        }
    }
}

impl From<LedgerError> for SignError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Regression { slot, have } => {
                Self::VersionRegression { role: slot.role, version: slot.version, have }
            }
            LedgerError::Reused { slot } => {
                Self::VersionReused { gun: slot.gun, role: slot.role, version: slot.version }
            }
            LedgerError::InFlight { .. } => Self::Conflict { why: error.to_string() },
            LedgerError::Unknown { .. } => Self::Field { field: "version", why: error.to_string() },
            LedgerError::Store(error) => error.into(),
        }
    }
}
