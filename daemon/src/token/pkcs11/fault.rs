//! What the return values of a module mean here. They are judged together with the call that gave them: the same
//! `CKR_GENERAL_ERROR` is a broken token from `C_Sign` and a damaged box from `C_DeriveKey` (SoftHSM).

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

use crate::token::TokenError;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The session is gone or stuck: drop it, open another, log in once, try once more.
    Session,
    /// An object handle means nothing any more: find the object again, try once more.
    Handle,
    /// Log in once with the held PIN, try once more.
    Login,
    /// The token may have no room left for what this needs (a TPM without a resource manager holds three objects, and
    /// modules say `CKR_GENERAL_ERROR` then): log out and in again, which empties it, and try once more. Nothing
    /// has been signed or opened yet.
    Room,
    /// Nothing of the module's state is left, as after a fork: let go of the token and open it anew.
    Module,
    /// Say so and leave it.
    Final,
}

/// What to do about `error`.
pub(super) fn fault(error: &Error) -> Fault {
    let Error::Pkcs11(value, function) = error else { return Fault::Final };
    match value {
        RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::OperationActive
        | RvError::SessionCount => Fault::Session,
        RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid => Fault::Handle,
        RvError::UserNotLoggedIn => Fault::Login,
        RvError::CryptokiNotInitialized => Fault::Module,
        RvError::GeneralError | RvError::FunctionFailed | RvError::DeviceMemory | RvError::HostMemory => {
            match function {
                Function::SignInit | Function::DecryptInit | Function::GenerateKeyPair => Fault::Room,
                _ => Fault::Final,
            }
        }
        _ => Fault::Final,
    }
}

/// The error as the daemon will see it.
pub(super) fn refused(error: &Error) -> TokenError {
    let (value, function) = match error {
        Error::Pkcs11(value, function) => (value, function),
        Error::NullFunctionPointer | Error::NotSupported => {
            return TokenError::NotSupported { what: "do this: its module has no such function".to_owned() };
        }
        other => return TokenError::Failed { call: "PKCS#11".to_owned(), code: other.to_string() },
    };
    match (value, function) {
        (RvError::TokenNotPresent | RvError::DeviceRemoved | RvError::SlotIdInvalid, _) => {
            TokenError::NotPresent
        }
        (RvError::TokenNotRecognized, _) => TokenError::NotPresent,
        (RvError::UserNotLoggedIn, _) => TokenError::NotLoggedIn,
        // Only from calls that take a PIN: from any other it would be a word about a PIN that nobody gave.
        (RvError::UserPinNotInitialized, Function::Login) => TokenError::PinNotSet,
        (RvError::PinLocked, Function::Login | Function::InitToken | Function::InitPIN) => {
            TokenError::PinLocked
        }
        (RvError::PinIncorrect, Function::Login | Function::InitToken | Function::InitPIN) => {
            TokenError::WrongPin { tries_left: None }
        }
        // Known refusals of new PINs; from C_Login the same values mean a PIN that cannot be the right one.
        (RvError::PinInvalid | RvError::PinLenRange | RvError::PinTooWeak, Function::Login) => {
            TokenError::WrongPin { tries_left: None }
        }
        (
            RvError::PinInvalid | RvError::PinLenRange | RvError::PinTooWeak,
            Function::InitToken | Function::InitPIN,
        ) => TokenError::PinUnfit { why: code(value) },
        (RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid, _) => TokenError::KeyNotFound,
        (
            RvError::FunctionNotSupported
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::CurveNotSupported
            | RvError::TemplateInconsistent
            | RvError::TemplateIncomplete
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::AttributeReadOnly
            | RvError::KeyFunctionNotPermitted
            | RvError::KeyTypeInconsistent
            | RvError::KeySizeRange
            | RvError::TokenWriteProtected,
            _,
        ) => TokenError::NotSupported { what: format!("do this: {} says {}", call(*function), code(value)) },
        (
            RvError::GeneralError
            | RvError::FunctionFailed
            | RvError::DeviceError
            | RvError::ArgumentsBad
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange,
            Function::DeriveKey | Function::Decrypt,
        ) => TokenError::BoxRefused { code: code(value) },
        _ => TokenError::Failed { call: call(*function), code: code(value) },
    }
}

/// `C_Sign`.
fn call(function: Function) -> String {
    format!("C_{function:?}")
}

/// `CKR_DEVICE_ERROR`; values without a name as a number.
fn code(value: &RvError) -> String {
    if let RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) = value {
        return format!("CKR 0x{number:08x}");
    }
    let mut name = String::from("CKR");
    for letter in format!("{value:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests;
