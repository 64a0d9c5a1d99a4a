//! Tokens: where root keys live and how the vault is opened.
//!
//! Every token has a helper process of its own (`touchmarkd token-helper`). Outside, in the daemon, there is a
//! [`TokenHandle`]: asynchronous, a bounded queue, a deadline for each job. Inside, one thread owns the PKCS#11
//! module, or the YubiKey, behind the traits of this file. Between them go length-prefixed messages over the helper's stdin and
//! stdout (`frame`, `message`). A module that hangs or crashes takes its helper with it and nothing else.
//!
//! This room knows no policy, no ledger and no store. What may be signed has been decided before a digest
//! arrives here, and the caller verifies what comes back.

mod config;
mod der;
#[cfg(feature = "doors")]
pub mod doors;
mod error;
#[cfg(any(test, feature = "fake-token"))]
pub mod fake;
mod frame;
mod handle;
pub mod helper;
mod hex;
mod key;
mod message;
#[cfg(feature = "yubikey")]
mod piv;
mod pkcs11;
mod provider;
mod quiet;
mod secret;
mod state;
mod trial;

pub use config::{Limits, TokenConfig, TokenKind};
pub use error::TokenError;
pub use handle::{HelperProgram, OnOrphan, Orphan, TokenHandle};
pub use key::{
    Attestation, KeyPolicy, KeyRef, MadeWhere, PinPolicy, TokenBox, TokenKey, TouchPolicy, UnwrapMethod,
    Usage,
};
pub use secret::Secret;
pub use state::{Credential, PinState, Presence, TokenInfo, TokenState};

use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};

/// What finds and prepares tokens of one kind. Lives in the helper; blocking.
pub trait TokenProvider {
    /// Opens the one token that `which` describes. A token that has come back since the last try is seen.
    ///
    /// # Errors
    /// [`TokenError::NotPresent`], [`TokenError::Mismatch`] where another or more than one token answers to the
    /// description, [`TokenError::ModuleUnusable`] or [`TokenError::Failed`].
    fn open(&self, which: &TokenKind) -> Result<Box<dyn Provision>, TokenError>;

    /// Makes an empty token ready: label of `which`, security officer's PIN, user PIN. No token may be open. Of a YubiKey
    /// it replaces what is still as the factory sets it, and needs no PUK (`so_pin`) where the PUK is not; where the PIN
    /// is not, `pin` is the one that it has.
    ///
    /// # Errors
    /// [`TokenError::AlreadyInitialised`] where a token answers to that label, or nothing is the factory's any more
    /// (nothing is ever wiped), [`TokenError::NotPresent`] where there is no empty token, [`TokenError::Mismatch`] where
    /// there are several, [`TokenError::PinUnfit`] or [`TokenError::Failed`].
    fn init_token(&self, which: &TokenKind, so_pin: Option<&Secret>, pin: &Secret) -> Result<(), TokenError>;
}

/// One open token, owned by the helper's one thread; blocking.
pub trait Token {
    /// Who this is.
    fn info(&self) -> &TokenInfo;

    /// What the token said about its user PIN when it was last asked.
    fn pin_state(&self) -> PinState;

    /// Wrong PINs that it still forgives, where it says so.
    fn tries_left(&self) -> Option<u32> {
        self.pin_state().tries_left()
    }

    /// Whether private keys can be used now.
    fn logged_in(&self) -> bool;

    /// What still is as the factory sets it, where the token says so.
    fn factory(&self) -> Option<Vec<Credential>> {
        None
    }

    /// Its usable keys. Before a login a token shows what it calls public.
    ///
    /// # Errors
    /// [`TokenError`]; see its variants.
    fn keys(&mut self) -> Result<Vec<TokenKey>, TokenError>;

    /// What one of its keys asks of a person, where the token says so.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], and all that concerns the token.
    fn policy(&mut self, _: &KeyRef) -> Result<Option<KeyPolicy>, TokenError> {
        Ok(None)
    }

    /// Presents the user PIN to the token, exactly once, even where somebody is logged in already. `enrolled`: the keys
    /// that the daemon knows to be on it. A token that shows its keys without a PIN and has none of them gets none.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], [`TokenError::PinLocked`], [`TokenError::PinNotSet`]; a refused PIN is forgotten.
    /// [`TokenError::Mismatch`] before the PIN is sent.
    fn login(&mut self, pin: &Secret, enrolled: &[KeyRef]) -> Result<(), TokenError>;

    /// Ends the login and forgets the PIN.
    fn logout(&mut self);

    /// Signs a SHA-256 digest with ECDSA P-256.
    ///
    /// # Errors
    /// [`TokenError::NotLoggedIn`], [`TokenError::KeyNotFound`], and all that concerns the token.
    fn sign(&mut self, key: &KeyRef, digest: &Sha256Digest) -> Result<EcdsaSignature, TokenError>;

    /// Opens a box: the shared x coordinate (32 bytes) of ECDH, or the plaintext of RSA-OAEP.
    ///
    /// # Errors
    /// As [`Token::sign`]; a box made for another key is [`TokenError::BoxRefused`].
    fn unwrap(&mut self, key: &KeyRef, boxed: &TokenBox) -> Result<Secret, TokenError>;

    /// Whether this very token still answers. Costs no PIN try and ends no login.
    fn is_alive(&mut self) -> bool;
}

/// What only ceremonies do.
pub trait Provision: Token {
    /// Makes a P-256 key that signs and never leaves the token.
    ///
    /// # Errors
    /// [`TokenError::NotSupported`] where the token cannot, or would make a key that can leave it, or has no such policy.
    fn generate_root(&mut self, label: &str, policy: KeyPolicy) -> Result<TokenKey, TokenError>;

    /// Makes a key that opens boxes, of the first method that this token proves to be able to do. One that was made on
    /// it before, in the one place that it has for such keys, is as good.
    ///
    /// # Errors
    /// [`TokenError::NotSupported`] where it can do neither.
    fn generate_unwrap(&mut self) -> Result<TokenKey, TokenError>;

    /// Puts an existing P-256 private key (`scalar`: 32 bytes) onto the token.
    ///
    /// # Errors
    /// [`TokenError::NotSupported`] where the token takes no keys from outside.
    fn import(
        &mut self,
        label: &str,
        scalar: &Secret,
        public: &PublicKey,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError>;

    /// What the token itself says about the key with this id ([`KeyRef::id`]). Asks for no PIN.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], [`TokenError::NotSupported`].
    fn attest(&mut self, _id: &[u8]) -> Result<Attestation, TokenError> {
        Err(TokenError::NotSupported { what: "attest its keys".to_owned() })
    }

    /// Removes both halves of a key.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], [`TokenError::NotLoggedIn`].
    fn delete(&mut self, key: &KeyRef) -> Result<(), TokenError>;
}
