//! It is pulled out, exchanged, reset, kept by others, and its service dies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hsm_tests::cli::shipped;
use hsm_tests::pcscd::{NOBODYS, Pcscd, apart};
use hsm_tests::piv::Firmware;
use hsm_tests::soak;
use touchmark_tuf::Sha256Digest;
use touchmarkd::token::{HelperProgram, KeyPolicy, Limits, Presence, TokenError, TouchPolicy};

use super::{At, OFTEN, PATIENCE, READ, SELECT, says, token, yubikey};
use crate::bench::{locked, until};
use crate::yubikey::{SERIAL, card};

#[tokio::test]
async fn a_pulled_card_and_a_dead_service_cost_one_login_each() {
    let (mut at, key) = At::with_key().await;
    let mut worst = (0, 0);
    for _ in 0..soak::rounds(2, 50) {
        at.pcscd.reader().pull_out();
        at.until(|state| state.presence == Presence::Absent && !state.logged_in).await;
        assert_eq!(at.login().await.unwrap_err(), TokenError::NotPresent);
        at.pcscd.reader().put_back();
        worst.0 = worst.0.max(at.recovers(&key, Instant::now()).await);

        at.pcscd.kill();
        at.until(|state| says(state, "systemctl enable --now pcscd.socket")).await;
        let refused = at.login().await.unwrap_err();
        assert!(matches!(refused, TokenError::Unreachable { .. }), "{refused:?}");
        at.pcscd.start_again();
        worst.1 = worst.1.max(at.recovers(&key, Instant::now()).await);
    }
    soak::at_most("a card that was pulled out is back, ms", worst.0, 5000);
    soak::at_most("a card whose service was dead is back, ms", worst.1, 5000);
}

#[tokio::test]
async fn without_a_service_there_is_a_hint_and_no_crash() {
    let nowhere = BTreeMap::from([("PCSCLITE_CSOCK_NAME".to_owned(), "/nowhere/pcscd.comm".to_owned())]);
    let limits = Limits { probe: OFTEN, ..Limits::default() };
    let token = token(nowhere, &locked(), HelperProgram::touchmarkd(shipped("touchmarkd")), limits);
    until(&token, PATIENCE, |state| says(state, "systemctl enable --now pcscd.socket")).await;
    let helper = token.helper_pid();
    for _ in 0..3 {
        token.refresh().await;
    }
    assert_eq!(token.helper_pid(), helper);
}

#[tokio::test]
async fn another_card_in_the_reader_gets_no_pin() {
    let (at, key) = At::with_key().await;
    at.token.enrol(&key.key_ref());
    let ours = at.pcscd.reader().exchange(card(Firmware::V5_7, SERIAL + 1));
    let wrong = at.until(|state| matches!(state.presence, Presence::Mismatch(_))).await;
    assert_eq!(
        wrong.presence,
        Presence::Mismatch("expected YubiKey 12345678, found YubiKey 12345679".into())
    );
    for _ in 0..3 {
        let refused = at.login().await.unwrap_err();
        assert!(matches!(refused, TokenError::Mismatch { .. }), "{refused:?}");
    }
    assert_eq!(at.controls().pins_sent(), 0);
    // It was opened once to ask for its serial number, and is left alone.
    assert_eq!(at.controls().count(SELECT), 1);

    // The right serial number, and nothing of what was enrolled: reset, or made to look like ours.
    drop(at.pcscd.reader().exchange(card(Firmware::V5_7, SERIAL)));
    at.until(|state| state.presence == Presence::Present).await;
    let refused = at.login().await.unwrap_err();
    assert!(matches!(&refused, TokenError::Mismatch { found, .. } if found.contains("reset")), "{refused:?}");
    assert_eq!(at.controls().pins_sent(), 0);

    drop(at.pcscd.reader().exchange(ours));
    at.recovers(&key, Instant::now()).await;
}

#[tokio::test]
async fn a_foreign_card_is_left_alone_while_ours_is_away() {
    let pcscd = Pcscd::with_card(NOBODYS, card(Firmware::V5_7, SERIAL + 1));
    let at = At::on(pcscd);
    at.until(|state| state.presence == Presence::Absent).await;
    for _ in 0..10 {
        assert_eq!(at.token.refresh().await.presence, Presence::Absent);
    }
    assert_eq!(at.controls().count(SELECT), 1);
    at.pcscd.readers()[1].insert(card(Firmware::V5_7, SERIAL));
    at.until(|state| state.presence == Presence::Present).await;
    at.login().await.unwrap();
    assert_eq!((at.controls().pins_sent(), at.controls().count(SELECT)), (0, 1));
}

#[tokio::test]
async fn what_another_program_does_to_the_card_costs_a_login_and_no_try() {
    let (at, key) = At::with_key().await;
    // It selects the application, and resets the card when it goes.
    at.pcscd.cli("yubico-piv-tool").args(["-r", NOBODYS, "-a", "status"]).ok();
    at.recovers(&key, Instant::now()).await;
}

/// What is behind the PIN is not shown then, and that is not taken for a management key that is not there.
#[tokio::test]
async fn a_login_that_ends_before_a_key_is_made_is_said_to_have_ended() {
    let at = At::present().await;
    for _ in 0..2 {
        at.login().await.unwrap();
        at.controls().come_between(READ);
        assert_eq!(at.token.generate_root("root").await.unwrap_err(), TokenError::NotLoggedIn);
        assert!(!at.token.state().logged_in);
    }
    at.login().await.unwrap();
    let key = at.token.generate_root("root").await.unwrap();
    at.signs(&key).await;
    assert_eq!(at.controls().pins_refused(), 0);
}

/// The daemon has a helper for each of its YubiKeys, and each looks at every card.
#[tokio::test]
async fn who_looks_for_another_yubikey_ends_no_login() {
    let (at, key) = At::with_key().await;
    at.controls().forget();
    for serial in 1..=3 {
        let helper = HelperProgram::touchmarkd(shipped("touchmarkd"));
        let neighbour =
            yubikey(SERIAL + serial, at.pcscd.environment(), &at.locked, helper, Limits::default());
        until(&neighbour, PATIENCE, |state| state.presence == Presence::Absent).await;
    }
    at.signs(&key).await;
    assert_eq!((at.controls().pins_sent(), at.controls().count(SELECT)), (0, 0));
}

#[test]
fn a_card_that_somebody_has_for_himself_is_said_to_be_so() {
    apart(|pcscd| {
        pcscd.reader().insert(card(Firmware::V5_7, SERIAL));
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let name = context.list_readers_owned().unwrap().remove(0);
        let alone = context.connect(&name, pcsc::ShareMode::Exclusive, pcsc::Protocols::T1).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let at = At::on(pcscd);
            at.until(|state| says(state, "another program has the card for itself alone")).await;
            // It is this one.
            at.until(|state| says(state, &format!("(process {})", std::process::id()))).await;
            alone.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
            at.until(|state| state.presence == Presence::Present).await;
            at.login().await.unwrap();
            assert_eq!(at.controls().pins_sent(), 1);
        });
    });
}

/// Another program that keeps the card in a transaction keeps us waiting, and is not taken for somebody who does not touch.
#[test]
fn a_transaction_of_another_program_is_waited_for() {
    apart(|pcscd| {
        pcscd.reader().insert(card(Firmware::V5_7, SERIAL));
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let name = context.list_readers_owned().unwrap().remove(0);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let at = At::on(pcscd);
            at.until(|state| state.presence == Presence::Present).await;
            at.login().await.unwrap();
            let policy = KeyPolicy { touch: TouchPolicy::Always, ..KeyPolicy::PIN_ONCE };
            let key = at.token.generate_root_with("root", policy).await.unwrap();
            let mut other = context.connect(&name, pcsc::ShareMode::Shared, pcsc::Protocols::T1).unwrap();
            let kept = other.transaction().unwrap();
            let signing = tokio::spawn({
                let (token, key) = (at.token.clone(), key.key_ref());
                async move { token.sign(&key, Sha256Digest::of(b"x")).await }
            });
            // Longer than a card takes to say that a PIN is missing.
            tokio::time::sleep(Duration::from_secs(4)).await;
            assert!(!signing.is_finished());
            kept.end(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
            signing.await.unwrap().unwrap();
            other.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
        });
    });
}

/// One that does not end is not waited for: the request has its answer in time, and the card is back when it is over.
#[test]
fn a_transaction_of_another_program_that_does_not_end_is_a_timeout_and_costs_no_try() {
    apart(|pcscd| {
        pcscd.reader().insert(card(Firmware::V5_7, SERIAL));
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let name = context.list_readers_owned().unwrap().remove(0);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let soon = Duration::from_millis(500);
            let limits = Limits { call: soon, touch: soon, open: soon, probe: OFTEN, ..Limits::default() };
            let at = At::within(pcscd, limits);
            at.until(|state| state.presence == Presence::Present).await;
            at.login().await.unwrap();
            let key = at.token.generate_root("root").await.unwrap();
            let mut other = context.connect(&name, pcsc::ShareMode::Shared, pcsc::Protocols::T1).unwrap();
            let kept = other.transaction().unwrap();
            assert_eq!(at.sign(&key).await.unwrap_err(), TokenError::Timeout);
            at.until(|state| says(state, "did not answer in time")).await;
            kept.end(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
            other.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
            let took = at.recovers(&key, Instant::now()).await;
            soak::at_most("a card that was kept in a transaction is back, ms", took, 5000);
            assert_eq!(at.controls().pins_refused(), 0);
        });
    });
}

/// Another program selects another application of the same card, and nobody has looked since.
#[test]
fn another_application_on_the_card_costs_a_login_and_no_key_is_missed() {
    apart(|pcscd| {
        const MANAGEMENT: &[u8] =
            &[0x00, SELECT, 0x04, 0x00, 8, 0xa0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];
        pcscd.reader().insert(card(Firmware::V5_7, SERIAL));
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let name = context.list_readers_owned().unwrap().remove(0);
        let elsewhere = || {
            let other = context.connect(&name, pcsc::ShareMode::Shared, pcsc::Protocols::T1).unwrap();
            assert!(other.transmit(MANAGEMENT, &mut [0; 64]).unwrap().ends_with(&[0x90, 0x00]));
            other.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let at = At::looked_at_every(pcscd, Duration::from_secs(3600));
            at.login().await.unwrap();
            let key = at.token.generate_root("root").await.unwrap();
            at.token.enrol(&key.key_ref());
            at.controls().forget();
            elsewhere();
            assert_eq!(at.sign(&key).await.unwrap_err(), TokenError::NotLoggedIn);
            elsewhere();
            assert_eq!(at.token.keys().await.unwrap(), std::slice::from_ref(&key));
            elsewhere();
            at.login().await.unwrap();
            at.signs(&key).await;
            assert_eq!(at.controls().pins_sent(), 1);
        });
    });
}
