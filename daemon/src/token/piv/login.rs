//! The PIN: who gets it, how often, and what is known of it. All of this asks the card without ending a login.

use pcsc::Disposition;
use yubikey::piv::{ManagementSlotId, SlotId};
use yubikey::{Error, YubiKey};

use super::PivToken;
use super::fault::refused;
use super::slot::{Slot, tells};
use crate::token::quiet::Quiet;
use crate::token::{KeyRef, PinState, Secret, TokenError};

/// How long a PIN is, in bytes. Another one is not sent, and costs no try.
const LENGTH: std::ops::RangeInclusive<usize> = 6..=8;
/// The tries of a card that does not say how many it has: the factory's number.
const USUAL: u8 = 3;

/// Whether the card has accepted the PIN on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// It has not, or not since it was reset.
    Out,
    /// It has.
    In,
    /// It has, and a key was used since: those that want the PIN right before each use want it again.
    Spent,
}

/// Wrong PINs that are still forgiven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// `None`: it has been given right since.
    pub(super) left: Option<u8>,
    /// After a right PIN.
    pub(super) most: Option<u8>,
}

impl Tries {
    pub(super) fn state(self) -> PinState {
        match self.left {
            Some(0) => PinState::Locked,
            Some(1) => PinState::Final,
            Some(left) if left < self.most.unwrap_or(USUAL) => PinState::Low,
            Some(_) | None => PinState::Ok,
        }
    }

    pub(super) fn left(self) -> Option<u32> {
        self.left.or(self.most).map(u32::from)
    }
}

impl PivToken {
    /// Presents the PIN, once. Everything that may go wrong before goes wrong before.
    pub(super) fn present(&mut self, pin: &Secret, enrolled: &[KeyRef]) -> Result<(), TokenError> {
        self.login = Login::Out;
        if !LENGTH.contains(&pin.expose().len()) {
            let why = format!("a YubiKey's PIN has {} to {} characters", LENGTH.start(), LENGTH.end());
            return Err(TokenError::PinUnfit { why });
        }
        self.count_tries()?;
        if self.tries.left == Some(0) {
            return Err(TokenError::PinLocked);
        }
        self.is_enrolled(enrolled)?;
        let quiet = Quiet::start();
        let answer = self.card()?.verify_pin(pin.expose());
        drop(quiet);
        match answer {
            Ok(()) => {
                self.login = Login::In;
                self.tries.left = self.tries.most;
                Ok(())
            }
            Err(error) => {
                match error {
                    Error::WrongPin { tries } => self.tries.left = Some(tries),
                    // Nobody knows whether it has looked at the PIN. It is not sent again.
                    _ => self.forget(),
                }
                Err(refused("take the PIN", error))
            }
        }
    }

    /// Asks how many tries are left.
    pub(super) fn count_tries(&mut self) -> Result<(), TokenError> {
        self.tries = self.with_card("tell the tries of its PIN", tries)?;
        Ok(())
    }

    /// Whether the card is still there; and whether its login is still ours. A connection that was lost is not made
    /// again before it is needed: whoever has just reset the card is using it.
    pub(super) fn look(&mut self) -> bool {
        match self.card.as_mut().map(|card| card.verify_pin(&[])) {
            Some(Ok(())) => true,
            Some(Err(Error::WrongPin { tries })) => {
                self.login = Login::Out;
                self.tries.left = Some(tries);
                true
            }
            Some(Err(_)) => {
                self.forget();
                self.readers.borrow().has_stayed()
            }
            None => self.readers.borrow().has_stayed(),
        }
    }

    /// Ends the login, and the life of the PIN that the crate keeps. Selecting the application anew logs out and
    /// disturbs nobody; where that cannot be done the card is reset, for everybody.
    pub(super) fn end_login(&mut self) {
        if self.login != Login::Out
            && let Some(mut card) = self.card.take()
        {
            let out = matches!(card.get_pin_retries(), Ok(1..));
            drop(card.disconnect(if out { Disposition::LeaveCard } else { Disposition::ResetCard }));
        }
        self.forget();
    }

    /// A card that has none of the keys that were enrolled has been reset, or is no YubiKey at all.
    fn is_enrolled(&mut self, enrolled: &[KeyRef]) -> Result<(), TokenError> {
        if enrolled.is_empty() || !tells(self.version) {
            return Ok(());
        }
        for key in enrolled {
            let Some(slot) = Slot::of_id(&key.id) else { continue };
            let found = self.with_card("show its keys", |card| slot.read(card))?;
            let same = found.as_ref().is_some_and(|content| content.public == key.public);
            self.seen.extend(found.map(|content| (slot, content)));
            if same {
                return Ok(());
            }
        }
        Err(TokenError::Mismatch {
            expected: format!("YubiKey {} with a key that was enrolled", self.serial),
            found: "one that has none of them: was it reset?".to_owned(),
        })
    }
}

/// The metadata of the PIN where the card has such, else a question that is no try.
fn tries(card: &mut YubiKey) -> yubikey::Result<Tries> {
    match yubikey::piv::metadata(card, SlotId::Management(ManagementSlotId::Pin)) {
        Ok(metadata) => {
            if let Some(retries) = metadata.retries {
                let (left, most) = (Some(retries.remaining_count), Some(retries.retry_count));
                return Ok(Tries { left, most });
            }
        }
        Err(Error::NotSupported) if !tells(card.version()) => {}
        Err(error) => return Err(error),
    }
    match card.verify_pin(&[]) {
        Ok(()) => Ok(Tries::default()),
        Err(Error::WrongPin { tries }) => Ok(Tries { left: Some(tries), most: None }),
        Err(error) => Err(error),
    }
}
