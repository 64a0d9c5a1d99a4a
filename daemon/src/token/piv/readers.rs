//! Finding one YubiKey among the readers of this machine.
//!
//! Opening a card selects its PIV application, and that ends the login of whoever uses it: perhaps our neighbour, who
//! keeps another YubiKey of the same daemon. So a card is asked who it is before it is opened, and each that is not ours
//! is asked once, and then left alone for as long as it stays where it is.

use std::collections::BTreeSet;
use std::time::Duration;

use pcsc::{Disposition, ReaderState, Scope, State};
use yubikey::YubiKey;
use yubikey::reader::Context;

use super::fault::{of_service, refused};
use super::talk;
use crate::token::TokenError;

const LOOK: &str = "look for YubiKeys";

/// A card in a reader, for as long as it stays there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inserted {
    /// Name of the reader.
    pub(super) reader: String,
    /// How often cards went in or out before.
    pub(super) count: u32,
}

/// What is known of the readers.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// Other cards, and the serial number of those that are YubiKeys.
    others: BTreeSet<(Inserted, Option<u32>)>,
    /// Where ours was last.
    last: Option<Inserted>,
}

impl Readers {
    /// Opens the YubiKey with this serial number.
    ///
    /// # Errors
    /// [`TokenError::NotPresent`]; [`TokenError::Mismatch`] where another is in the reader that had it;
    /// [`TokenError::Unreachable`], [`TokenError::Failed`].
    pub(super) fn open(&mut self, serial: u32) -> Result<YubiKey, TokenError> {
        let opened = self.find(serial);
        if matches!(opened, Err(TokenError::Unreachable { .. })) {
            // A service that starts anew counts anew.
            self.others.clear();
        }
        opened
    }

    /// Whether ours has not been pulled out since it was opened last. Asks the service alone, not the card.
    pub(super) fn has_stayed(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| inserted().is_ok_and(|inserted| inserted.contains(last)))
    }

    fn find(&mut self, serial: u32) -> Result<YubiKey, TokenError> {
        let inserted = inserted()?;
        self.others.retain(|(other, _)| inserted.contains(other));
        let mut context = Context::open().map_err(|error| refused(LOOK, error))?;
        let mut refusal = None;
        for reader in context.iter().map_err(|error| refused(LOOK, error))? {
            let Some(card) = inserted.iter().find(|card| card.reader == reader.name()) else { continue };
            if self.others.iter().any(|(other, _)| other == card) {
                continue;
            }
            if let Some(other) = talk::serial(&card.reader).filter(|found| *found != serial) {
                self.others.insert((card.clone(), Some(other)));
                continue;
            }
            match reader.open() {
                Ok(found) if u32::from(found.serial()) == serial => {
                    self.last = Some(card.clone());
                    return Ok(found);
                }
                Ok(found) => {
                    self.others.insert((card.clone(), Some(found.serial().into())));
                    leave(found);
                }
                Err(yubikey::Error::AppletNotFound { .. } | yubikey::Error::NotSupported) => {
                    self.others.insert((card.clone(), None));
                }
                // It may be ours, and be itself again later.
                Err(error) => refusal = refusal.or(Some(refused("open the YubiKey", error))),
            }
        }
        Err(refusal.or_else(|| self.in_its_place(serial)).unwrap_or(TokenError::NotPresent))
    }

    /// Another YubiKey where ours was.
    fn in_its_place(&self, serial: u32) -> Option<TokenError> {
        let there = |(card, found): &(Inserted, Option<u32>)| {
            found.filter(|_| self.last.as_ref().is_some_and(|last| last.reader == card.reader))
        };
        let found = self.others.iter().find_map(there)?;
        Some(TokenError::Mismatch {
            expected: format!("YubiKey {serial}"),
            found: format!("YubiKey {found}"),
        })
    }
}

/// Lets go of a card without a trace: others may be using it.
pub(super) fn leave(card: YubiKey) {
    drop(card.disconnect(Disposition::LeaveCard));
}

/// The cards that are in readers now. Asks the service alone, no card.
fn inserted() -> Result<Vec<Inserted>, TokenError> {
    let service = |error| of_service(LOOK, error);
    let context = pcsc::Context::establish(Scope::System).map_err(service)?;
    let names = context.list_readers_owned().map_err(service)?;
    let mut states: Vec<_> = names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
    if states.is_empty() {
        return Ok(Vec::new());
    }
    context.get_status_change(Duration::ZERO, &mut states).map_err(service)?;
    let present = states.iter().filter(|state| state.event_state().contains(State::PRESENT));
    let card = |state: &ReaderState| Inserted {
        reader: state.name().to_string_lossy().into_owned(),
        count: state.event_count(),
    };
    Ok(present.map(card).collect())
}
