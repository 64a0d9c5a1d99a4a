//! The only file that knows how a refusal of any room looks from outside: its reason, its sentence, what to type.

use touchmark_proto::reason::{Reason, Refusal};
use touchmark_tuf::{Gun, RoleName, Version};

use super::desk::DeskError;
use crate::app::App;
use crate::ledger::LedgerError;
use crate::policy::NotAllowed;
use crate::rpc::call::Call;
use crate::secret::PromptError;
use crate::sign::SignError;
use crate::store::StoreError;
use crate::token::TokenError;
use crate::unlock::UnlockError;
use crate::vault::{KeyFileError, MemoryError, VaultError};

impl App {
    /// A refusal on its way out: named by the call's id, logged, and counted where the policy said no.
    pub(crate) fn refused(&self, call: &Call, refusal: Refusal) -> tonic::Status {
        if counts(refusal.reason) {
            self.store().refused(call.caller.uid, refusal.reason.as_str(), &refusal.message);
        }
        self.answered(call, refusal)
    }

    /// The same for a refusal that the road has counted.
    pub(crate) fn answered(&self, call: &Call, mut refusal: Refusal) -> tonic::Status {
        refusal.request_id = Some(call.id.to_string());
        let (reason, message) = (refusal.reason, &refusal.message);
        if reason == Reason::Internal {
            tracing::error!(id = %call.id, uid = call.caller.uid, message, "failed");
        } else if let Some(left_out) = self.refusal_lines().line(call.caller.uid) {
            tracing::info!(id = %call.id, uid = call.caller.uid, %reason, message, left_out, "refused");
        }
        refusal.into_status()
    }
}

/// Which refusals are part of the record: those that somebody met who tried what is not theirs.
const fn counts(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotAllowed
            | Reason::PolicyRefused
            | Reason::InvalidDocument
            | Reason::VersionRegression
            | Reason::VersionReused
            | Reason::BaseUnknown
    )
}

/// What to do about a token, whichever road it failed on.
const PLUG_IN: &str = "plug it in; `touchmark status --watch` shows when it is seen";
const EXPECTED: &str = "put in the enrolled one; `touchmark token ls` shows which that is";
const LATER: &str = "the same command again once that is done; `touchmark status --watch` shows it";
const LOOK: &str = "touchmark doctor; the same command again once `touchmark status` shows the token";
const TOUCH: &str = "the same command again, and touch the token while it blinks";
const PUK: &str =
    "only the security officer's PIN (PUK) sets a new one; of a YubiKey: ykman piv access unblock-pin";

/// What to do about a version that other content has.
fn reused(gun: &Gun, role: &RoleName, version: Version) -> String {
    if *role != RoleName::Root {
        return format!("touchmark publish {gun}");
    }
    format!(
        "finish that plan and publish it; or, where it was never published and never will be, type: touchmark ledger \
         release {gun} --role root --version {version} --reason TEXT"
    )
}

/// Why a token did not do it, with the token's name in the sentence.
pub(crate) fn of_token(name: &str, error: TokenError) -> Refusal {
    let reason = match &error {
        TokenError::NotPresent => Reason::TokenNotPresent,
        TokenError::Mismatch { .. } => Reason::TokenMismatch,
        TokenError::Busy => Reason::TokenBusy,
        TokenError::NotLoggedIn | TokenError::PinNotSet => Reason::PinRequired,
        TokenError::WrongPin { .. } => Reason::WrongPin,
        TokenError::PinLocked => Reason::PinLocked,
        TokenError::PinUnfit { .. } => Reason::InvalidField,
        TokenError::FactoryValues { .. } => Reason::TokenNotReady,
        TokenError::KeyNotFound => Reason::KeyUnknown,
        TokenError::AlreadyInitialised => Reason::Conflict,
        TokenError::NoLockedMemory => Reason::Overloaded,
        TokenError::NotTouched => Reason::TouchTimeout,
        TokenError::Timeout
        | TokenError::Unreachable { .. }
        | TokenError::HelperEnded { .. }
        | TokenError::NotSupported { .. }
        | TokenError::BoxRefused { .. }
        | TokenError::WrongSignature
        | TokenError::ModuleUnusable { .. }
        | TokenError::Failed { .. } => Reason::TokenFailed,
    };
    let hint = match &error {
        TokenError::NotPresent => Some(PLUG_IN.to_owned()),
        TokenError::Mismatch { .. } => Some(EXPECTED.to_owned()),
        TokenError::Busy => Some(LATER.to_owned()),
        TokenError::NotLoggedIn => Some(format!("touchmark unlock {name}")),
        TokenError::PinNotSet | TokenError::FactoryValues { .. } => {
            Some(format!("touchmark token init {name}"))
        }
        TokenError::PinLocked => Some(PUK.to_owned()),
        TokenError::NotTouched => Some(TOUCH.to_owned()),
        TokenError::ModuleUnusable { .. }
        | TokenError::Unreachable { .. }
        | TokenError::Timeout
        | TokenError::HelperEnded { .. }
        | TokenError::WrongSignature
        | TokenError::Failed { .. } => Some(LOOK.to_owned()),
        _ => None,
    };
    let tries_left = match error {
        TokenError::WrongPin { tries_left } => tries_left,
        TokenError::PinLocked => Some(0),
        _ => None,
    };
    let mut refusal = Refusal::new(reason, format!("token `{name}`: {error}"));
    refusal.hint = hint;
    refusal.tries_left = tries_left;
    refusal
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        let reason = match error {
            VaultError::Locked => {
                return Self::new(Reason::VaultLocked, "the vault is locked").hint("touchmark unlock");
            }
            VaultError::AlreadyOpen => Reason::Conflict,
            VaultError::Wrong => Reason::WrongPin,
            VaultError::NoPassphrase => Reason::PinRequired,
            VaultError::TokenKey(_) => Reason::TokenFailed,
            VaultError::KeyUnknown(_) | VaultError::Broken(_) | VaultError::Mismatch(_) => Reason::KeyUnknown,
            VaultError::RootKey
            | VaultError::NoRole
            | VaultError::NoRepository
            | VaultError::Header { .. }
            | VaultError::NotP256 => Reason::InvalidField,
            VaultError::KeyFile(error) => return error.into(),
            VaultError::Memory(MemoryError::Limit { .. }) => Reason::Overloaded,
            _ => Reason::Internal,
        };
        Self::new(reason, message)
    }
}

impl From<KeyFileError> for Refusal {
    fn from(error: KeyFileError) -> Self {
        let reason = match error {
            KeyFileError::PassphraseNeeded => Reason::PinRequired,
            KeyFileError::WrongPassphrase => Reason::WrongPin,
            _ => Reason::InvalidField,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::Statement(_) => Reason::Internal,
            _ => Reason::AuditUnavailable,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        match error {
            LedgerError::Regression { slot, .. } => {
                Self::new(Reason::VersionRegression, message).hint(format!("touchmark publish {}", slot.gun))
            }
            LedgerError::Reused { slot } => {
                Self::new(Reason::VersionReused, message).hint(reused(&slot.gun, &slot.role, slot.version))
            }
            LedgerError::InFlight { .. } => Self::new(Reason::Conflict, message),
            LedgerError::Unknown { slot } => {
                Self::new(Reason::InvalidField, message).hint(format!("touchmark ledger show {}", slot.gun))
            }
            LedgerError::Store(error) => error.into(),
        }
    }
}

impl From<SignError> for Refusal {
    fn from(error: SignError) -> Self {
        let (reason, message) = (error.reason(), error.to_string());
        let tries_left = match &error {
            SignError::WrongPin { tries_left, .. } => *tries_left,
            SignError::PinLocked { .. } => Some(0),
            _ => None,
        };
        let hint = match error {
            SignError::VaultLocked => Some("touchmark unlock".to_owned()),
            SignError::VaultMissing => Some("touchmark vault init --token NAME".to_owned()),
            SignError::KeyUnknown { .. } => Some("touchmark key ls".to_owned()),
            SignError::TokenUnknown { .. } => Some("touchmark token ls".to_owned()),
            SignError::TokenNotPresent { .. } => Some(PLUG_IN.to_owned()),
            SignError::TokenMismatch { .. } => Some(EXPECTED.to_owned()),
            SignError::TokenBusy { .. } => Some(LATER.to_owned()),
            SignError::TokenFailed { .. } => Some(LOOK.to_owned()),
            SignError::TouchTimeout { .. } => Some(format!("{TOUCH}; touchmark doctor, where it does not")),
            SignError::PinLocked { .. } => Some(PUK.to_owned()),
            SignError::VersionReused { gun, role, version } => Some(reused(&gun, &role, version)),
            SignError::NotAllowed(error) => return error.into(),
            _ => None,
        };
        let mut refusal = Self::new(reason, message);
        refusal.hint = hint;
        refusal.tries_left = tries_left;
        refusal
    }
}

impl From<NotAllowed> for Refusal {
    fn from(error: NotAllowed) -> Self {
        Self::new(Reason::NotAllowed, error.to_string()).hint(
            "touchmark status shows what you may do; an [[allow]] in the daemon's configuration grants more",
        )
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        let reason = match error {
            DeskError::Withdrawn | DeskError::Stopping => Reason::Conflict,
            DeskError::Prompt(PromptError::Random) => Reason::Internal,
            DeskError::Prompt(_) | DeskError::Nobody => Reason::PinRequired,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<UnlockError> for Refusal {
    fn from(error: UnlockError) -> Self {
        let message = error.to_string();
        match error {
            UnlockError::NoVault => {
                Self::new(Reason::VaultMissing, message).hint("touchmark vault init --token NAME")
            }
            UnlockError::VaultExists => {
                Self::new(Reason::Conflict, message).hint("touchmark vault token add NAME")
            }
            UnlockError::LastWay => Self::new(Reason::Conflict, message)
                .hint("touchmark vault token add NAME, or touchmark vault passphrase"),
            UnlockError::NoSuchWay(_) => Self::new(Reason::TokenUnknown, message).hint("touchmark status"),
            UnlockError::NoSuchToken(_) => {
                Self::new(Reason::TokenUnknown, message).hint("touchmark token ls")
            }
            UnlockError::WrongToken { .. } => Self::new(Reason::TokenMismatch, message),
            UnlockError::WrongPassphrase => Self::new(Reason::WrongPin, message),
            UnlockError::NotWrapped(_) => Self::new(Reason::TokenFailed, message),
            UnlockError::PinFile { .. } => Self::new(Reason::PinRequired, message),
            UnlockError::Backup(_) => Self::new(Reason::InvalidField, message),
            UnlockError::Token { name, error } => of_token(&name, error),
            UnlockError::Busy(error) => error.into(),
            UnlockError::NotAllowed(error) => error.into(),
            UnlockError::Vault(error) => error.into(),
            UnlockError::Store(error) => error.into(),
            UnlockError::Desk(error) => error.into(),
            UnlockError::Task => Self::new(Reason::Internal, message),
        }
    }
}

#[cfg(test)]
mod tests;
