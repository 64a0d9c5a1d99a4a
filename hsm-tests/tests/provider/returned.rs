//! Every return value that a module may surprise with, from SoftHSM through a module that obeys orders: what the token
//! room makes of it, and how many PIN tries that costs.

use std::sync::Arc;
use std::time::Duration;

use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::place::Place;
use hsm_tests::softhsm::{PIN, SoftHsm};
use touchmark_tuf::{EcdsaSignature, Sha256Digest, verify_p256};
use touchmarkd::token::{
    HelperProgram, KeyRef, Limits, PinState, Presence, TokenBox, TokenConfig, TokenError, TokenHandle,
    TokenKind,
};
use touchmarkd::vault::Locked;

use crate::bench::{LABEL, locked, secret, until};

const PATIENCE: Duration = Duration::from_secs(30);

struct Shim {
    place: Place,
    locked: Arc<Locked>,
    token: TokenHandle,
    key: KeyRef,
    _hsm: SoftHsm,
}

impl Shim {
    /// A token with one root key, logged in, nothing ordered yet.
    async fn logged_in() -> Self {
        let (place, hsm, locked) = (Place::new(), SoftHsm::with_token(LABEL), locked());
        let module = place.join("libshim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/shim.c");
        let compiler = Cli::new(tool("cc")).args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]);
        compiler.arg(&module).arg(source).arg("-ldl").ok();
        let mut env = hsm.environment();
        env.insert("SHIM_MODULE".to_owned(), SoftHsm::module().display().to_string());
        env.insert("SHIM_ORDERS".to_owned(), place.join("orders").display().to_string());
        env.insert("SHIM_LOG".to_owned(), place.join("log").display().to_string());
        let kind = TokenKind::Pkcs11 { module, label: LABEL.to_owned(), serial: None };
        let config = TokenConfig { name: "shim".to_owned(), kind, env };
        let limits = Limits { probe: Duration::from_millis(100), ..Limits::default() };
        let helper = HelperProgram::touchmarkd(shipped("touchmarkd"));
        let token = TokenHandle::start(config, Arc::clone(&locked), helper, limits);
        token.login(&secret(&locked, PIN.as_bytes())).await.unwrap();
        let key = token.generate_root("root").await.unwrap().key_ref();
        token.sign(&key, Sha256Digest::of(b"x")).await.unwrap();
        Self { place, locked, token, key, _hsm: hsm }
    }

    fn order(&self, orders: &str) {
        std::fs::write(self.place.join("orders"), orders).unwrap();
    }

    async fn login(&self) -> Result<(), TokenError> {
        self.token.login(&secret(&self.locked, PIN.as_bytes())).await
    }

    async fn sign(&self) -> Result<EcdsaSignature, TokenError> {
        self.token.sign(&self.key, Sha256Digest::of(b"x")).await
    }

    /// Signs, and says how many logins that took.
    async fn sign_counting(&self) -> (Result<EcdsaSignature, TokenError>, usize) {
        let before = self.logins();
        let signed = self.sign().await;
        (signed, self.logins() - before)
    }

    fn logins(&self) -> usize {
        self.count("C_Login")
    }

    fn count(&self, call: &str) -> usize {
        let log = std::fs::read_to_string(self.place.join("log")).unwrap();
        log.lines().filter(|line| *line == call).count()
    }

    fn verifies(&self, signature: &EcdsaSignature) -> bool {
        verify_p256(&self.key.public.p256_point().unwrap(), b"x", signature)
    }
}

#[tokio::test]
async fn a_lost_session_costs_one_login_and_no_signature() {
    let shim = Shim::logged_in().await;
    // SESSION_HANDLE_INVALID, SESSION_CLOSED, OPERATION_ACTIVE.
    for order in ["C_Sign b3 once", "C_Sign b0 once", "C_SignInit 90 once", "C_SignInit b3 once"] {
        shim.order(order);
        let (signed, logins) = shim.sign_counting().await;
        assert!(shim.verifies(&signed.unwrap()), "{order}");
        assert_eq!(logins, 1, "{order}");
    }
}

#[tokio::test]
async fn a_dead_handle_is_found_again_without_a_login() {
    let shim = Shim::logged_in().await;
    // KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID.
    for order in ["C_SignInit 60 once", "C_SignInit 82 once"] {
        shim.order(order);
        let looked = shim.count("C_GetAttributeValue");
        let (signed, logins) = shim.sign_counting().await;
        assert!(shim.verifies(&signed.unwrap()), "{order}");
        assert_eq!(logins, 0, "{order}");
        assert!(shim.count("C_GetAttributeValue") > looked, "{order}: its public key was not compared again");
    }
    shim.order("C_SignInit 60 always");
    assert_eq!(shim.sign().await.unwrap_err(), TokenError::KeyNotFound);
}

#[tokio::test]
async fn a_lost_login_is_renewed_once() {
    let shim = Shim::logged_in().await;
    shim.order("C_SignInit 101 once");
    let (signed, logins) = shim.sign_counting().await;
    assert!(shim.verifies(&signed.unwrap()));
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn a_login_that_fails_while_mending_is_never_tried_again() {
    let shim = Shim::logged_in().await;
    shim.order("C_Sign b3 once\nC_Login a0 always");

    let (refused, logins) = shim.sign_counting().await;
    assert!(matches!(refused, Err(TokenError::WrongPin { .. })), "{refused:?}");
    assert_eq!(logins, 1);
    assert!(!shim.token.state().logged_in);

    for _ in 0..20 {
        let (refused, logins) = shim.sign_counting().await;
        assert_eq!((refused, logins), (Err(TokenError::NotLoggedIn), 0));
    }
}

#[tokio::test]
async fn a_refused_pin_is_one_try() {
    let shim = Shim::logged_in().await;
    // PIN_INCORRECT, PIN_LEN_RANGE, PIN_INVALID.
    for order in ["C_Login a0 always", "C_Login a2 always", "C_Login a1 always"] {
        shim.order(order);
        let before = shim.logins();
        let refused = shim.login().await;
        assert!(matches!(refused, Err(TokenError::WrongPin { .. })), "{order}: {refused:?}");
        assert_eq!(shim.logins() - before, 1, "{order}");
    }
    shim.order("C_Login a4 always");
    assert_eq!(shim.login().await.unwrap_err(), TokenError::PinLocked);
    shim.order("C_Login 102 always");
    assert_eq!(shim.login().await.unwrap_err(), TokenError::PinNotSet);
}

#[tokio::test]
async fn already_logged_in_is_no_proof_of_a_pin() {
    let shim = Shim::logged_in().await;
    // The token does not look at the PIN then: it is asked once more, and no try is gone.
    shim.order("C_Login 100 once");
    let wrong = shim.token.login(&secret(&shim.locked, b"000000")).await;
    assert!(matches!(wrong, Err(TokenError::WrongPin { .. })), "{wrong:?}");
    assert_eq!(shim.token.state().pin, PinState::Low);
    shim.order("C_Login 100 once");
    shim.login().await.unwrap();
}

#[tokio::test]
async fn a_removed_token_is_absent_until_it_answers_again() {
    let shim = Shim::logged_in().await;
    // DEVICE_REMOVED, TOKEN_NOT_PRESENT; CRYPTOKI_NOT_INITIALIZED as after a fork.
    for order in ["C_Sign 32 once", "C_SignInit e0 once", "C_SignInit 190 once"] {
        shim.order(order);
        assert_eq!(shim.sign().await.unwrap_err(), TokenError::NotPresent, "{order}");
        until(&shim.token, PATIENCE, |state| state.presence == Presence::Present).await;
        assert_eq!(shim.sign().await.unwrap_err(), TokenError::NotLoggedIn, "{order}");
        shim.login().await.unwrap();
        assert!(shim.verifies(&shim.sign().await.unwrap()), "{order}");
    }
}

#[tokio::test]
async fn a_failing_device_says_how_and_wastes_no_pin() {
    let shim = Shim::logged_in().await;
    // "after": the token did sign, and the signature is destroyed.
    for (order, code) in [("C_Sign 30 once", "CKR_DEVICE_ERROR"), ("C_Sign 5 after", "CKR_GENERAL_ERROR")] {
        shim.order(order);
        let (refused, logins) = shim.sign_counting().await;
        let expected = TokenError::Failed { call: "C_Sign".to_owned(), code: code.to_owned() };
        assert_eq!((refused, logins), (Err(expected), 0), "{order}");
        shim.order("");
        until(&shim.token, PATIENCE, |state| state.presence == Presence::Present).await;
        shim.login().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_without_room_is_emptied_once() {
    let shim = Shim::logged_in().await;
    shim.order("C_SignInit 5 once");
    let (signed, logins) = shim.sign_counting().await;
    assert!(shim.verifies(&signed.unwrap()));
    assert_eq!(logins, 1);
    shim.order("C_SignInit 5 always");
    let (refused, logins) = shim.sign_counting().await;
    assert!(matches!(refused, Err(TokenError::Failed { .. })), "{refused:?}");
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn a_secret_that_the_token_will_not_show_is_a_refusal() {
    let shim = Shim::logged_in().await;
    let (key, _) = shim.token.generate_unwrap().await.unwrap();
    let peer = shim.key.public.p256_point().unwrap();
    shim.token.unwrap(&key.key_ref(), &TokenBox::Ecdh { peer }).await.unwrap();
    // ATTRIBUTE_SENSITIVE: `cryptoki` answers with an empty list.
    shim.order("C_GetAttributeValue 11 always");
    let refused = shim.token.unwrap(&key.key_ref(), &TokenBox::Ecdh { peer }).await;
    assert!(matches!(refused, Err(TokenError::NotSupported { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_key_that_could_leave_the_token_does_not_stay() {
    let shim = Shim::logged_in().await;
    // CKA_SENSITIVE, CKA_EXTRACTABLE.
    for order in ["C_GetAttributeValue 103 flip", "C_GetAttributeValue 162 flip"] {
        shim.order(order);
        let refused = shim.token.generate_root("leaves").await;
        assert!(matches!(refused, Err(TokenError::NotSupported { .. })), "{order}: {refused:?}");
    }
    shim.order("");
    assert_eq!(shim.token.keys().await.unwrap().len(), 1);
}
