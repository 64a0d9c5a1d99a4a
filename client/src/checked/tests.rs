//! RFC 8032, section 7.1: tests 2 and 1.
use touchmark_tuf::KeyType;

use super::*;

const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const MESSAGE: &[u8] = &[0x72];
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
const OTHER_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const OTHER_SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                               5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key(hex: &str) -> PublicKey {
    PublicKey::new(KeyType::Ed25519, &bytes(hex))
}

#[test]
fn a_signature_that_was_good_is_good_for_nothing_else() {
    let checked = Checked::default();
    let (ours, theirs, signature) = (key(KEY), key(OTHER_KEY), bytes(SIGNATURE));
    for _ in 0..2 {
        assert!(checked.check(&ours, Method::EdDsa, MESSAGE, &signature));
        assert!(!checked.check(&ours, Method::EdDsa, b"other", &signature));
        assert!(!checked.check(&ours, Method::EdDsa, MESSAGE, &bytes(OTHER_SIGNATURE)));
        assert!(!checked.check(&ours, Method::Ecdsa, MESSAGE, &signature));
        assert!(!checked.check(&theirs, Method::EdDsa, MESSAGE, &signature));
    }
    assert_eq!(checked.good.lock().unwrap().len(), 1);
    assert!(checked.check(&theirs, Method::EdDsa, b"", &bytes(OTHER_SIGNATURE)));
}

#[test]
fn what_was_good_is_not_checked_again() {
    let checked = Checked::default();
    let (nobody, signature) = (key(KEY), bytes(OTHER_SIGNATURE));
    assert!(!checked.check(&nobody, Method::EdDsa, MESSAGE, &signature));
    checked.good.lock().unwrap().insert(question(&nobody, Method::EdDsa, MESSAGE, &signature));
    assert!(checked.check(&nobody, Method::EdDsa, MESSAGE, &signature));
}

#[test]
fn the_same_bytes_cut_elsewhere_are_another_question() {
    let key = key(KEY);
    assert_ne!(question(&key, Method::EdDsa, b"bc", b"a"), question(&key, Method::EdDsa, b"c", b"ab"));
}
