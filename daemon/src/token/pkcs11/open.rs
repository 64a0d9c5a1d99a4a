//! Finding the one token that is meant, and making an empty one ready.

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::session::UserType;
use cryptoki::slot::{Slot, TokenInfo as RawInfo};
use cryptoki::types::AuthPin;
use zeroize::Zeroize;

use super::fault::refused;
use crate::token::provider::another_kind;
use crate::token::quiet::Quiet;
use crate::token::{PinState, Secret, TokenError, TokenInfo, TokenKind};

/// Bytes of a token's label (PKCS#11 v2.40 base, section 3.2).
const LABEL: usize = 32;

/// What a slot says about its token.
pub(super) struct SlotState {
    pub(super) info: TokenInfo,
    pub(super) pin: PinState,
    initialised: bool,
}

/// The slot of the token that `which` describes.
pub(super) fn find(context: &Pkcs11, which: &TokenKind) -> Result<(Slot, SlotState), TokenError> {
    let TokenKind::Pkcs11 { label, serial, .. } = which else { return Err(another_kind(which)) };
    let mut labelled = tokens(context)?;
    labelled.retain(|(_, state)| state.initialised && state.info.label == *label);
    let found: Vec<String> = labelled.iter().map(|(_, state)| state.info.serial.clone()).collect();
    if let Some(serial) = serial {
        labelled.retain(|(_, state)| state.info.serial == *serial);
    }
    match (labelled.pop(), labelled.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) if found.is_empty() => Err(TokenError::NotPresent),
        _ => Err(TokenError::Mismatch {
            expected: match serial {
                Some(serial) => format!("one token labelled {label:?} with serial {serial}"),
                None => format!("one token labelled {label:?}"),
            },
            found: format!("serial {}", found.join(", ")),
        }),
    }
}

/// What the token in `slot` says now.
pub(super) fn look(context: &Pkcs11, slot: Slot) -> Result<SlotState, Error> {
    context.get_token_info(slot).map(|raw| SlotState::from(&raw))
}

/// Gives the only empty token the label of `which` and its PINs; where it has got the label and no user PIN, the rest.
pub(super) fn init_token(
    context: &Pkcs11,
    which: &TokenKind,
    so_pin: &Secret,
    pin: &Secret,
) -> Result<(), TokenError> {
    let TokenKind::Pkcs11 { label, .. } = which else { return Err(another_kind(which)) };
    if label.len() > LABEL {
        return Err(TokenError::NotSupported { what: format!("have a label of more than {LABEL} bytes") });
    }
    let _quiet = Quiet::start();
    let so_pin = auth_pin(so_pin)?;
    let slots = tokens(context)?;
    let labelled = slots.iter().filter(|(_, state)| state.initialised && state.info.label == *label);
    match labelled.map(|(_, state)| state.pin).collect::<Vec<_>>().as_slice() {
        [] => {
            let slot = only_empty(&slots)?;
            context.init_token(slot, &so_pin, label).map_err(|error| refused(&error))?;
        }
        // Its making was broken off half way: nothing is on it that could be lost.
        [PinState::NotSet] => {}
        _ => return Err(TokenError::AlreadyInitialised),
    }
    // The slot's number may have changed (it does on SoftHSM); the label has not.
    let (slot, _) = find(context, which)?;
    let session = context.open_rw_session(slot).map_err(|error| refused(&error))?;
    session.login(UserType::So, Some(&so_pin)).map_err(|error| refused(&error))?;
    let set = session.init_pin(&auth_pin(pin)?).map_err(|error| refused(&error));
    let out = session.logout().map_err(|error| refused(&error));
    set.and(out)
}

/// The slot of the one token that was never initialised.
fn only_empty(slots: &[(Slot, SlotState)]) -> Result<Slot, TokenError> {
    let empty: Vec<Slot> =
        slots.iter().filter(|(_, state)| !state.initialised).map(|(slot, _)| *slot).collect();
    match empty.as_slice() {
        [] => Err(TokenError::NotPresent),
        [only] => Ok(*only),
        several => {
            let found = format!("{} of them", several.len());
            Err(TokenError::Mismatch { expected: "one empty token".to_owned(), found })
        }
    }
}

/// A PIN as `cryptoki` wants it to set one. It wipes its own copy.
fn auth_pin(pin: &Secret) -> Result<AuthPin, TokenError> {
    match String::from_utf8(pin.expose().to_vec()) {
        // No excess capacity, so that making a boxed str of it moves nothing.
        Ok(text) => Ok(AuthPin::from(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(TokenError::PinUnfit { why: "it is not UTF-8".to_owned() })
        }
    }
}

/// All tokens, those aside that cannot be read at the moment.
fn tokens(context: &Pkcs11) -> Result<Vec<(Slot, SlotState)>, TokenError> {
    let mut tokens = Vec::new();
    for slot in context.get_slots_with_token().map_err(|error| refused(&error))? {
        match look(context, slot) {
            Ok(state) => tokens.push((slot, state)),
            Err(Error::Pkcs11(RvError::TokenNotPresent | RvError::TokenNotRecognized, _)) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    Ok(tokens)
}

impl From<&RawInfo> for SlotState {
    fn from(raw: &RawInfo) -> Self {
        let text = |padded: &str| padded.trim_end_matches([' ', '\0']).replace(char::is_control, "\u{fffd}");
        let info = TokenInfo {
            serial: text(raw.serial_number()),
            label: text(raw.label()),
            manufacturer: text(raw.manufacturer_id()),
            model: text(raw.model()),
            firmware: raw.firmware_version().to_string(),
        };
        Self { info, pin: pin_state(raw), initialised: raw.token_initialized() }
    }
}

fn pin_state(raw: &RawInfo) -> PinState {
    if raw.user_pin_locked() {
        PinState::Locked
    } else if !raw.user_pin_initialized() {
        PinState::NotSet
    } else if raw.user_pin_final_try() {
        PinState::Final
    } else if raw.user_pin_count_low() {
        PinState::Low
    } else {
        PinState::Ok
    }
}
