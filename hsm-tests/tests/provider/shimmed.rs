//! A SoftHSM token behind the shim, with a key that signs, one that must not, and one that opens boxes.

use std::sync::Arc;
use std::time::Duration;

use hsm_tests::cli::shipped;
use hsm_tests::shim::Shim;
use hsm_tests::softhsm::{PIN, SoftHsm};
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest, verify_p256};
use touchmarkd::token::{HelperProgram, KeyRef, Limits, TokenConfig, TokenError, TokenHandle, TokenKind};
use touchmarkd::vault::{Locked, SecretBuf};

use crate::bench::{LABEL, locked, secret};

pub(crate) struct Shimmed {
    pub(crate) shim: Shim,
    pub(crate) hsm: SoftHsm,
    pub(crate) locked: Arc<Locked>,
    pub(crate) token: TokenHandle,
    pub(crate) key: KeyRef,
}

impl Shimmed {
    /// A token with one root key, logged in, nothing ordered yet, looked at ten times a second.
    pub(crate) async fn logged_in() -> Self {
        Self::with(Limits { probe: Duration::from_millis(100), ..Limits::default() }).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::run_by(HelperProgram::touchmarkd(shipped("touchmarkd")), limits).await
    }

    /// The same with a helper that is started in another way.
    pub(crate) async fn run_by(helper: HelperProgram, limits: Limits) -> Self {
        let mut at = Self::without_key(SoftHsm::with_token(LABEL), helper, limits);
        at.login().await.unwrap();
        at.key = at.token.generate_root("root").await.unwrap().key_ref();
        at.sign().await.unwrap();
        at
    }

    /// One empty slot.
    pub(crate) fn empty() -> Self {
        let helper = HelperProgram::touchmarkd(shipped("touchmarkd"));
        Self::without_key(SoftHsm::empty(), helper, Limits::default())
    }

    fn without_key(hsm: SoftHsm, helper: HelperProgram, limits: Limits) -> Self {
        let (shim, locked) = (Shim::before(SoftHsm::module()), locked());
        let mut env = hsm.environment();
        env.extend(shim.environment());
        let kind = TokenKind::Pkcs11 { module: shim.module(), label: LABEL.to_owned(), serial: None };
        let config = TokenConfig { name: "shim".to_owned(), kind, env };
        let token = TokenHandle::start(config, Arc::clone(&locked), helper, limits);
        let key = KeyRef { id: Vec::new(), public: PublicKey::from_p256_point(&[4; 65]) };
        Self { shim, hsm, locked, token, key }
    }

    pub(crate) fn order(&self, orders: &str) {
        self.shim.order(orders);
    }

    pub(crate) fn secret(&self, text: &str) -> SecretBuf {
        secret(&self.locked, text.as_bytes())
    }

    pub(crate) async fn login(&self) -> Result<(), TokenError> {
        self.token.login(&self.secret(PIN)).await
    }

    pub(crate) async fn sign(&self) -> Result<EcdsaSignature, TokenError> {
        self.token.sign(&self.key, Sha256Digest::of(b"x")).await
    }

    /// Signs, and says how many logins that took.
    pub(crate) async fn sign_counting(&self) -> (Result<EcdsaSignature, TokenError>, usize) {
        let before = self.logins();
        let signed = self.sign().await;
        (signed, self.logins() - before)
    }

    pub(crate) fn logins(&self) -> usize {
        self.shim.count("C_Login")
    }

    pub(crate) fn verifies(&self, signature: &EcdsaSignature) -> bool {
        verify_p256(&self.key.public.p256_point().unwrap(), b"x", signature)
    }
}
