//! Signing and agreeing on secrets, and what a refusal of those means.

use std::time::{Duration, Instant};

use touchmark_tuf::{EcdsaSignature, Sha256Digest};
use yubikey::piv::{AlgorithmId, SlotId, decrypt_data, sign_data};
use yubikey::{Buffer, Error, YubiKey};

use super::PivToken;
use super::fault::{is_lost, refused};
use super::login::Login;
use super::slot::{Content, Slot};
use crate::token::quiet::Quiet;
use crate::token::{KeyRef, PinPolicy, Secret, TokenBox, TokenError, TouchPolicy};

const SIGN: &str = "sign";
const AGREE: &str = "agree on a secret";
/// A card that waits for a finger holds its answer back for longer than this, and one that wants a PIN does not.
const WAITED: Duration = Duration::from_secs(3);

impl PivToken {
    /// Signs by the key, which must be the enrolled one. The daemon verifies what comes back.
    pub(super) fn sign_digest(
        &mut self,
        key: &KeyRef,
        digest: &Sha256Digest,
    ) -> Result<EcdsaSignature, TokenError> {
        let content = self.content(key)?;
        let sign = |card: &mut YubiKey, slot| sign_data(card, digest.as_bytes(), AlgorithmId::EccP256, slot);
        let made = self.by_key(&content, SIGN, sign)?;
        EcdsaSignature::from_der(&made).map_err(|_| TokenError::WrongSignature)
    }

    /// Opens a box made for `key`.
    pub(super) fn open_box(&mut self, key: &KeyRef, boxed: &TokenBox) -> Result<Secret, TokenError> {
        let TokenBox::Ecdh { peer } = boxed else {
            return Err(TokenError::NotSupported {
                what: "open RSA-OAEP: its vault key is on P-256".to_owned(),
            });
        };
        let content = self.content(key)?;
        let _quiet = Quiet::start();
        let agree = |card: &mut YubiKey, slot| decrypt_data(card, peer, AlgorithmId::EccP256, slot);
        let mut opened = match self.by_key(&content, AGREE, agree) {
            // A point that is not on the curve; a card that is gone says so in another way.
            Err(TokenError::Failed { code, .. }) => return Err(TokenError::BoxRefused { code }),
            opened => opened?,
        };
        if opened.len() != 32 {
            return Err(TokenError::BoxRefused { code: format!("{} bytes", opened.len()) });
        }
        Secret::take(&mut opened).ok_or(TokenError::BoxRefused { code: "too long".to_owned() })
    }

    /// What is in the slot of `key`, if it is that key.
    pub(super) fn content(&mut self, key: &KeyRef) -> Result<Content, TokenError> {
        let slot = Slot::of_id(&key.id).ok_or(TokenError::KeyNotFound)?;
        let content = match self.seen.get(&slot) {
            Some(content) => content.clone(),
            None => {
                let found = self.with_card("show its keys", |card| slot.read(card))?;
                let content = found.ok_or(TokenError::KeyNotFound)?;
                self.seen.insert(slot, content.clone());
                content
            }
        };
        Some(content).filter(|content| content.public == key.public).ok_or(TokenError::KeyNotFound)
    }

    /// Uses a private key, once; a second time only where the connection was lost and no PIN is wanted.
    fn by_key(
        &mut self,
        content: &Content,
        call: &str,
        work: impl Fn(&mut YubiKey, SlotId) -> yubikey::Result<Buffer>,
    ) -> Result<Buffer, TokenError> {
        let pin = content.policy.map(|policy| policy.pin);
        let wants_pin = pin != Some(PinPolicy::Never);
        let spent = pin == Some(PinPolicy::Always) && self.login == Login::Spent;
        if wants_pin && (self.login == Login::Out || spent) {
            return Err(TokenError::NotLoggedIn);
        }
        let (slot, since) = (content.slot.piv(), Instant::now());
        let mut answer = work(self.card()?, slot);
        if answer.as_ref().is_err_and(is_lost) {
            // The PIN that it accepted is not kept.
            self.reopen()?;
            if wants_pin {
                return Err(TokenError::NotLoggedIn);
            }
            answer = work(self.card()?, slot);
        }
        // Whichever key it was: "right before each use" is over.
        if self.login == Login::In {
            self.login = Login::Spent;
        }
        match answer {
            Ok(done) => Ok(done),
            Err(Error::AuthenticationError) => Err(self.why_not(content, call, since.elapsed())),
            // What the card says of an empty slot is what it says of much else.
            Err(error @ Error::GenericError) => {
                let slot = content.slot;
                if !self.look() {
                    return Err(TokenError::NotPresent);
                }
                if wants_pin && self.login == Login::Out {
                    // It may have been another application of the card that does not know the command.
                    return Err(TokenError::NotLoggedIn);
                }
                self.seen.remove(&slot);
                let found = self.with_card("show its keys", |card| slot.read(card))?;
                let same = found.is_some_and(|found| found.public == content.public);
                Err(if same { refused(call, error) } else { TokenError::KeyNotFound })
            }
            Err(error) => Err(refused(call, error)),
        }
    }

    /// The card says the same where it wants a PIN and where it waited for a finger in vain.
    fn why_not(&mut self, content: &Content, call: &str, took: Duration) -> TokenError {
        let before = self.login;
        if !self.look() {
            self.forget();
            return TokenError::NotPresent;
        }
        let logged_out = before != Login::Out && self.login == Login::Out;
        judge(content, Seen { logged_out, took }).unwrap_or_else(|| refused(call, Error::AuthenticationError))
    }
}

/// What is known of a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The card says that its login is over.
    pub(super) logged_out: bool,
    /// How long it took to refuse.
    pub(super) took: Duration,
}

/// What was missing when the card refused for want of authentication; `None`: nothing that is known.
pub(super) fn judge(content: &Content, seen: Seen) -> Option<TokenError> {
    let pin = content.policy.map(|policy| policy.pin);
    let touch = content.policy.map(|policy| policy.touch);
    let untouched = || (touch != Some(TouchPolicy::Never)).then_some(TokenError::NotTouched);
    let waited = || untouched().filter(|_| seen.took >= WAITED);
    match pin {
        Some(PinPolicy::Never) => untouched(),
        Some(PinPolicy::Once) if seen.logged_out => Some(TokenError::NotLoggedIn),
        Some(PinPolicy::Once) => untouched(),
        Some(PinPolicy::Always) | None => waited().or(Some(TokenError::NotLoggedIn)),
    }
}
