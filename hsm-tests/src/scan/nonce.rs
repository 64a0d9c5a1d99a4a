//! RFC 6979 (section 3.2, SHA-256, P-256) with all its steps kept: any of these and one signature are the key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::elliptic_curve::ff::PrimeField as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::{ProjectivePoint, Scalar, U256};
use sha2::Sha256;
use sha2::block_api::compress256;

/// SHA-256's initial state, FIPS 180-4 section 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What one signature leaves behind.
pub(super) struct Secrets {
    /// Numbers and keys of 32 bytes, big endian.
    pub(super) numbers: Vec<(&'static str, [u8; 32])>,
    /// States of SHA-256 keyed with the generator's K.
    pub(super) midstates: Vec<(&'static str, [u32; 8])>,
}

/// All of it for one key and one digest.
pub(super) fn secrets(key: &[u8; 32], digest: &[u8; 32]) -> Secrets {
    let z = Scalar::reduce(&U256::from_be_slice(digest));
    let z_bytes: [u8; 32] = z.to_repr().into();
    let (k0, v0) = ([0; 32], [1; 32]);
    let k1 = hmac(&k0, &[&v0, &[0], key, &z_bytes]);
    let v1 = hmac(&k1, &[&v0]);
    let k2 = hmac(&k1, &[&v1, &[1], key, &z_bytes]);
    let v2 = hmac(&k2, &[&v1]);
    let nonce = hmac(&k2, &[&v2]); // also V; out of range with a chance of 2^-32, which no test meets
    let k = Scalar::from_repr(nonce.into()).expect("a nonce below the order");
    let d = Scalar::from_repr((*key).into()).expect("a P-256 key");
    let r = Scalar::reduce(&U256::from_be_slice(&(ProjectivePoint::GENERATOR * k).to_affine().x()));
    let inverse = Scalar::invert(&k).expect("not zero");
    let numbers = [("k", k), ("1/k", inverse), ("n - k", -k), ("r * key", r * d), ("z + r * key", z + r * d)];
    let drbg = [("K1", k1), ("V1", v1), ("K2", k2), ("V2", v2)];
    Secrets {
        numbers: numbers
            .map(|(name, number)| (name, number.to_repr().into()))
            .into_iter()
            .chain(drbg)
            .collect(),
        midstates: vec![
            ("inner state of K1", midstate(&k1, 0x36)),
            ("outer state of K1", midstate(&k1, 0x5c)),
            ("inner state of K2", midstate(&k2, 0x36)),
            ("outer state of K2", midstate(&k2, 0x5c)),
        ],
    }
}

/// s of the signature, so that a test can check these numbers against a real one.
#[cfg(test)]
pub(super) fn s_of(key: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    let numbers = secrets(key, digest).numbers;
    let [_, inverse, _, _, sum, ..] = numbers.as_slice() else { panic!("five numbers come first") };
    let number = |bytes: [u8; 32]| Scalar::from_repr(bytes.into()).unwrap();
    (number(inverse.1) * number(sum.1)).to_repr().into()
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().into()
}

/// The state after the block that HMAC makes of its key (RFC 2104).
fn midstate(key: &[u8; 32], pad: u8) -> [u32; 8] {
    let mut block = [pad; 64];
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    state
}
