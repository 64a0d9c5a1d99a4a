//! YubiKeys, by their PIV application over PC/SC.
//!
//! A YubiKey is found by its serial number and never taken for another one: after any trouble it is looked for anew, and
//! whoever is found in its reader gets no PIN. The connection is shared with other programs, which may reset the card or
//! end its login at any time; that costs a login and nothing else.

mod attest;
mod certificate;
mod fault;
mod holder;
mod login;
mod make;
mod readers;
mod ready;
mod slot;
mod talk;
mod work;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};
use yubikey::{Version, YubiKey};

use super::provider::another_kind;
use super::{
    Attestation, Credential, KeyPolicy, KeyRef, PinState, Provision, Secret, Token, TokenBox, TokenError,
    TokenInfo, TokenKey, TokenKind, TokenProvider,
};
use fault::{is_lost, refused};
use login::{Login, Tries};
use readers::Readers;
use slot::{Content, Slot};

// The crate shows every APDU at trace, and PINs in them. Such lines are not even compiled.
const _: () = assert!(log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Debug as usize);

/// Finds YubiKeys.
#[derive(Debug, Default)]
pub(super) struct PivProvider {
    readers: Rc<RefCell<Readers>>,
}

impl TokenProvider for PivProvider {
    fn open(&self, which: &TokenKind) -> Result<Box<dyn Provision>, TokenError> {
        let TokenKind::Yubikey { serial } = which else { return Err(another_kind(which)) };
        Ok(Box::new(PivToken::open(*serial, Rc::clone(&self.readers))?))
    }

    fn init_token(&self, which: &TokenKind, puk: Option<&Secret>, pin: &Secret) -> Result<(), TokenError> {
        let TokenKind::Yubikey { serial } = which else { return Err(another_kind(which)) };
        PivToken::open(*serial, Rc::clone(&self.readers))?.make_ready(puk, pin)
    }
}

/// One YubiKey.
pub(super) struct PivToken {
    serial: u32,
    readers: Rc<RefCell<Readers>>,
    /// The connection. None after a logout: the crate keeps the PIN for as long as it lives.
    card: Option<YubiKey>,
    info: TokenInfo,
    version: Version,
    login: Login,
    tries: Tries,
    /// What still is as the factory sets it.
    factory: Option<Vec<Credential>>,
    /// What was found in slots since the connection was made.
    seen: HashMap<Slot, Content>,
}

impl PivToken {
    fn open(serial: u32, readers: Rc<RefCell<Readers>>) -> Result<Self, TokenError> {
        let card = readers.borrow_mut().open(serial)?;
        let version = card.version();
        let info = TokenInfo {
            serial: serial.to_string(),
            label: format!("YubiKey {serial}"),
            manufacturer: "Yubico".to_owned(),
            model: format!("YubiKey {}", version.major),
            firmware: version.to_string(),
        };
        let (login, tries, seen) = (Login::Out, Tries::default(), HashMap::new());
        let (card, factory) = (Some(card), None);
        let mut token = Self { serial, readers, card, info, version, login, tries, factory, seen };
        token.count_tries()?;
        token.look_for_factory_values()?;
        Ok(token)
    }

    /// The connection, made where there is none.
    fn card(&mut self) -> Result<&mut YubiKey, TokenError> {
        let card = match self.card.take() {
            Some(card) => card,
            None => self.readers.borrow_mut().open(self.serial)?,
        };
        Ok(self.card.insert(card))
    }

    /// Makes the connection anew; a login, and all that was seen, are gone with the old one.
    fn reopen(&mut self) -> Result<(), TokenError> {
        self.forget();
        self.card().map(drop)
    }

    /// Lets go of the connection. Whoever else uses the card notices nothing.
    fn forget(&mut self) {
        self.login = Login::Out;
        self.seen.clear();
        if let Some(card) = self.card.take() {
            readers::leave(card);
        }
    }

    /// Asks the card for something that needs no login; once more where the connection was lost, or another program has
    /// selected another application of the card.
    fn with_card<T>(
        &mut self,
        call: &str,
        work: impl Fn(&mut YubiKey) -> yubikey::Result<T>,
    ) -> Result<T, TokenError> {
        match work(self.card()?) {
            Ok(done) => return Ok(done),
            Err(error) if is_lost(&error) || self.is_elsewhere(&error) => self.reopen()?,
            Err(error) => return Err(refused(call, error)),
        }
        work(self.card()?).map_err(|error| refused(call, error))
    }

    /// Whether the card does not know a command of the PIV application that its firmware has.
    fn is_elsewhere(&self, error: &yubikey::Error) -> bool {
        *error == yubikey::Error::NotSupported && slot::tells(self.version)
    }
}

impl Drop for PivToken {
    fn drop(&mut self) {
        self.end_login();
    }
}

impl Token for PivToken {
    fn info(&self) -> &TokenInfo {
        &self.info
    }

    fn pin_state(&self) -> PinState {
        self.tries.state()
    }

    fn tries_left(&self) -> Option<u32> {
        self.tries.left()
    }

    fn logged_in(&self) -> bool {
        self.login != Login::Out
    }

    fn factory(&self) -> Option<Vec<Credential>> {
        self.factory.clone()
    }

    fn keys(&mut self) -> Result<Vec<TokenKey>, TokenError> {
        let found = self.with_card("list its keys", slot::contents)?;
        let keys = found.iter().map(Content::key).collect();
        self.seen = found.into_iter().map(|content| (content.slot, content)).collect();
        Ok(keys)
    }

    fn policy(&mut self, key: &KeyRef) -> Result<Option<KeyPolicy>, TokenError> {
        Ok(self.content(key)?.policy)
    }

    fn login(&mut self, pin: &Secret, enrolled: &[KeyRef]) -> Result<(), TokenError> {
        self.present(pin, enrolled)
    }

    fn logout(&mut self) {
        self.end_login();
    }

    fn sign(&mut self, key: &KeyRef, digest: &Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        self.sign_digest(key, digest)
    }

    fn unwrap(&mut self, key: &KeyRef, boxed: &TokenBox) -> Result<Secret, TokenError> {
        self.open_box(key, boxed)
    }

    fn is_alive(&mut self) -> bool {
        self.look()
    }
}

impl Provision for PivToken {
    fn generate_root(&mut self, label: &str, policy: KeyPolicy) -> Result<TokenKey, TokenError> {
        self.make_signing_key(label, policy)
    }

    fn generate_unwrap(&mut self) -> Result<TokenKey, TokenError> {
        self.make_unwrap_key()
    }

    fn import(
        &mut self,
        label: &str,
        scalar: &Secret,
        public: &PublicKey,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError> {
        self.take_key(label, scalar, public, policy)
    }

    fn attest(&mut self, id: &[u8]) -> Result<Attestation, TokenError> {
        self.attest_key(id)
    }

    fn delete(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        self.destroy_key(key)
    }
}

#[cfg(test)]
mod tests;
