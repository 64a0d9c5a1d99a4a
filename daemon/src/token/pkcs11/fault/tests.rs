use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

use super::{Fault, fault, refused};
use crate::token::TokenError;

fn error(value: RvError, function: Function) -> Error {
    Error::Pkcs11(value, function)
}

#[test]
fn lost_sessions_and_handles_are_worth_one_more_try() {
    for (value, expected) in [
        (RvError::SessionHandleInvalid, Fault::Session),
        (RvError::SessionClosed, Fault::Session),
        (RvError::OperationActive, Fault::Session),
        (RvError::KeyHandleInvalid, Fault::Handle),
        (RvError::ObjectHandleInvalid, Fault::Handle),
        (RvError::UserNotLoggedIn, Fault::Login),
        (RvError::CryptokiNotInitialized, Fault::Module),
        (RvError::PinIncorrect, Fault::Final),
        (RvError::PinLocked, Fault::Final),
        (RvError::DeviceError, Fault::Final),
        (RvError::DeviceRemoved, Fault::Final),
    ] {
        assert_eq!(fault(&error(value, Function::Sign)), expected, "{value:?}");
    }
}

#[test]
fn a_full_token_is_emptied_before_anything_was_signed() {
    for function in [Function::SignInit, Function::DecryptInit, Function::GenerateKeyPair] {
        assert_eq!(fault(&error(RvError::GeneralError, function)), Fault::Room);
    }
    assert_eq!(fault(&error(RvError::GeneralError, Function::Sign)), Fault::Final);
}

#[test]
fn a_removed_token_is_absent() {
    for value in [RvError::DeviceRemoved, RvError::TokenNotPresent, RvError::TokenNotRecognized] {
        assert_eq!(refused(&error(value, Function::Sign)), TokenError::NotPresent);
    }
}

#[test]
fn a_damaged_box_is_not_a_damaged_token() {
    let damaged = error(RvError::GeneralError, Function::DeriveKey);
    assert_eq!(refused(&damaged), TokenError::BoxRefused { code: "CKR_GENERAL_ERROR".into() });
    assert!(!refused(&damaged).loses_token());
    let broken = refused(&error(RvError::GeneralError, Function::Sign));
    assert_eq!(broken, TokenError::Failed { call: "C_Sign".into(), code: "CKR_GENERAL_ERROR".into() });
    assert!(broken.loses_token());
}

#[test]
fn pin_errors_keep_their_meaning() {
    let at_login = |value| refused(&error(value, Function::Login));
    assert_eq!(at_login(RvError::PinIncorrect), TokenError::WrongPin { tries_left: None });
    assert_eq!(at_login(RvError::PinLenRange), TokenError::WrongPin { tries_left: None });
    assert_eq!(at_login(RvError::PinLocked), TokenError::PinLocked);
    assert_eq!(at_login(RvError::UserPinNotInitialized), TokenError::PinNotSet);
    let unfit = refused(&error(RvError::PinLenRange, Function::InitPIN));
    assert_eq!(unfit, TokenError::PinUnfit { why: "CKR_PIN_LEN_RANGE".into() });
}

#[test]
fn a_value_without_a_name_shows_its_number() {
    let vendor = refused(&error(RvError::VendorDefined(0x8000_0001), Function::Sign));
    assert_eq!(vendor, TokenError::Failed { call: "C_Sign".into(), code: "CKR 0x80000001".into() });
}
