use std::num::NonZeroU32;

use ring::signature::KeyPair as _;

use super::*;
use crate::KeyType;
use crate::testing::{Key, gun};

const MESSAGE: &[u8] = b"{\"canonical\":1}";

fn role(keys: &[&Key], threshold: u32) -> (RoleKeys, BTreeMap<KeyId, PublicKey>) {
    let key_ids = keys.iter().map(|key| key.public.id()).collect();
    let threshold = NonZeroU32::new(threshold).unwrap();
    (RoleKeys { key_ids, threshold }, keys.iter().map(|key| (key.public.id(), key.public.clone())).collect())
}

fn count(keys: &[&Key], threshold_: u32, signatures: &[Signature]) -> Result<usize, VerifyError> {
    let (role, keys) = role(keys, threshold_);
    threshold(&role, &keys, MESSAGE, signatures, &Ring).map(|signers| signers.len())
}

#[test]
fn each_key_counts_once() {
    let [a, b] = [1, 2].map(Key::plain);
    let (one, two) = (a.sign(MESSAGE), b.sign(MESSAGE));
    assert_eq!(count(&[&a, &b], 2, &[one.clone(), two.clone()]), Ok(2));
    assert_eq!(count(&[&a, &b], 2, &[one.clone(), one.clone()]), Err(VerifyError { valid: 1, needed: 2 }));
    assert_eq!(count(&[&a, &a], 2, &[one.clone(), one]), Err(VerifyError { valid: 1, needed: 2 }));
    assert_eq!(count(&[&a, &b], 1, &[]), Err(VerifyError { valid: 0, needed: 1 }));
}

#[test]
fn one_key_in_two_certificates_is_one_key() {
    let [a, b] = [1, 2].map(|serial| Key::certified(1, &gun(), serial, 0, 9));
    assert_ne!(a.public.id(), b.public.id());
    let signatures = [a.sign(MESSAGE), b.sign(MESSAGE)];
    assert_eq!(count(&[&a, &b], 2, &signatures), Err(VerifyError { valid: 1, needed: 2 }));
    assert_eq!(count(&[&a, &b], 1, &signatures), Ok(1));
}

#[test]
fn a_good_signature_counts_even_behind_a_bad_one_of_its_key() {
    let a = Key::plain(1);
    let signatures = [a.sign(b"other"), a.sign(MESSAGE)];
    assert_eq!(count(&[&a], 1, &signatures), Ok(1));
}

#[test]
fn strangers_and_keys_under_a_wrong_id_do_not_count() {
    let [a, b] = [1, 2].map(Key::plain);
    assert!(count(&[&a], 1, &[b.sign(MESSAGE)]).is_err());
    let (role, _) = role(&[&a], 1);
    let keys = [(a.public.id(), b.public.clone())].into();
    let forged = Signature { key_id: a.public.id(), ..b.sign(MESSAGE) };
    assert!(threshold(&role, &keys, MESSAGE, &[forged], &Ring).is_err());
}

#[test]
fn p256_signatures_are_raw_and_of_the_right_length() {
    let a = Key::plain(1);
    let raw = a.raw(MESSAGE);
    assert!(Ring.check(&a.public, Method::Ecdsa, MESSAGE, raw.as_bytes()));
    assert!(verify_p256(&a.public.p256_point().unwrap(), MESSAGE, &raw));
    assert!(!verify_p256(&a.public.p256_point().unwrap(), b"other", &raw));
    assert!(!Ring.check(&a.public, Method::Ecdsa, MESSAGE, &raw.to_der()));
    assert!(!Ring.check(&a.public, Method::EdDsa, MESSAGE, raw.as_bytes()));
    assert!(!Ring.check(&a.public, Method::Ecdsa, MESSAGE, &raw.as_bytes()[..63]));
    assert!(!Ring.check(
        &PublicKey::new(KeyType::Ecdsa, b"nonsense"),
        Method::Ecdsa,
        MESSAGE,
        raw.as_bytes()
    ));
}

#[test]
fn ed25519_verifies() {
    let pair = ring_signature::Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let key = PublicKey::new(KeyType::Ed25519, pair.public_key().as_ref());
    let signature = pair.sign(MESSAGE);
    assert!(Ring.check(&key, Method::EdDsa, MESSAGE, signature.as_ref()));
    assert!(!Ring.check(&key, Method::EdDsa, b"other", signature.as_ref()));
    assert_eq!(PublicKey::from_spki(&key.spki().unwrap()).unwrap(), key);
}

#[test]
fn keys_of_openssl_verify_by_every_method() {
    // Made with `openssl`: raw signatures over the message "touchmark\n"; see the README beside them.
    let message = include_bytes!("../../tests/data/openssl/message");
    let check = |spki: &[u8], method, signature: &[u8]| {
        let key = PublicKey::from_spki(spki).unwrap();
        let mut tampered = signature.to_vec();
        tampered[7] ^= 1;
        assert!(!Ring.check(&key, method, message, &tampered));
        Ring.check(&key, method, message, signature)
    };
    let rsa = include_bytes!("../../tests/data/openssl/rsa2048.spki");
    assert!(check(rsa, Method::RsaPss, include_bytes!("../../tests/data/openssl/rsa2048.pss")));
    assert!(check(rsa, Method::RsaPkcs1v15, include_bytes!("../../tests/data/openssl/rsa2048.pkcs1")));
    let p384 = include_bytes!("../../tests/data/openssl/p384.spki");
    assert!(check(p384, Method::Ecdsa, include_bytes!("../../tests/data/openssl/p384.raw")));
    assert!(!check(p384, Method::Ecdsa, include_bytes!("../../tests/data/openssl/p384.der")));
}
