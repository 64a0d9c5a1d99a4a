//! What needs no card: names, tries, errors, certificates, what a refusal means, and what is never logged.

use std::sync::Mutex;
use std::time::Duration;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use pcsc::Error as Pcsc;
use touchmark_tuf::PublicKey;
use yubikey::Error;

use super::certificate::{Found, make, parse};
use super::fault::{is_lost, refused};
use super::login::Tries;
use super::slot::{Content, Slot, card_policy};
use super::work::{Seen, judge};
use crate::token::der::element;
use crate::token::{KeyPolicy, PinPolicy, PinState, TokenError, TouchPolicy, UnwrapMethod, Usage};

fn public(scalar: u8) -> PublicKey {
    let key = p256::SecretKey::from_slice(&[scalar; 32]).unwrap().public_key();
    PublicKey::from_p256_point(key.to_sec1_point(false).as_bytes().try_into().unwrap())
}

fn content(policy: Option<KeyPolicy>) -> Content {
    let slot = Slot::of_id(&[0x9c]).unwrap();
    Content { slot, public: public(1), policy, origin: None, label: String::new() }
}

#[test]
fn slots_are_known_by_their_byte() {
    let ids: Vec<u8> = Slot::all().map(Slot::byte).collect();
    assert_eq!((ids[0], ids[1], ids[20], ids[21], ids.len()), (0x9c, 0x82, 0x95, 0x9d, 22));
    for slot in Slot::all() {
        assert_eq!((Slot::of_id(&slot.id()), u8::from(slot.piv())), (Some(slot), slot.byte()));
        let unwraps = slot.usage() == Usage::Unwrap(UnwrapMethod::Ecdh);
        assert_eq!(unwraps, slot == Slot::UNWRAP);
    }
    for other in [&[0x9a][..], &[0x9e], &[0xf9], &[0x81], &[0x96], &[], &[0x9c, 0x9c]] {
        assert_eq!(Slot::of_id(other), None, "{other:02x?}");
    }
    let objects: Vec<u32> = [0x9c, 0x9d, 0x82, 0x95].map(|id| Slot::of_id(&[id]).unwrap().object()).into();
    assert_eq!(objects, [0x005f_c10a, 0x005f_c10b, 0x005f_c10d, 0x005f_c120]);
    assert_eq!(Slot::of_id(&[0x83]).unwrap().to_string(), "slot 83 (retired 2)");
}

#[test]
fn tries_are_told_as_they_are() {
    let tries = |left, most| Tries { left, most };
    for (tries, state, left) in [
        (tries(Some(3), Some(3)), PinState::Ok, Some(3)),
        (tries(Some(5), Some(8)), PinState::Low, Some(5)),
        (tries(Some(1), Some(1)), PinState::Final, Some(1)),
        (tries(Some(0), Some(3)), PinState::Locked, Some(0)),
        (tries(Some(2), None), PinState::Low, Some(2)),
        (tries(None, Some(3)), PinState::Ok, Some(3)),
        (tries(None, None), PinState::Ok, None),
    ] {
        assert_eq!((tries.state(), tries.left()), (state, left), "{tries:?}");
    }
}

#[test]
fn every_error_has_its_meaning() {
    let pcsc = |inner| Error::PcscError { inner: Some(inner) };
    for inner in [Pcsc::RemovedCard, Pcsc::NoSmartcard, Pcsc::NotTransacted, Pcsc::NoReadersAvailable] {
        assert_eq!(refused("x", pcsc(inner)), TokenError::NotPresent, "{inner:?}");
    }
    for (inner, word) in [
        (Pcsc::NoService, "systemctl enable --now pcscd.socket"),
        (Pcsc::SharingViolation, "for itself alone"),
        (Pcsc::SecurityViolation, "polkit"),
    ] {
        let refusal = refused("x", pcsc(inner));
        assert!(matches!(&refusal, TokenError::Unreachable { why } if why.contains(word)), "{refusal:?}");
        assert!(refusal.loses_token());
    }
    let failed = refused("sign", pcsc(Pcsc::CommError));
    assert!(matches!(failed, TokenError::Failed { call, .. } if call == "sign"));
    assert_eq!(refused("x", Error::WrongPin { tries: 2 }), TokenError::WrongPin { tries_left: Some(2) });
    assert_eq!(refused("x", Error::WrongPin { tries: 0 }), TokenError::PinLocked);
    assert!(matches!(refused("x", Error::NotSupported), TokenError::NotSupported { .. }));
    assert!(matches!(refused("x", Error::GenericError), TokenError::Failed { .. }));
    assert!(is_lost(&pcsc(Pcsc::ResetCard)) && is_lost(&Error::PcscError { inner: None }));
    assert!(!is_lost(&Error::AuthenticationError));
}

#[test]
fn a_refusal_for_want_of_authentication_is_told_apart() {
    let (at_once, late) = (Duration::from_millis(60), Duration::from_secs(15));
    let policy = |pin, touch| Some(KeyPolicy { pin, touch });
    let (pin, touch) = (TokenError::NotLoggedIn, TokenError::NotTouched);
    for (policy, logged_out, took, wanted) in [
        (policy(PinPolicy::Once, TouchPolicy::Never), true, at_once, Some(&pin)),
        (policy(PinPolicy::Once, TouchPolicy::Never), false, at_once, None),
        (policy(PinPolicy::Once, TouchPolicy::Always), true, at_once, Some(&pin)),
        // Somebody else's program held the card for so long.
        (policy(PinPolicy::Once, TouchPolicy::Always), true, late, Some(&pin)),
        (policy(PinPolicy::Once, TouchPolicy::Cached), false, late, Some(&touch)),
        (policy(PinPolicy::Never, TouchPolicy::Always), true, late, Some(&touch)),
        (policy(PinPolicy::Never, TouchPolicy::Never), true, at_once, None),
        (policy(PinPolicy::Always, TouchPolicy::Always), false, at_once, Some(&pin)),
        (policy(PinPolicy::Always, TouchPolicy::Always), false, late, Some(&touch)),
        (policy(PinPolicy::Always, TouchPolicy::Never), false, late, Some(&pin)),
        (None, true, at_once, Some(&pin)),
        (None, false, late, Some(&touch)),
    ] {
        let judged = judge(&content(policy), Seen { logged_out, took });
        assert_eq!(judged.as_ref(), wanted, "{policy:?} {logged_out} {took:?}");
    }
}

#[test]
fn policies_reach_the_card_as_they_were_chosen() {
    for (policy, pin, touch) in [
        (KeyPolicy::PIN_ONCE, 2, 1),
        (KeyPolicy { pin: PinPolicy::Always, touch: TouchPolicy::Always }, 3, 2),
        (KeyPolicy { pin: PinPolicy::Never, touch: TouchPolicy::Cached }, 1, 3),
    ] {
        let (on_card, by_touch) = card_policy(policy);
        assert_eq!((u8::from(on_card), u8::from(by_touch)), (pin, touch), "{policy:?}");
    }
}

#[test]
fn a_certificate_of_ours_is_read_back() {
    for (id, label) in [(0x9c, "root of Zürich"), (0x9d, "touchmark vault (ecdh)"), (0x82, &"l".repeat(300))]
    {
        let slot = Slot::of_id(&[id]).unwrap();
        let made = make(slot, label, &public(7)).unwrap();
        let object = [element(0x70, &made).as_slice(), &[0x71, 1, 0, 0xfe, 0]].concat();
        let found = Found { public: public(7), label: Some(label.to_owned()) };
        assert_eq!(parse(&object), Some(found));
        let compressed = [element(0x70, &made).as_slice(), &[0x71, 1, 1, 0xfe, 0]].concat();
        assert_eq!(parse(&compressed), None);
        for end in 0..object.len() - 5 {
            assert_eq!(parse(&object[..end]), None, "cut at {end}");
        }
    }
}

#[test]
fn what_is_no_certificate_is_none() {
    for object in
        [&[][..], &[0x70], &[0x70, 0], &[0x70, 0x82, 1], &[0x70, 0x84, 0, 0, 0, 1, 0], &[0x53, 1, 0]]
    {
        assert_eq!(parse(object), None, "{object:02x?}");
    }
}

/// Keeps every line of the `log` crate, of any level.
struct Everything(Mutex<Vec<String>>);

static LINES: Everything = Everything(Mutex::new(Vec::new()));

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }
    fn flush(&self) {}
}

/// The crate shows APDUs at trace: no build of ours has such lines, whoever listens.
#[test]
fn nothing_is_logged_at_trace() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    log::trace!(target: "yubikey::transaction", ">>> [0, 32, 0, 128, 8, 49, 50, 51, 52, 53, 54, 255, 255]");
    log::debug!(target: "yubikey::transaction", "a line that may be seen");
    let lines = LINES.0.lock().unwrap();
    assert!(lines.iter().any(|line| line == "a line that may be seen"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with(">>>")), "{lines:?}");
}
