//! What the errors of a card, of its reader and of the PC/SC service mean here.

use pcsc::Error as Pcsc;
use yubikey::Error;

use crate::token::TokenError;

/// Whether the connection to the card is good for nothing any more, and another one may be: the card was pulled out or
/// reset, or the service has started anew. A login has gone with it.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::PcscError { .. })
}

/// The error as the daemon will see it; `call`: what the card was asked to do.
pub(super) fn refused(call: &str, error: Error) -> TokenError {
    let failed = |code: String| TokenError::Failed { call: call.to_owned(), code };
    match error {
        Error::PcscError { inner: Some(inner) } => of_service(call, inner),
        Error::NotSupported => TokenError::NotSupported { what: format!("{call}: its firmware does not") },
        // The longest PIN has eight bytes; this one was not sent.
        Error::WrongPin { tries: 0 } | Error::PinLocked => TokenError::PinLocked,
        Error::WrongPin { tries } => TokenError::WrongPin { tries_left: Some(tries.into()) },
        other => failed(other.to_string()),
    }
}

/// What the service, or the way through it, says.
pub(super) fn of_service(call: &str, error: Pcsc) -> TokenError {
    let unreachable = |why: &str| TokenError::Unreachable { why: why.to_owned() };
    match error {
        Pcsc::NoReadersAvailable
        | Pcsc::UnknownReader
        | Pcsc::ReaderUnavailable
        | Pcsc::NoSmartcard
        | Pcsc::RemovedCard
        | Pcsc::NotTransacted => TokenError::NotPresent,
        Pcsc::NoService | Pcsc::ServiceStopped => {
            unreachable("the PC/SC service does not run; sudo systemctl enable --now pcscd.socket")
        }
        Pcsc::SharingViolation => unreachable(&super::holder::words()),
        Pcsc::SecurityViolation | Pcsc::NoAccess => unreachable(
            "polkit does not let this user use the PC/SC service; write into /etc/polkit-1/rules.d/50-touchmark.rules: \
             polkit.addRule(function(action, subject) { if (action.id.indexOf(\"org.debian.pcsc-lite.access_\") == 0 \
             && subject.user == \"USER\") return polkit.Result.YES }), with the daemon's user for USER",
        ),
        other => TokenError::Failed { call: call.to_owned(), code: other.to_string() },
    }
}
