//! Making a card ready: PIN, PUK and management key of its own instead of those that every new card has.
//!
//! Nothing is destroyed: what somebody has set stays as it is, and so do all keys. Each step leaves a card that can be
//! made ready by doing the same again.

use yubikey::piv::{ManagementSlotId, SlotId, metadata};
use yubikey::{Error, MgmAlgorithmId, MgmKey, ObjectId, Version, YubiKey};
use zeroize::Zeroizing;

use super::PivToken;
use super::slot::tells;
use crate::token::quiet::Quiet;
use crate::token::{Credential, Secret, TokenError};

const READY: &str = "be made ready";
/// What every new card has.
const FACTORY_PIN: [u8; 6] = *b"123456";
const FACTORY_PUK: [u8; 8] = *b"12345678";
/// How long PIN and PUK are, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 6..=8;
/// From here on a new card's management key is for AES-192; before, for 3DES. Both have as many bytes.
const AES: Version = Version { major: 5, minor: 7, patch: 0 };
const KEY: usize = 24;
/// "Printed information", which is read with the PIN alone. Yubico's programs keep a management key there.
const PRINTED: ObjectId = 0x005f_c109;
/// Theirs begins with this tag, and the key in it has the other.
const PROTECTED: u8 = 0x88;
const PROTECTED_KEY: u8 = 0x89;

impl PivToken {
    /// Looks what still is as the factory sets it.
    pub(super) fn look_for_factory_values(&mut self) -> Result<(), TokenError> {
        self.factory = self.with_card("tell what was set on it", factory_values)?;
        Ok(())
    }

    /// Whether a key that matters may be made on it: somebody is logged in, and nobody else can open or change it.
    pub(super) fn wants_to_be_ready(&mut self) -> Result<(), TokenError> {
        self.wants_login()?;
        self.look_for_factory_values()?;
        match self.factory.as_deref() {
            None | Some([]) => Ok(()),
            Some(which) => Err(TokenError::FactoryValues { which: which.to_vec() }),
        }
    }

    /// Replaces what still is as the factory sets it. `pin` is the new one, or the one that the card has.
    pub(super) fn make_ready(&mut self, puk: Option<&Secret>, pin: &Secret) -> Result<(), TokenError> {
        let Some(factory) = self.factory.clone() else {
            let what =
                format!("{READY} safely: its firmware is {}, and 5.3 is the first that can", self.version);
            return Err(TokenError::NotSupported { what });
        };
        if factory.is_empty() {
            return Err(TokenError::AlreadyInitialised);
        }
        let new_puk = wanted(&factory, puk)?;
        let new_pin = factory.contains(&Credential::Pin);
        if new_pin {
            fits("PIN", pin)?;
        }
        if let Some(puk) = new_puk {
            fits("PUK", puk)?;
            if puk.expose() == pin.expose() {
                return Err(unfit("PIN and PUK are the same"));
            }
        }
        let mut known = FACTORY_PIN;
        match Secret::take(&mut known).filter(|_| new_pin) {
            Some(known) => self.present(&known, &[])?,
            None => self.present(pin, &[])?,
        }
        if factory.contains(&Credential::ManagementKey) {
            self.set_management_key()?;
        }
        let _quiet = Quiet::start();
        if let Some(puk) = new_puk {
            let set = self.card()?.change_puk(&FACTORY_PUK, puk.expose());
            set.map_err(|error| self.not_taken(error))?;
        }
        if new_pin {
            let set = self.card()?.change_pin(&FACTORY_PIN, pin.expose());
            set.map_err(|error| self.not_taken(error))?;
        }
        Ok(())
    }

    /// A random management key, kept behind the PIN, where Yubico's programs look for it. It is there before it is the
    /// card's: a card that is pulled out in between has the factory's still.
    fn set_management_key(&mut self) -> Result<(), TokenError> {
        self.authenticate()?;
        let algorithm = if self.version < AES { MgmAlgorithmId::ThreeDes } else { MgmAlgorithmId::Aes192 };
        let mut bytes = Zeroizing::new([0; KEY]);
        let failed = |code: String| TokenError::Failed { call: READY.to_owned(), code };
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| failed(error.to_string()))?;
        let _quiet = Quiet::start();
        let card = self.card()?;
        match card.fetch_object(PRINTED) {
            Ok(object) if !matches!(object.first(), None | Some(&PROTECTED)) => {
                let what = "keep a management key: what goes there is taken (object 5FC109)";
                return Err(TokenError::NotSupported { what: what.to_owned() });
            }
            Ok(_) | Err(Error::NotFound) => {}
            Err(error) => return Err(self.gone(READY, error)),
        }
        let kept = set_and_keep(card, algorithm, &bytes);
        kept.map_err(|error| self.gone(READY, error))
    }

    fn not_taken(&mut self, error: Error) -> TokenError {
        match error {
            // Some firmware has rules of its own, and says no more than that.
            Error::GenericError => unfit("its firmware wants another one, perhaps less simple"),
            error => self.gone(READY, error),
        }
    }
}

fn set_and_keep(card: &mut YubiKey, algorithm: MgmAlgorithmId, bytes: &[u8; KEY]) -> yubikey::Result<()> {
    let key = MgmKey::from_bytes(bytes, Some(algorithm))?;
    let mut object = Zeroizing::new([0; KEY + 4]);
    let [outer, outer_length, inner, inner_length, value @ ..] = &mut *object;
    (*outer, *outer_length, *inner, *inner_length) = (PROTECTED, 26, PROTECTED_KEY, 24);
    value.copy_from_slice(bytes);
    card.save_object(PRINTED, object.as_mut_slice())?;
    if card.fetch_object(PRINTED)?.as_slice() != object.as_slice() {
        return Err(Error::InvalidObject);
    }
    key.set_protected(card)?;
    let kept = MgmKey::get_protected(card)?;
    card.authenticate(&kept)
}

/// Asks without a PIN, and costs no try.
fn factory_values(card: &mut YubiKey) -> yubikey::Result<Option<Vec<Credential>>> {
    if !tells(card.version()) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for (slot, credential) in [
        (ManagementSlotId::Pin, Credential::Pin),
        (ManagementSlotId::Puk, Credential::Puk),
        (ManagementSlotId::Management, Credential::ManagementKey),
    ] {
        match metadata(card, SlotId::Management(slot)) {
            Ok(told) if told.default == Some(true) => found.push(credential),
            // One without a PUK; a management key of a kind that came after the crate.
            Ok(_) | Err(Error::NotFound | Error::AlgorithmError) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

/// The new PUK, where one is wanted.
fn wanted<'a>(factory: &[Credential], puk: Option<&'a Secret>) -> Result<Option<&'a Secret>, TokenError> {
    if !factory.contains(&Credential::Puk) {
        return Ok(None);
    }
    puk.map(Some).ok_or_else(|| unfit("a PUK is wanted too"))
}

/// Whether it may be a PIN or PUK: as PIV has them, of characters that every keyboard has, and no factory's.
fn fits(what: &str, secret: &Secret) -> Result<(), TokenError> {
    let bytes = secret.expose();
    if !LENGTH.contains(&bytes.len()) {
        return Err(unfit(&format!("a {what} has {} to {} characters", LENGTH.start(), LENGTH.end())));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(unfit(&format!("a {what} is of digits, letters and signs of ASCII")));
    }
    if bytes == FACTORY_PIN || bytes == FACTORY_PUK {
        return Err(unfit(&format!("this {what} is the factory's, which everybody knows")));
    }
    Ok(())
}

fn unfit(why: &str) -> TokenError {
    TokenError::PinUnfit { why: why.to_owned() }
}
