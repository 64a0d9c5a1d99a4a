//! Making, taking and removing keys, and the management key that the card wants to see for that.

use touchmark_tuf::PublicKey;
use yubikey::certificate::Certificate;
use yubikey::piv::{AlgorithmId, ManagementSlotId, Origin, SlotId, generate, import_ecc_key, metadata};
use yubikey::{Error, MgmKey, Version, YubiKey};

use super::fault::{is_lost, of_service, refused};
use super::login::Login;
use super::slot::{Content, Slot, card_policy};
use super::talk::{ask, talk};
use super::{PivToken, certificate};
use crate::token::quiet::Quiet;
use crate::token::trial::Trial;
use crate::token::{KeyPolicy, KeyRef, Secret, TokenError, TokenKey, UnwrapMethod};

const MAKE: &str = "make a key";
const TAKE: &str = "take a key";
/// From here on the card can remove a key.
const REMOVES: Version = Version { major: 5, minor: 7, patch: 0 };

impl PivToken {
    /// A key that signs, in the next free slot.
    pub(super) fn make_signing_key(
        &mut self,
        label: &str,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError> {
        let slot = self.free_slot()?;
        self.make_in(slot, label, policy)
    }

    /// The key that opens the vault. The card has one place for such; what was made there before is as good.
    pub(super) fn make_unwrap_key(&mut self) -> Result<TokenKey, TokenError> {
        self.wants_to_be_ready()?;
        let slot = Slot::UNWRAP;
        let key = match self.is_free(slot)? {
            true => self.make_in(slot, UnwrapMethod::Ecdh.label(), KeyPolicy::PIN_ONCE)?,
            false => self.made_before(slot)?.key(),
        };
        // Whether it can do it is known when it has done it.
        let trial = Trial::of(&key.public)?;
        trial.passed(&self.open_box(&key.key_ref(), &trial.boxed())?)?;
        Ok(key)
    }

    /// A private key from outside, in the next free slot.
    pub(super) fn take_key(
        &mut self,
        label: &str,
        scalar: &Secret,
        public: &PublicKey,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError> {
        if public.p256_point().is_none() || scalar.expose().len() != 32 {
            return Err(TokenError::NotSupported { what: "take this key: it is not a P-256 key".to_owned() });
        }
        let slot = self.free_slot()?;
        self.authenticate()?;
        let (pin, touch) = card_policy(policy);
        let quiet = Quiet::start();
        let taken =
            import_ecc_key(self.card()?, slot.piv(), AlgorithmId::EccP256, scalar.expose(), touch, pin);
        drop(quiet);
        taken.map_err(|error| self.gone(TAKE, error))?;
        self.described(slot, label, public)
    }

    /// Removes a key and its certificate.
    pub(super) fn destroy_key(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        self.wants_login()?;
        let slot = self.content(key)?.slot;
        if self.version < REMOVES {
            let what =
                format!("remove a key: its firmware is {}, and 5.7 is the first that can", self.version);
            return Err(TokenError::NotSupported { what });
        }
        self.authenticate()?;
        let card = self.card()?;
        remove(card.name(), slot)?;
        let emptied = Certificate::delete(card, slot.piv());
        self.seen.remove(&slot);
        emptied.map_err(|error| self.gone("remove a certificate", error))
    }

    fn make_in(&mut self, slot: Slot, label: &str, policy: KeyPolicy) -> Result<TokenKey, TokenError> {
        self.authenticate()?;
        let (pin, touch) = card_policy(policy);
        let made = generate(self.card()?, slot.piv(), AlgorithmId::EccP256, pin, touch);
        let made = made.map_err(|error| self.gone(MAKE, error))?;
        let unread = || TokenError::NotSupported { what: "say the public key of a new key".to_owned() };
        let point = made.subject_public_key.raw_bytes().try_into().map_err(|_| unread())?;
        self.described(slot, label, &PublicKey::from_p256_point(point))
    }

    /// Writes the certificate of a new key and reads all of it back. Without a certificate it is a key all the same,
    /// called by its slot.
    fn described(&mut self, slot: Slot, label: &str, public: &PublicKey) -> Result<TokenKey, TokenError> {
        if let Err(error) = certificate::write(self.card()?, slot, label, public) {
            crate::token::helper::tell(&format!("{slot} gets no certificate: {error}"));
        }
        self.seen.remove(&slot);
        let found = self.card()?;
        let found = slot.read(found).map_err(|error| self.gone("show a new key", error))?;
        match found {
            Some(content) if content.public == *public => {
                let key = content.key();
                self.seen.insert(slot, content);
                Ok(key)
            }
            _ => Err(TokenError::Failed { call: MAKE.to_owned(), code: format!("{slot} has another") }),
        }
    }

    /// The next slot for a key that signs.
    fn free_slot(&mut self) -> Result<Slot, TokenError> {
        self.wants_to_be_ready()?;
        for slot in Slot::signing() {
            if self.is_free(slot)? {
                return Ok(slot);
            }
        }
        Err(TokenError::NotSupported { what: "hold one more key: its 21 slots for such are full".to_owned() })
    }

    fn is_free(&mut self, slot: Slot) -> Result<bool, TokenError> {
        let free = self.with_card("show its slots", |card| slot.is_free(card))?;
        free.ok_or_else(|| TokenError::NotSupported {
            what: format!(
                "make keys safely: its firmware {} does not tell which slots are in use, and 5.3 is the first that \
                 does",
                self.version
            ),
        })
    }

    /// The key in a slot, if it was made there and can do what ours can.
    fn made_before(&mut self, slot: Slot) -> Result<Content, TokenError> {
        let found = self.with_card("show its keys", |card| slot.read(card))?;
        found.filter(|content| content.origin == Some(Origin::Generated)).ok_or_else(|| {
            TokenError::NotSupported {
                what: format!("open a vault: {slot} has a key that was not made there, or is not on P-256"),
            }
        })
    }

    pub(super) fn wants_login(&self) -> Result<(), TokenError> {
        (self.login != Login::Out).then_some(()).ok_or(TokenError::NotLoggedIn)
    }

    /// Shows the card its management key: the one that it keeps behind the PIN, or the one that every card has at first.
    pub(super) fn authenticate(&mut self) -> Result<(), TokenError> {
        self.wants_login()?;
        let quiet = Quiet::start();
        let shown = show_management_key(self.card()?);
        drop(quiet);
        let Err(error) = shown else { return Ok(()) };
        // Whoever else uses the card may have ended the login since, and what is behind the PIN is not shown then.
        if is_lost(&error) {
            self.reopen()?;
        } else if !self.look() {
            return Err(TokenError::NotPresent);
        }
        self.wants_login()?;
        Err(match error {
            Error::AuthenticationError => TokenError::NotSupported {
                what:
                    "change its keys: its management key is not kept behind its PIN, and is not the factory's"
                        .to_owned(),
            },
            error => refused("take its management key", error),
        })
    }

    /// The error of a call that is not repeated; a connection that is lost takes the login with it.
    pub(super) fn gone(&mut self, call: &str, error: Error) -> TokenError {
        if is_lost(&error) {
            self.forget();
        }
        refused(call, error)
    }
}

fn show_management_key(card: &mut YubiKey) -> yubikey::Result<()> {
    let told = metadata(card, SlotId::Management(ManagementSlotId::Management));
    let is_default = told.ok().and_then(|told| told.default);
    let key = match is_default {
        // What is kept behind the PIN was to become the key, and has not.
        Some(true) => MgmKey::get_default(card)?,
        said => match MgmKey::get_protected(card) {
            Ok(key) => key,
            Err(error) if is_lost(&error) => return Err(error),
            Err(_) if said == Some(false) => return Err(Error::AuthenticationError),
            Err(_) => MgmKey::get_default(card)?,
        },
    };
    card.authenticate(&key)
}

/// Removes the key in a slot (Yubico's MOVE KEY to nowhere, firmware 5.7).
fn remove(reader: &str, slot: Slot) -> Result<(), TokenError> {
    const CALL: &str = "remove a key";
    let answer = talk(reader, |card| ask(card, &[0x00, 0xf6, 0xff, slot.byte()]));
    match answer.map_err(|error| of_service(CALL, error))? {
        (_, [0x90, 0x00]) => Ok(()),
        (_, [0x6d, 0x00]) => Err(TokenError::NotSupported { what: CALL.to_owned() }),
        (_, [high, low]) => {
            Err(TokenError::Failed { call: CALL.to_owned(), code: format!("status {high:02x}{low:02x}") })
        }
    }
}
