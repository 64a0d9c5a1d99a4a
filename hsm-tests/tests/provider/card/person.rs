//! PINs and touches: who is asked for them, how often, and what it is called when they do not come.

use std::time::Instant;

use hsm_tests::piv::Touch;
use touchmarkd::token::{KeyPolicy, PinPolicy, PinState, TokenError, TouchPolicy};

use super::{At, PATIENCE, SELECT, USE, VERIFY};

#[tokio::test]
async fn keys_and_policies_are_listed_without_a_pin() {
    let (at, plain) = At::with_key().await;
    let policy = KeyPolicy { pin: PinPolicy::Always, touch: TouchPolicy::Cached };
    let strict = at.token.generate_root_with("strict", policy).await.unwrap();
    let (vault, _) = at.token.generate_unwrap().await.unwrap();
    at.token.stop_helper().await;
    at.controls().forget();

    let keys = at.token.keys().await.unwrap();

    assert_eq!(keys, [plain, strict, vault]);
    let slots: Vec<_> = keys.iter().map(|key| key.id.as_slice()).collect();
    assert_eq!(slots, [[0x9c], [0x82], [0x9d]]);
    assert_eq!(
        keys.iter().map(|key| key.label.as_str()).collect::<Vec<_>>(),
        ["root", "strict", "touchmark vault (ecdh)"]
    );
    let policies: Vec<_> = keys.iter().map(|key| key.policy.unwrap()).collect();
    assert_eq!(policies, [KeyPolicy::PIN_ONCE, policy, KeyPolicy::PIN_ONCE]);
    assert_eq!((at.controls().pins_sent(), at.controls().count(USE)), (0, 0));
    let info = at.token.state().info.unwrap();
    assert_eq!((info.serial.as_str(), info.firmware.as_str()), ("12345678", "5.7.1"));
}

#[tokio::test]
async fn a_wrong_pin_costs_one_try_and_one_of_another_length_none() {
    let at = At::present().await;
    assert_eq!(at.token.state().tries_left, Some(3));
    at.controls().forget();
    for odd in ["12345", "123456789", "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded"] {
        let refused = at.token.login(&at.secret(odd)).await.unwrap_err();
        assert!(matches!(refused, TokenError::PinUnfit { .. }), "{refused:?}");
    }
    assert_eq!((at.controls().pins_sent(), at.token.state().tries_left), (0, Some(3)));
    for (left, state) in [(2, PinState::Low), (1, PinState::Final)] {
        let refused = at.token.login(&at.secret("000000")).await.unwrap_err();
        assert_eq!(refused, TokenError::WrongPin { tries_left: Some(left) });
        assert_eq!((at.token.state().pin, at.token.state().tries_left), (state, Some(left)));
    }
    let refused = at.token.login(&at.secret("000000")).await.unwrap_err();
    assert_eq!((refused, at.token.state().pin), (TokenError::PinLocked, PinState::Locked));
    assert_eq!(at.controls().pins_sent(), 3);
    // Not even the right one: a locked card does not look at it.
    assert_eq!(at.login().await.unwrap_err(), TokenError::PinLocked);
    assert_eq!(at.controls().pins_sent(), 3);
}

#[tokio::test]
async fn looking_at_an_idle_card_neither_sends_a_pin_nor_ends_the_login() {
    let (at, key) = At::with_key().await;
    at.controls().forget();
    let since = Instant::now();
    while at.controls().count(VERIFY) < 5 {
        assert!(since.elapsed() < PATIENCE, "nobody looks");
        tokio::task::yield_now().await;
    }
    assert!(at.token.state().logged_in);
    at.signs(&key).await;
    assert_eq!((at.controls().pins_sent(), at.controls().count(SELECT)), (0, 0));
}

#[tokio::test]
async fn a_touch_that_does_not_come_is_told_from_a_pin_that_is_missing() {
    let at = At::present().await;
    at.login().await.unwrap();
    let policy = KeyPolicy { touch: TouchPolicy::Always, ..KeyPolicy::PIN_ONCE };
    let key = at.token.generate_root_with("root", policy).await.unwrap();
    // A certificate beside it costs no touch.
    assert_eq!(at.controls().touches_wanted(), 0);
    at.signs(&key).await;
    at.controls().fingers(Touch::Nobody);
    assert_eq!(at.sign(&key).await.unwrap_err(), TokenError::NotTouched);
    assert!(at.token.state().logged_in);
    at.controls().fingers(Touch::OnDemand);
    let finger = at.controls();
    let touching = std::thread::spawn(move || {
        finger.wait_until_it_blinks();
        finger.touch();
    });
    at.signs(&key).await;
    touching.join().unwrap();

    // The login is gone, and nobody was asked for a touch.
    let wanted = at.controls().touches_wanted();
    at.token.logout().await.unwrap();
    assert_eq!(at.sign(&key).await.unwrap_err(), TokenError::NotLoggedIn);
    assert_eq!(at.controls().touches_wanted(), wanted);
}

#[tokio::test]
async fn a_key_that_wants_its_pin_each_time_gets_it_each_time() {
    let at = At::present().await;
    at.login().await.unwrap();
    let policy = KeyPolicy { pin: PinPolicy::Always, touch: TouchPolicy::Never };
    let key = at.token.generate_root_with("root", policy).await.unwrap();
    at.controls().forget();
    for round in 1..=3 {
        at.login().await.unwrap();
        at.signs(&key).await;
        assert_eq!(at.sign(&key).await.unwrap_err(), TokenError::NotLoggedIn);
        assert_eq!(at.controls().pins_sent(), round);
    }
    assert_eq!(at.pcscd.reader().look(|card| card.pin_tries()), 3);
}

#[tokio::test]
async fn a_logout_ends_the_login_on_the_card_itself() {
    let (at, key) = At::with_key().await;
    // VERIFY without a PIN: whether one is wanted.
    let wants_pin = || at.pcscd.reader().look(|card| card.apdu(&[0x00, VERIFY, 0x00, 0x80])) != [0x90, 0x00];
    assert!(!wants_pin());
    at.token.logout().await.unwrap();
    assert!(wants_pin() && !at.token.state().logged_in);
    at.recovers(&key, Instant::now()).await;
    assert!(!wants_pin());
    at.token.stop_helper().await;
    assert!(wants_pin());
}
