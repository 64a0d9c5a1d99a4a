//! The shelf: what stays, what goes, and that nothing is taken for something else.
use std::sync::Arc;

use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use touchmark_tuf::{CheckSignature as _, Method, PublicKey};

use super::{Checked, EACH, Shelf, lock};

#[test]
fn the_first_goes_first_and_the_sum_is_kept() {
    let mut shelf = Shelf::new(3 * (EACH + 10));
    for number in 0..10_u32 {
        shelf.put(number, &Arc::new(number), 10);
    }
    assert_eq!((0..10).filter_map(|number| shelf.get(&number)).map(|n| *n).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(shelf.weight, 3 * (EACH + 10));
    assert_eq!(shelf.order.len(), 3);
}

#[test]
fn what_is_put_again_counts_once() {
    let mut shelf = Shelf::new(3 * (EACH + 10));
    for value in 0..10_u32 {
        shelf.put("same", &Arc::new(value), 10);
    }
    assert_eq!((*shelf.get(&"same").unwrap(), shelf.weight, shelf.order.len()), (9, EACH + 10, 1));
}

#[test]
fn what_is_too_heavy_is_not_kept_and_drives_nothing_out() {
    let mut shelf = Shelf::new(2 * EACH);
    shelf.put("small", &Arc::new(()), 1);
    shelf.put("large", &Arc::new(()), 2 * EACH);
    assert!(shelf.get(&"small").is_some() && shelf.get(&"large").is_none());
}

#[test]
fn a_good_signature_is_known_again_and_nothing_passes_for_it() {
    let (key, other) = (p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap(), [8; 32]);
    let other = p256::ecdsa::SigningKey::from_slice(&other).unwrap();
    let [public, stranger] = [&key, &other].map(|key| {
        PublicKey::from_p256_point(key.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap())
    });
    let good: Signature = key.sign(b"message");
    let (good, bad): (_, Signature) = (good.to_bytes(), other.sign(b"message"));
    let checked = Checked::default();
    let check = |key, method, message: &[u8], bytes: &[u8]| checked.check(key, method, message, bytes);

    for _ in 0..2 {
        assert!(!check(&public, Method::Ecdsa, b"message", &bad.to_bytes()));
        assert_eq!(lock(&checked.0).order.len(), 0, "a bad one is not remembered");
    }
    for _ in 0..2 {
        assert!(check(&public, Method::Ecdsa, b"message", &good));
        assert_eq!(lock(&checked.0).order.len(), 1);
    }
    assert!(!check(&stranger, Method::Ecdsa, b"message", &good));
    assert!(!check(&public, Method::RsaPss, b"message", &good));
    assert!(!check(&public, Method::Ecdsa, b"another", &good));
    assert!(!check(&public, Method::Ecdsa, b"message", &bad.to_bytes()));
    assert!(!check(&public, Method::Ecdsa, b"message", &good[..63]));
}
