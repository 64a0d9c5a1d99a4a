//! The crate `yubikey`, which speaks PC/SC itself: each test in a process that has a pcscd of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hsm_tests::pcscd::{Pcscd, apart};
use hsm_tests::piv::{DEFAULT_PIN, Firmware, Malformed, PivCard, Touch};
use hsm_tests::soak::rounds;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use yubikey::certificate::Certificate;
use yubikey::piv::{self, AlgorithmId, ManagementSlotId, Origin, RetiredSlotId, SlotId};
use yubikey::{Error, MgmKey, PinPolicy, Serial, TouchPolicy, YubiKey};

pub(super) const SERIAL: u32 = 12_345_678;
pub(super) const DIGEST: [u8; 32] = [0x5a; 32];
pub(super) const PIN: &[u8] = DEFAULT_PIN.as_bytes();
/// How soon the service sees that a card came or went, with room for a loaded machine.
const SEEN: Duration = Duration::from_secs(20);

pub(super) fn open(serial: u32) -> YubiKey {
    YubiKey::open_by_serial(Serial::from(serial)).unwrap()
}

/// A card with a key in this slot, and its public half.
pub(super) fn with_key(
    pcscd: &Pcscd,
    firmware: Firmware,
    pin: PinPolicy,
    touch: TouchPolicy,
) -> (YubiKey, VerifyingKey) {
    pcscd.reader().insert(PivCard::new(firmware, SERIAL));
    let mut card = open(SERIAL);
    let key = make(&mut card, pin, touch);
    (card, key)
}

fn make(card: &mut YubiKey, pin: PinPolicy, touch: TouchPolicy) -> VerifyingKey {
    let manager = MgmKey::get_default(card).unwrap();
    card.authenticate(&manager).unwrap();
    let made = piv::generate(card, SlotId::Signature, AlgorithmId::EccP256, pin, touch).unwrap();
    VerifyingKey::from_sec1_bytes(made.subject_public_key.raw_bytes()).unwrap()
}

pub(super) fn sign(card: &mut YubiKey) -> Result<DerSignature, Error> {
    let signed = piv::sign_data(card, &DIGEST, AlgorithmId::EccP256, SlotId::Signature)?;
    Ok(DerSignature::from_bytes(&signed).unwrap())
}

#[track_caller]
pub(super) fn signs(card: &mut YubiKey, key: &VerifyingKey) {
    key.verify_prehash(&DIGEST, &sign(card).unwrap()).unwrap();
}

fn says(card: &mut YubiKey, what: ManagementSlotId) -> (Option<bool>, Option<(u8, u8)>) {
    let says = piv::metadata(card, SlotId::Management(what)).unwrap();
    (says.default, says.retries.map(|tries| (tries.retry_count, tries.remaining_count)))
}

/// What there is to be had, once there is.
pub(super) fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SEEN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {SEEN:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_library_makes_uses_and_attests_keys_on_both_firmwares() {
    apart(|pcscd| {
        pcscd.reader().insert(PivCard::new(Firmware::V5_4, 1));
        for (firmware, version) in [(Firmware::V5_4, "5.4.3"), (Firmware::V5_7, "5.7.1")] {
            pcscd.reader().exchange(PivCard::new(firmware, SERIAL));
            let mut card = open(SERIAL);
            assert_eq!(card.version().to_string(), version);
            assert_eq!(says(&mut card, ManagementSlotId::Pin), (Some(true), Some((3, 3))));
            assert!(matches!(card.verify_pin(b"654321"), Err(Error::WrongPin { tries: 2 })));
            assert_eq!(says(&mut card, ManagementSlotId::Pin), (Some(true), Some((3, 2))));
            assert_eq!(says(&mut card, ManagementSlotId::Management).0, Some(true));

            let made = piv::generate(
                &mut card,
                SlotId::Signature,
                AlgorithmId::EccP256,
                PinPolicy::Default,
                TouchPolicy::Default,
            );
            assert!(matches!(made, Err(Error::AuthenticationError)), "nobody is logged in");
            let key = make(&mut card, PinPolicy::Default, TouchPolicy::Default);
            assert!(matches!(sign(&mut card), Err(Error::AuthenticationError)), "no PIN");
            card.verify_pin(PIN).unwrap();
            signs(&mut card, &key);
            assert!(matches!(sign(&mut card), Err(Error::AuthenticationError)), "9c wants it every time");

            let says = piv::metadata(&mut card, SlotId::Signature).unwrap();
            assert_eq!(says.policy, Some((PinPolicy::Always, TouchPolicy::Never)));
            assert_eq!(says.origin, Some(Origin::Generated));
            let attested = piv::attest(&mut card, SlotId::Signature).unwrap();
            let attested = Certificate::from_bytes(attested).unwrap();
            assert_eq!(attested.subject(), "CN=YubiKey PIV Attestation 9c");
            let point = key.to_sec1_point(false);
            assert_eq!(attested.subject_pki().subject_public_key.raw_bytes(), point.as_bytes());
            let issuer = Certificate::read(&mut card, SlotId::Attestation).unwrap();
            assert_eq!(issuer.subject(), attested.issuer());
        }
    });
}

#[test]
fn the_library_brings_in_a_key_and_agrees_and_keeps_its_management_key_behind_the_pin() {
    apart(|pcscd| {
        let slot = SlotId::Retired(RetiredSlotId::R1);
        let (mut card, _) = with_key(&pcscd, Firmware::V5_7, PinPolicy::Once, TouchPolicy::Never);
        let (touch, pin) = (TouchPolicy::Never, PinPolicy::Once);
        piv::import_ecc_key(&mut card, slot, AlgorithmId::EccP256, &[0x11; 32], touch, pin).unwrap();
        assert_eq!(piv::metadata(&mut card, slot).unwrap().origin, Some(Origin::Imported));
        assert!(matches!(piv::attest(&mut card, slot), Err(Error::GenericError)));

        card.verify_pin(PIN).unwrap();
        let [theirs, mine] = [0x11, 0x21].map(|byte| p256::SecretKey::from_slice(&[byte; 32]).unwrap());
        let point = mine.public_key().to_sec1_point(false);
        let agreed = piv::decrypt_data(&mut card, point.as_bytes(), AlgorithmId::EccP256, slot).unwrap();
        assert_eq!(agreed[..], mine.diffie_hellman(&theirs.public_key()).raw_secret_bytes()[..]);

        let key = MgmKey::from_bytes([7; 24], None).unwrap();
        key.set_protected(&mut card).unwrap();
        assert_eq!(says(&mut card, ManagementSlotId::Management).0, Some(false));
        assert_eq!(MgmKey::get_protected(&mut card).unwrap().as_ref(), key.as_ref());
        drop(card);
        assert!(MgmKey::get_protected(&mut open(SERIAL)).is_err(), "not without the PIN");
    });
}

#[test]
fn the_library_waits_while_a_card_waits_for_a_finger() {
    apart(|pcscd| {
        let (mut card, key) = with_key(&pcscd, Firmware::V5_7, PinPolicy::Once, TouchPolicy::Always);
        let controls = pcscd.reader().controls();
        controls.fingers(Touch::OnDemand);
        card.verify_pin(PIN).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                controls.wait_until_it_blinks();
                controls.touch();
            });
            signs(&mut card, &key);
        });
        let patience = Duration::from_millis(rounds(300, 15_000) as u64); // a YubiKey's are 15 seconds
        controls.patience(patience, Duration::ZERO);
        let before = Instant::now();
        assert!(matches!(sign(&mut card), Err(Error::AuthenticationError)));
        assert!(before.elapsed() >= patience);
        controls.fingers(Touch::AtOnce);
        signs(&mut card, &key);
        assert_eq!(controls.touches_wanted(), 3);
    });
}

#[test]
fn malformed_answers_make_the_library_panic_as_expected_of_it() {
    apart(|pcscd| {
        let (mut card, _) = with_key(&pcscd, Firmware::V5_4, PinPolicy::Once, TouchPolicy::Never);
        let controls = pcscd.reader().controls();
        let mut panics = |how, work: &mut dyn FnMut(&mut YubiKey)| {
            controls.malform(Some(how));
            let ended = catch_unwind(AssertUnwindSafe(|| work(&mut card)));
            assert!(ended.is_err(), "{how:?}: this version of the library can take it");
            controls.malform(None);
        };
        panics(Malformed::EmptyAttestation, &mut |card| drop(piv::attest(card, SlotId::Signature)));
        panics(Malformed::OneByteKey, &mut |card| {
            let (pin, touch) = (PinPolicy::Once, TouchPolicy::Never);
            drop(piv::generate(card, SlotId::Authentication, AlgorithmId::EccP256, pin, touch));
        });
        panics(Malformed::EmptyObject, &mut |card| drop(Certificate::read(card, SlotId::Attestation)));
        panics(Malformed::ShortVersion, &mut |_| drop(YubiKey::open()));
    });
}
