//! OAEP against an independent implementation, and the keys that are refused.
use p256::elliptic_curve::bigint::U2048;
use p256::elliptic_curve::bigint::modular::{FixedMontyForm, FixedMontyParams};

use super::{HASH_LEN, LEN, RsaKey, mask};
use crate::vault::VaultError;
use crate::vault::testing::{memory, open_vault, sample, secret};
use crate::vault::{WayAsk, WrapTo};

const SAMPLES: &str = include_str!("../samples/oaep-rsa2048.txt");

#[test]
fn encrypts_as_another_implementation_does() {
    let samples = sample(SAMPLES);
    let key = RsaKey::from_spki(&samples["spki"]).unwrap();
    let message: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let seed = std::array::from_fn(|at| u8::try_from(100 + at).unwrap());
    let mut ciphertext = [0; LEN];
    let locked = memory();
    locked.inside(|inside| ciphertext = key.encrypt_with(&message, seed, inside)).unwrap();
    assert_eq!(ciphertext.as_slice(), samples["ciphertext"]);
}

#[test]
fn vault_opens_with_what_the_private_key_decrypts() {
    let samples = sample(SAMPLES);
    let vault = open_vault();
    let way = vault.wrap(WrapTo::RsaOaep { spki: &samples["spki"] }).unwrap();
    vault.lock();
    let WayAsk::RsaOaep { ciphertext } = way.ask() else { panic!("another way than was asked for") };
    let answer = decrypt(&samples["spki"], &samples["private"], &ciphertext);
    assert_eq!(answer.len(), 32);
    vault.open(&way, &secret(vault.memory(), &answer)).unwrap();
}

#[test]
fn other_keys_are_refused() {
    let samples = sample(SAMPLES);
    let mut even = samples["spki"].clone();
    *even.iter_mut().rev().nth(5).unwrap() &= 0xfe; // the modulus ends right before the exponent's five bytes
    let ec = touchmark_tuf::PublicKey::from_p256_point(&[4; 65]).spki().unwrap();
    for spki in [&samples["rsa3072"], &samples["exponent3"], &even, &ec, &Vec::new()] {
        assert!(matches!(RsaKey::from_spki(spki), Err(VaultError::TokenKey(_))));
    }
    let longer = [samples["spki"].as_slice(), &[0]].concat();
    assert!(matches!(RsaKey::from_spki(&longer), Err(VaultError::TokenKey(_))));
}

/// RFC 8017 section 7.1.2, for the test alone.
fn decrypt(spki: &[u8], private: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let params = FixedMontyParams::new_vartime(RsaKey::from_spki(spki).unwrap().modulus);
    let base = FixedMontyForm::new(&U2048::from_be_slice(ciphertext), &params);
    let padded: [u8; LEN] = base.pow(&U2048::from_be_slice(private)).retrieve().to_be_bytes().into();
    let (mut seed, mut block) = (padded[1..=HASH_LEN].to_vec(), padded[1 + HASH_LEN..].to_vec());
    mask(&mut seed, &block);
    mask(&mut block, &seed);
    let text = &block[HASH_LEN..];
    let one = text.iter().position(|byte| *byte == 1).unwrap();
    assert!(padded[0] == 0 && text[..one].iter().all(|byte| *byte == 0));
    text[one + 1..].to_vec()
}
