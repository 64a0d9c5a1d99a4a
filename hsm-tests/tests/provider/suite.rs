//! What every kind of token must do. Each function is one test, once for each kind.

use std::time::{Duration, Instant};

use hsm_tests::soak;
use hsm_tests::softhsm::{PIN, SO_PIN};
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest, verify_p256};
use touchmarkd::token::{
    KeyRef, PinState, Presence, TokenBox, TokenError, TokenHandle, TokenKey, UnwrapMethod, Usage,
};

use crate::bench::{Bench, LABEL, Removable, Rig, secret, until};
use crate::judge::{openssl_agrees, openssl_seals, openssl_verifies};

/// How long a loaded machine may take to notice; not how long a token may be gone.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn a_new_token_signs_and_foreign_judges_agree<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root of the tests").await.unwrap();

    let signature = sign(&bench.token, &key, b"a document").await;

    assert_eq!(key.usage, Usage::Sign);
    assert!(verifies(&key, b"a document", &signature));
    assert!(openssl_verifies(&key.public, b"a document", &signature));
    assert!(!openssl_verifies(&key.public, b"another document", &signature));
    assert_eq!(key.label, "root of the tests");
    // A TPM without a resource manager serves one process at a time.
    bench.token.stop_helper().await;
    bench.rig.is_seen_from_outside(&key);
}

pub(crate) async fn two_keys_are_not_mixed_up<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    // The same label: only the ids differ.
    let first = bench.token.generate_root("root").await.unwrap();
    let second = bench.token.generate_root("root").await.unwrap();

    let mut listed = bench.token.keys().await.unwrap();

    listed.sort_by_key(|key| key.id != first.id);
    assert_eq!(listed, [first.clone(), second.clone()]);
    for (key, other) in [(&first, &second), (&second, &first)] {
        let signature = sign(&bench.token, key, b"whose?").await;
        assert!(verifies(key, b"whose?", &signature) && !verifies(other, b"whose?", &signature));
    }
    let swapped = KeyRef { id: first.id, public: second.public };
    let refused = bench.token.sign(&swapped, Sha256Digest::of(b"whose?")).await;
    assert_eq!(refused.unwrap_err(), TokenError::KeyNotFound);
}

pub(crate) async fn a_hundred_signatures_in_one_session<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();
    let helper = bench.token.helper_pid();

    for number in 0..100_u32 {
        let message = number.to_be_bytes();
        let signature = sign(&bench.token, &key, &message).await;
        assert!(verifies(&key, &message, &signature), "signature {number}");
    }
    assert_eq!(bench.token.helper_pid(), helper);
}

pub(crate) async fn a_wrong_pin_is_sent_once_and_ends_the_login<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();

    let refused = bench.token.login(&bench.secret("000000")).await;

    assert!(matches!(refused, Err(TokenError::WrongPin { .. })), "{refused:?}");
    let state = bench.token.state();
    assert!(!state.logged_in, "a wrong PIN must not pass for the right one");
    assert_eq!(state.pin == PinState::Low, R::SAYS_LOW, "{state:?}");
    let unsigned = bench.token.sign(&key.key_ref(), Sha256Digest::of(b"x")).await;
    assert_eq!(unsigned.unwrap_err(), TokenError::NotLoggedIn);

    bench.token.login(&bench.secret(PIN)).await.unwrap();
    assert_eq!(bench.token.state().pin, PinState::Ok);
    sign(&bench.token, &key, b"x").await;
}

pub(crate) async fn a_token_of_another_name_is_absent<R: Rig>() {
    let bench = Bench::<R>::initialised().await;
    let nobody = bench.another("nobody", None);

    assert_eq!(nobody.keys().await.unwrap_err(), TokenError::NotPresent);
    assert_eq!(nobody.login(&bench.secret(PIN)).await.unwrap_err(), TokenError::NotPresent);
    assert_eq!(nobody.state().presence, Presence::Absent);
}

pub(crate) async fn another_token_under_the_same_label_is_a_mismatch<R: Rig>() {
    let bench = Bench::<R>::initialised().await;
    let pinned = bench.another(LABEL, Some("1234"));

    let refused = pinned.login(&bench.secret(PIN)).await;

    assert!(matches!(refused, Err(TokenError::Mismatch { .. })), "{refused:?}");
    assert!(matches!(pinned.state().presence, Presence::Mismatch(_)));
    let enrolled = bench.token.state().info.unwrap();
    let right = bench.another(LABEL, Some(&enrolled.serial));
    right.login(&bench.secret(PIN)).await.unwrap();
}

pub(crate) async fn a_token_that_was_pulled_out_comes_back<R: Removable>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();
    sign(&bench.token, &key, b"before").await;

    bench.rig.pull_out();
    let gone = until(&bench.token, PATIENCE, |state| state.presence != Presence::Present).await;
    assert!(!gone.logged_in);
    assert!(gone.info.is_some(), "an absent token is still somebody");
    let unsigned = bench.token.sign(&key.key_ref(), Sha256Digest::of(b"while")).await;
    assert!(matches!(unsigned, Err(TokenError::NotPresent | TokenError::Failed { .. })), "{unsigned:?}");

    bench.rig.put_back();
    let back = Instant::now();
    until(&bench.token, PATIENCE, |state| state.presence == Presence::Present).await;
    soak::at_most("a token that was pulled out is back, ms", back.elapsed().as_millis(), 2000);
    // Whoever pulls a token out has locked it.
    let unsigned = bench.token.sign(&key.key_ref(), Sha256Digest::of(b"after")).await;
    assert_eq!(unsigned.unwrap_err(), TokenError::NotLoggedIn);
    bench.token.login(&bench.secret(PIN)).await.unwrap();
    let signature = sign(&bench.token, &key, b"after").await;
    assert!(verifies(&key, b"after", &signature));
}

pub(crate) async fn the_vault_key_opens_what_was_sealed_to_it<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    // A root key first: some tokens have no room for a second key before the login is renewed.
    let root = bench.token.generate_root("root").await.unwrap();
    let (key, method) = bench.token.generate_unwrap().await.unwrap();

    assert_eq!((method, key.usage), (R::METHOD, Usage::Unwrap(R::METHOD)));
    let (boxed, expected) = sealed_to(&key, method);
    for _ in 0..2 {
        let opened = bench.token.unwrap(&key.key_ref(), &boxed).await.unwrap();
        assert_eq!(opened.expose(), expected);
    }
    let signature = sign(&bench.token, &root, b"still").await;
    assert!(verifies(&root, b"still", &signature));
    // What was tried and could not do it left nothing behind.
    assert_eq!(bench.token.keys().await.unwrap().len(), 2);
    // And after a restart, with nothing remembered.
    bench.token.stop_helper().await;
    bench.token.login(&bench.secret(PIN)).await.unwrap();
    assert_eq!(bench.token.unwrap(&key.key_ref(), &boxed).await.unwrap().expose(), expected);
    let found = bench.token.keys().await.unwrap().into_iter().find(|found| found.id == key.id);
    assert_eq!(found, Some(key));
}

pub(crate) async fn a_box_for_another_key_is_refused_and_harms_nothing<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let (key, method) = bench.token.generate_unwrap().await.unwrap();
    let bad = match method {
        // Not on the curve.
        UnwrapMethod::Ecdh => TokenBox::Ecdh { peer: [4; 65] },
        UnwrapMethod::RsaOaep => TokenBox::RsaOaep { ciphertext: vec![7; 256] },
    };

    let refused = bench.token.unwrap(&key.key_ref(), &bad).await;

    assert!(matches!(refused, Err(TokenError::BoxRefused { .. })), "{refused:?}");
    assert!(bench.token.state().logged_in);
    let (boxed, expected) = sealed_to(&key, method);
    assert_eq!(bench.token.unwrap(&key.key_ref(), &boxed).await.unwrap().expose(), expected);
}

pub(crate) async fn a_killed_helper_is_replaced<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();
    let killed = bench.token.helper_pid().expect("a helper");

    kill(killed);
    until(&bench.token, PATIENCE, |state| !state.logged_in && state.presence == Presence::Present).await;

    let unsigned = bench.token.sign(&key.key_ref(), Sha256Digest::of(b"x")).await;
    assert_eq!(unsigned.unwrap_err(), TokenError::NotLoggedIn);
    bench.token.login(&bench.secret(PIN)).await.unwrap();
    sign(&bench.token, &key, b"x").await;
    assert_ne!(bench.token.helper_pid(), Some(killed));
}

pub(crate) async fn a_stopped_helper_starts_again_without_a_login<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();
    let helper = bench.token.helper_pid().expect("a helper");

    bench.token.stop_helper().await;

    assert!(!is_running(helper));
    assert_eq!(bench.token.helper_pid(), None);
    assert!(!bench.token.state().logged_in);
    let unsigned = bench.token.sign(&key.key_ref(), Sha256Digest::of(b"x")).await;
    assert_eq!(unsigned.unwrap_err(), TokenError::NotLoggedIn);
}

pub(crate) async fn a_token_is_never_initialised_twice<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let key = bench.token.generate_root("root").await.unwrap();

    let refused = bench.token.init_token(Some(&bench.secret(SO_PIN)), &bench.secret("111111")).await;

    assert_eq!(refused.unwrap_err(), TokenError::AlreadyInitialised);
    bench.token.login(&bench.secret(PIN)).await.unwrap();
    sign(&bench.token, &key, b"x").await;
}

pub(crate) async fn a_deleted_key_is_gone<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let keep = bench.token.generate_root("keep").await.unwrap();
    let delete = bench.token.generate_root("delete").await.unwrap();

    bench.token.delete(&delete.key_ref()).await.unwrap();

    assert_eq!(bench.token.keys().await.unwrap(), std::slice::from_ref(&keep));
    let unsigned = bench.token.sign(&delete.key_ref(), Sha256Digest::of(b"x")).await;
    assert_eq!(unsigned.unwrap_err(), TokenError::KeyNotFound);
    sign(&bench.token, &keep, b"x").await;
}

pub(crate) async fn an_imported_key_is_the_same_key<R: Rig>() {
    let bench = Bench::<R>::logged_in().await;
    let own = p256::SecretKey::from_slice(&[0x17; 32]).unwrap();
    let point: [u8; 65] = own.public_key().to_sec1_bytes().as_ref().try_into().unwrap();
    let public = PublicKey::from_p256_point(&point);
    let helper = bench.token.helper_pid().expect("a helper");

    let imported = bench.token.import("from Docker", &secret(&bench.locked, &[0x17; 32]), &public).await;

    assert!(!is_running(helper), "the helper that saw the key has ended");
    if !R::TAKES_KEYS {
        assert!(matches!(imported, Err(TokenError::NotSupported { .. })), "{imported:?}");
        return;
    }
    let key = imported.unwrap();
    assert_eq!((key.label.as_str(), &key.public, key.usage), ("from Docker", &public, Usage::Sign));
    bench.token.login(&bench.secret(PIN)).await.unwrap();
    let signature = sign(&bench.token, &key, b"a document").await;
    assert!(openssl_verifies(&public, b"a document", &signature));
}

async fn sign(token: &TokenHandle, key: &TokenKey, message: &[u8]) -> EcdsaSignature {
    token.sign(&key.key_ref(), Sha256Digest::of(message)).await.expect("a signature")
}

fn verifies(key: &TokenKey, message: &[u8], signature: &EcdsaSignature) -> bool {
    verify_p256(&key.public.p256_point().unwrap(), message, signature)
}

/// A box that OpenSSL made for the key, and what is in it.
fn sealed_to(key: &TokenKey, method: UnwrapMethod) -> (TokenBox, Vec<u8>) {
    match method {
        UnwrapMethod::Ecdh => {
            let (peer, shared) = openssl_agrees(&key.public);
            (TokenBox::Ecdh { peer }, shared)
        }
        UnwrapMethod::RsaOaep => {
            let plain = [0x5a; 32].to_vec();
            (TokenBox::RsaOaep { ciphertext: openssl_seals(&key.public, &plain) }, plain)
        }
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether the process runs; one that has ended and was not yet waited for does not.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}
