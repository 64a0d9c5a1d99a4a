//! Every return value that a module may surprise with, from SoftHSM through a module that obeys orders: what the token
//! room makes of it, and how many PIN tries that costs.

use std::time::Duration;

use hsm_tests::softhsm::{PIN, SO_PIN};
use touchmarkd::token::{PinState, Presence, TokenBox, TokenError};

use crate::bench::until;
use crate::shimmed::Shimmed;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_lost_session_costs_one_login_and_no_signature() {
    let shim = Shimmed::logged_in().await;
    // SESSION_HANDLE_INVALID, SESSION_CLOSED, OPERATION_ACTIVE.
    for order in [
        "C_Sign once before b3",
        "C_Sign once before b0",
        "C_SignInit once before 90",
        "C_SignInit once before b3",
    ] {
        shim.order(order);
        let (signed, logins) = shim.sign_counting().await;
        assert!(shim.verifies(&signed.unwrap()), "{order}");
        assert_eq!(logins, 1, "{order}");
    }
}

#[tokio::test]
async fn a_dead_handle_is_found_again_without_a_login() {
    let shim = Shimmed::logged_in().await;
    // KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID.
    for order in ["C_SignInit once before 60", "C_SignInit once before 82"] {
        shim.order(order);
        let looked = shim.shim.count("C_GetAttributeValue");
        let (signed, logins) = shim.sign_counting().await;
        assert!(shim.verifies(&signed.unwrap()), "{order}");
        assert_eq!(logins, 0, "{order}");
        assert!(
            shim.shim.count("C_GetAttributeValue") > looked,
            "{order}: its public key was not compared again"
        );
    }
    shim.order("C_SignInit always before 60");
    assert_eq!(shim.sign().await.unwrap_err(), TokenError::KeyNotFound);
}

#[tokio::test]
async fn a_lost_login_is_renewed_once() {
    let shim = Shimmed::logged_in().await;
    shim.order("C_SignInit once before 101");
    let (signed, logins) = shim.sign_counting().await;
    assert!(shim.verifies(&signed.unwrap()));
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn a_login_that_fails_while_mending_is_never_tried_again() {
    let shim = Shimmed::logged_in().await;
    shim.order("C_Sign once before b3\nC_Login always before a0");

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
    let shim = Shimmed::logged_in().await;
    // PIN_INCORRECT, PIN_LEN_RANGE, PIN_INVALID.
    for order in ["C_Login always before a0", "C_Login always before a2", "C_Login always before a1"] {
        shim.order(order);
        let before = shim.logins();
        let refused = shim.login().await;
        assert!(matches!(refused, Err(TokenError::WrongPin { .. })), "{order}: {refused:?}");
        assert_eq!(shim.logins() - before, 1, "{order}");
    }
    shim.order("C_Login always before a4");
    assert_eq!(shim.login().await.unwrap_err(), TokenError::PinLocked);
    shim.order("C_Login always before 102");
    assert_eq!(shim.login().await.unwrap_err(), TokenError::PinNotSet);
}

#[tokio::test]
async fn already_logged_in_is_no_proof_of_a_pin() {
    let shim = Shimmed::logged_in().await;
    // The token does not look at the PIN then: it is asked once more, and no try is gone.
    shim.order("C_Login once before 100");
    let wrong = shim.token.login(&shim.secret("000000")).await;
    assert!(matches!(wrong, Err(TokenError::WrongPin { .. })), "{wrong:?}");
    assert_eq!(shim.token.state().pin, PinState::Low);
    shim.order("C_Login once before 100");
    shim.login().await.unwrap();
}

#[tokio::test]
async fn a_removed_token_is_absent_until_it_answers_again() {
    let shim = Shimmed::logged_in().await;
    // DEVICE_REMOVED, TOKEN_NOT_PRESENT; CRYPTOKI_NOT_INITIALIZED as after a fork.
    for order in ["C_Sign once before 32", "C_SignInit once before e0", "C_SignInit once before 190"] {
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
    let shim = Shimmed::logged_in().await;
    // "after": the token did sign, and the signature is destroyed.
    for (order, code) in
        [("C_Sign once before 30", "CKR_DEVICE_ERROR"), ("C_Sign always after 5", "CKR_GENERAL_ERROR")]
    {
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
    let shim = Shimmed::logged_in().await;
    shim.order("C_SignInit once before 5");
    let (signed, logins) = shim.sign_counting().await;
    assert!(shim.verifies(&signed.unwrap()));
    assert_eq!(logins, 1);
    shim.order("C_SignInit always before 5");
    let (refused, logins) = shim.sign_counting().await;
    assert!(matches!(refused, Err(TokenError::Failed { .. })), "{refused:?}");
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn a_secret_that_the_token_will_not_show_is_a_refusal() {
    let shim = Shimmed::logged_in().await;
    let (key, _) = shim.token.generate_unwrap().await.unwrap();
    let peer = shim.key.public.p256_point().unwrap();
    shim.token.unwrap(&key.key_ref(), &TokenBox::Ecdh { peer }).await.unwrap();
    // ATTRIBUTE_SENSITIVE: `cryptoki` answers with an empty list.
    shim.order("C_GetAttributeValue always before 11");
    let refused = shim.token.unwrap(&key.key_ref(), &TokenBox::Ecdh { peer }).await;
    assert!(matches!(refused, Err(TokenError::NotSupported { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_key_that_could_leave_the_token_does_not_stay() {
    let shim = Shimmed::logged_in().await;
    // CKA_SENSITIVE, CKA_EXTRACTABLE.
    for order in ["C_GetAttributeValue always flip 103", "C_GetAttributeValue always flip 162"] {
        shim.order(order);
        let refused = shim.token.generate_root("leaves").await;
        assert!(matches!(refused, Err(TokenError::NotSupported { .. })), "{order}: {refused:?}");
    }
    shim.order("");
    assert_eq!(shim.token.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_making_of_a_token_that_broke_off_is_finished_by_the_next_try() {
    for fault in [
        "C_InitToken always after 30",
        "C_Login always before 30",
        "C_InitPIN always before 30",
        "C_InitPIN always abort",
    ] {
        let at = Shimmed::empty();
        at.order(fault);
        let broken = at.token.init_token(Some(&at.secret(SO_PIN)), &at.secret(PIN)).await.unwrap_err();
        assert!(
            matches!(broken, TokenError::Failed { .. } | TokenError::HelperEnded { .. }),
            "{fault}: {broken:?}"
        );
        at.order("");
        until(&at.token, PATIENCE, |state| state.pin == PinState::NotSet).await;
        assert_eq!(at.login().await, Err(TokenError::PinNotSet), "{fault}");
        let wrong = at.token.init_token(Some(&at.secret("00000000")), &at.secret(PIN)).await;
        assert_eq!(wrong, Err(TokenError::WrongPin { tries_left: None }), "{fault}");
        at.token
            .init_token(Some(&at.secret(SO_PIN)), &at.secret(PIN))
            .await
            .unwrap_or_else(|error| panic!("{fault}: {error}"));
        at.login().await.unwrap();
        let again = at.token.init_token(Some(&at.secret(SO_PIN)), &at.secret(PIN)).await;
        assert_eq!(again, Err(TokenError::AlreadyInitialised), "{fault}");
    }
}
