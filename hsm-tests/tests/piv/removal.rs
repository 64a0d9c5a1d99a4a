//! What the crate `yubikey` sees when a card, or the service, goes and comes back.

use std::time::Duration;

use yubikey::{Error, PinPolicy, TouchPolicy, YubiKey};

use super::library::*;
use hsm_tests::pcscd::{Pcscd, apart};
use hsm_tests::piv::{Controls, Firmware, PivCard, Status, Touch};
use hsm_tests::soak::rounds;

/// What PC/SC said.
fn why<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::PcscError { inner }) => format!("{inner:?}"),
        Err(other) => format!("{other:?}"),
        Ok(_) => "success".to_owned(),
    }
}

fn ready(pcscd: &Pcscd) -> (YubiKey, p256::ecdsa::VerifyingKey) {
    let (mut card, key) = with_key(pcscd, Firmware::V5_4, PinPolicy::Once, TouchPolicy::Never);
    card.verify_pin(PIN).unwrap();
    signs(&mut card, &key);
    (card, key)
}

/// By its serial number, as soon as it can be had, and with its PIN.
fn again(serial: u32) -> YubiKey {
    let mut card = soon(|| YubiKey::open_by_serial(serial.into()).ok());
    card.verify_pin(PIN).unwrap();
    card
}

#[test]
fn a_card_that_was_pulled_out_is_gone_and_back_when_it_is_put_back() {
    apart(|pcscd| {
        let (mut card, key) = ready(&pcscd);
        for round in 0..rounds(3, 50) {
            pcscd.reader().pull_out();
            let errors = [(); 2].map(|()| why(sign(&mut card)));
            let gone = |error: &String| error.contains("NotTransacted") || error.contains("RemovedCard");
            assert!(errors.iter().all(gone), "round {round}: {errors:?}");
            soon(|| matches!(YubiKey::open(), Err(Error::NotFound)).then_some(()));
            pcscd.reader().put_back();
            let back = why(sign(&mut card));
            assert!(
                ["Some(RemovedCard)", "Some(ResetCard)"].contains(&back.as_str()),
                "round {round}: {back}"
            );
            drop(card); // which resets the card, whoever uses it
            card = again(SERIAL);
            signs(&mut card, &key);
        }
        assert_eq!(pcscd.reader().look(|card| card.pin_tries()), 3);
    });
}

#[test]
fn another_card_in_the_same_reader_is_another_card() {
    apart(|pcscd| {
        let (_, key) = ready(&pcscd);
        let first = pcscd.reader().exchange(PivCard::new(Firmware::V5_7, 99));
        assert!(YubiKey::open_by_serial(SERIAL.into()).is_err());
        assert_eq!(open(99).serial().0, 99);
        pcscd.readers()[1].insert(first);
        signs(&mut again(SERIAL), &key);
        assert_eq!(pcscd.reader().controls().pins_sent(), 0, "the other one got no PIN");
    });
}

#[test]
fn a_service_that_was_killed_is_found_by_who_asks_anew() {
    apart(|mut pcscd| {
        let (mut card, key) = ready(&pcscd);
        pcscd.kill();
        assert_eq!(why(sign(&mut card)), "Some(NoService)");
        assert_eq!(why(YubiKey::open()), "Some(NoService)");
        pcscd.start_again();
        signs(&mut again(SERIAL), &key);
    });
}

#[test]
fn a_card_pulled_in_the_middle_answers_nobody_and_a_forced_status_is_what_it_says() {
    apart(|pcscd| {
        let (mut card, key) = ready(&pcscd);
        let controls = pcscd.reader().controls();
        controls.fail(0x87, 1, Status(0x6f00));
        assert!(matches!(sign(&mut card), Err(Error::GenericError)));
        signs(&mut card, &key);
        controls.pull_after(1);
        signs(&mut card, &key);
        assert_eq!(why(sign(&mut card)), "GenericError", "vpcd takes no answer for an empty one");
        assert!(why(sign(&mut card)).starts_with("Some("), "from now on it is gone");
        drop(card);
        pcscd.reader().put_back();
        signs(&mut again(SERIAL), &key);
    });
}

#[test]
fn a_card_pulled_while_it_waits_for_a_finger_keeps_nobody_waiting() {
    apart(|mut pcscd| {
        let (mut card, key) = with_key(&pcscd, Firmware::V5_7, PinPolicy::Once, TouchPolicy::Always);
        card.verify_pin(PIN).unwrap();
        let controls = pcscd.reader().controls();
        controls.patience(Duration::from_secs(600), Duration::ZERO);
        controls.fingers(Touch::OnDemand);
        let error = blinking(&mut card, &controls, || pcscd.reader().pull_out());
        assert_eq!(error, "GenericError");
        drop(card);
        pcscd.reader().put_back();
        card = again(SERIAL);
        let error = blinking(&mut card, &controls, || pcscd.kill());
        assert_eq!(error, "Some(CommError)");
        pcscd.start_again();
        controls.fingers(Touch::AtOnce);
        signs(&mut again(SERIAL), &key);
    });
}

/// What comes of a signature when this happens while the card waits for a finger.
fn blinking(card: &mut YubiKey, controls: &Controls, then: impl FnOnce()) -> String {
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| why(sign(card)));
        controls.wait_until_it_blinks();
        then();
        signing.join().unwrap()
    })
}

#[test]
fn a_card_that_another_program_resets_wants_its_pin_again() {
    apart(|pcscd| {
        let (mut card, key) = ready(&pcscd);
        pcscd.cli("opensc-tool").arg("--reset").ok();
        assert_eq!(why(sign(&mut card)), "Some(ResetCard)");
        signs(&mut again(SERIAL), &key);
    });
}
