//! What only a YubiKey goes through. Each ends in the right state, and with the right number of PINs at the card.

mod itself;
mod lost;
mod person;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm_tests::cli::shipped;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, Firmware};
use hsm_tests::softhsm::PIN;
use touchmark_tuf::{EcdsaSignature, Sha256Digest, verify_p256};
use touchmarkd::token::{
    HelperProgram, Limits, Presence, TokenConfig, TokenError, TokenHandle, TokenKey, TokenKind, TokenState,
};
use touchmarkd::vault::{Locked, SecretBuf};

use crate::bench::{locked, secret, until};
use crate::yubikey::{SERIAL, card};

const PATIENCE: Duration = Duration::from_secs(30);
/// How often an idle card is looked at.
const OFTEN: Duration = Duration::from_millis(100);
/// The instructions that are counted.
const VERIFY: u8 = 0x20;
const SELECT: u8 = 0xa4;
/// GET DATA: certificates, and what is behind the PIN.
const READ: u8 = 0xcb;
/// GENERAL AUTHENTICATE: the use of a key.
const USE: u8 = 0x87;

/// A card in the first reader, and the daemon's side of it.
struct At {
    pcscd: Pcscd,
    locked: Arc<Locked>,
    token: TokenHandle,
}

impl At {
    async fn present() -> Self {
        Self::with(Firmware::V5_7).await
    }

    async fn with(firmware: Firmware) -> Self {
        let at = Self::on(Pcscd::with_card(NOBODYS, card(firmware, SERIAL)));
        at.until(|state| state.presence == Presence::Present).await;
        at
    }

    /// Whatever is in its readers.
    fn on(pcscd: Pcscd) -> Self {
        Self::run_by(pcscd, HelperProgram::touchmarkd(shipped("touchmarkd")))
    }

    fn run_by(pcscd: Pcscd, helper: HelperProgram) -> Self {
        let locked = locked();
        let limits = Limits { probe: OFTEN, ..Limits::default() };
        let token = token(pcscd.environment(), &locked, helper, limits);
        Self { pcscd, locked, token }
    }

    /// Whatever is in its readers, looked at by itself as rarely as that.
    fn looked_at_every(pcscd: Pcscd, probe: Duration) -> Self {
        Self::within(pcscd, Limits { probe, ..Limits::default() })
    }

    fn within(pcscd: Pcscd, limits: Limits) -> Self {
        let (locked, helper) = (locked(), HelperProgram::touchmarkd(shipped("touchmarkd")));
        let token = token(pcscd.environment(), &locked, helper, limits);
        Self { pcscd, locked, token }
    }

    /// With a root key, logged in.
    async fn with_key() -> (Self, TokenKey) {
        let at = Self::present().await;
        at.login().await.unwrap();
        let key = at.token.generate_root("root").await.unwrap();
        at.signs(&key).await;
        (at, key)
    }

    fn controls(&self) -> Controls {
        self.pcscd.reader().controls()
    }

    fn secret(&self, text: &str) -> SecretBuf {
        secret(&self.locked, text.as_bytes())
    }

    async fn login(&self) -> Result<(), TokenError> {
        self.token.login(&self.secret(PIN)).await
    }

    async fn sign(&self, key: &TokenKey) -> Result<EcdsaSignature, TokenError> {
        self.token.sign(&key.key_ref(), Sha256Digest::of(b"x")).await
    }

    async fn signs(&self, key: &TokenKey) {
        let signature = self.sign(key).await.unwrap();
        assert!(verify_p256(&key.public.p256_point().unwrap(), b"x", &signature));
    }

    async fn until(&self, wanted: impl FnMut(&TokenState) -> bool) -> TokenState {
        until(&self.token, PATIENCE, wanted).await
    }

    /// Present again, logged out, and after one PIN as good as before. The time that took since.
    async fn recovers(&self, key: &TokenKey, since: Instant) -> u128 {
        self.until(|state| state.presence == Presence::Present && !state.logged_in).await;
        let took = since.elapsed().as_millis();
        self.controls().forget();
        assert_eq!(self.sign(key).await.unwrap_err(), TokenError::NotLoggedIn);
        self.login().await.unwrap();
        self.signs(key).await;
        assert_eq!(self.controls().pins_sent(), 1);
        assert_eq!(self.pcscd.reader().look(|card| card.pin_tries()), 3);
        took
    }
}

fn token(
    env: BTreeMap<String, String>,
    locked: &Arc<Locked>,
    helper: HelperProgram,
    limits: Limits,
) -> TokenHandle {
    yubikey(SERIAL, env, locked, helper, limits)
}

fn yubikey(
    serial: u32,
    env: BTreeMap<String, String>,
    locked: &Arc<Locked>,
    helper: HelperProgram,
    limits: Limits,
) -> TokenHandle {
    let config = TokenConfig { name: "5c".to_owned(), kind: TokenKind::Yubikey { serial }, env };
    TokenHandle::start(config, Arc::clone(locked), helper, limits)
}

fn says(state: &TokenState, words: &str) -> bool {
    matches!(&state.presence, Presence::Failed(why) if why.contains(words))
}
