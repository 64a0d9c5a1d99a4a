//! P-256 on locked stacks against published values.
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier as _;

use super::{Point, RawSignature, SignFault, agree, generate, point, sign};
use crate::vault::testing::{memory, unhex};

fn array<const N: usize>(hex: &str) -> [u8; N] {
    unhex(hex).try_into().unwrap()
}

/// RFC 6979 appendix A.2.5.
const KEY: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";

fn p256_verifies(point: &Point, message: &[u8], signature: &RawSignature) -> bool {
    let key = VerifyingKey::from_sec1_bytes(&point.0).unwrap();
    key.verify(message, &p256::ecdsa::Signature::from_slice(&signature.0).unwrap()).is_ok()
}

/// Keys of `p256`, signatures of `ring`, checked by both: neither is believed alone.
#[test]
fn both_libraries_agree_on_keys_and_signatures() {
    let locked = memory();
    for round in 0..50_u8 {
        let (mut key, message) = ([0; 32], vec![round; 7 * usize::from(round)]);
        let point = locked.inside(|inside| generate(&mut key, inside)).unwrap().unwrap();
        let signature = locked.inside(|inside| sign(&key, &point, &message, inside)).unwrap().unwrap();
        assert!(p256_verifies(&point, &message, &signature), "round {round}");
        let signature = touchmark_tuf::EcdsaSignature::from_raw(signature.0);
        assert!(touchmark_tuf::verify_p256(&point.0, &message, &signature), "round {round}");
    }
}

#[test]
fn no_nonce_is_used_twice() {
    let (locked, key) = (memory(), array(KEY));
    let point = locked.inside(|inside| point(&key, inside)).unwrap().unwrap();
    let [one, two] =
        [(), ()].map(|()| locked.inside(|inside| sign(&key, &point, b"sample", inside)).unwrap().unwrap());
    assert_ne!(one.0[..32], two.0[..32], "r is the nonce's");
}

#[test]
fn scalar_of_another_point_does_not_sign() {
    let (locked, key) = (memory(), array(KEY));
    let other = locked.inside(|inside| point(&[1; 32], inside)).unwrap().unwrap();
    let refused = locked.inside(|inside| sign(&key, &other, b"m", inside)).unwrap();
    assert_eq!(refused, Err(SignFault::Mismatch));
}

/// The same section's public key.
#[test]
fn computes_the_public_point() {
    let key = array(KEY);
    let expected = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    assert_eq!(memory().inside(|inside| point(&key, inside)).unwrap(), Some(Point(array(expected))));
}

/// NIST CAVP, KAS ECC CDH primitive, P-256, COUNT 0.
#[test]
fn agrees_as_nist_says() {
    let key = array("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
    let peer = "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287\
                db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac";
    let mut shared = [0; 32];
    let done = memory().inside(|inside| agree(&key, &Point(array(peer)), &mut shared, inside)).unwrap();
    assert_eq!(done, Some(()));
    assert_eq!(shared, array("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"));
}

#[test]
fn zero_and_the_order_are_no_keys() {
    let order = array("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for key in [[0; 32], order, [0xff; 32]] {
        assert_eq!(memory().inside(|inside| point(&key, inside)).unwrap(), None);
        let refused = memory().inside(|inside| sign(&key, &Point([4; 65]), b"m", inside)).unwrap();
        assert_eq!(refused, Err(SignFault::Mismatch));
    }
}

#[test]
fn generated_keys_differ() {
    let locked = memory();
    let [one, two] =
        [(), ()].map(|()| locked.inside(|inside| generate(&mut [0; 32], inside)).unwrap().unwrap());
    assert_ne!(one, two);
}

#[test]
fn peers_off_the_curve_are_refused() {
    let done = memory().inside(|inside| agree(&[1; 32], &Point([4; 65]), &mut [0; 32], inside)).unwrap();
    assert_eq!(done, None);
}
