//! What one signature leaves behind: any of these numbers and the signature are the key.
//!
//! The nonce of RFC 6979 (section 3.2, SHA-256, P-256) is made anew here with all its steps kept. A nonce that was drawn
//! at random follows from the signature and the key.

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
    let z_bytes: [u8; 32] = number(digest).to_repr().into();
    let (k0, v0) = ([0; 32], [1; 32]);
    let k1 = hmac(&k0, &[&v0, &[0], key, &z_bytes]);
    let v1 = hmac(&k1, &[&v0]);
    let k2 = hmac(&k1, &[&v1, &[1], key, &z_bytes]);
    let v2 = hmac(&k2, &[&v1]);
    let nonce = hmac(&k2, &[&v2]); // also V; out of range with a chance of 2^-32, which no test meets
    let k = Scalar::from_repr(nonce.into()).expect("a nonce below the order");
    let numbers = Nonce::new(k).numbers(key, digest);
    let drbg = [("K1", k1), ("V1", v1), ("K2", k2), ("V2", v2)];
    Secrets {
        numbers: numbers.into_iter().chain(drbg).collect(),
        midstates: vec![
            ("inner state of K1", midstate(&k1, 0x36)),
            ("outer state of K1", midstate(&k1, 0x5c)),
            ("inner state of K2", midstate(&k2, 0x36)),
            ("outer state of K2", midstate(&k2, 0x5c)),
        ],
    }
}

/// k = (z + r * d) / s.
pub(super) fn of_signature(key: &[u8; 32], digest: &[u8; 32], signature: &[u8; 64]) -> Nonce {
    let (r, s) = (number(&signature[..32]), number(&signature[32..]));
    let k = (number(digest) + r * number(key)) * Scalar::invert(&s).expect("a signature");
    assert_eq!(r_of(k), r, "the signature was made with another key, or over something else");
    Nonce { k, r }
}

/// The nonce of one signature.
pub(super) struct Nonce {
    k: Scalar,
    r: Scalar,
}

impl Nonce {
    fn new(k: Scalar) -> Self {
        Self { k, r: r_of(k) }
    }

    /// It, and what is computed from it with this key over this digest.
    pub(super) fn numbers(&self, key: &[u8; 32], digest: &[u8; 32]) -> Vec<(&'static str, [u8; 32])> {
        let (k, r, z, d) = (self.k, self.r, number(digest), number(key));
        let inverse = Scalar::invert(&k).expect("not zero");
        let numbers = [
            ("k", k),
            ("1/k", inverse),
            ("n - k", -k),
            ("r * key", r * d),
            ("z + r * key", z + r * d),
            ("k in Montgomery form", montgomery(k)),
            ("1/k in Montgomery form", montgomery(inverse)),
        ];
        numbers.map(|(name, number)| (name, number.to_repr().into())).to_vec()
    }

    /// The powers, in Montgomery form, over which `ring` goes to 1/k; a square root away from k.
    pub(super) fn powers(&self) -> Vec<(usize, [u8; 32])> {
        const ALL: [usize; 18] = [2, 4, 5, 7, 8, 16, 32, 39, 43, 47, 79, 86, 91, 92, 99, 191, 223, 255];
        let powers = std::iter::successors(Some(Scalar::ONE), |power| Some(power * &self.k));
        let wanted = powers.take(256).enumerate().filter(|(n, _)| ALL.contains(n));
        wanted.map(|(n, power)| (n, montgomery(power).to_repr().into())).collect()
    }
}

/// number * 2^256 mod n.
pub(super) fn montgomery(number: Scalar) -> Scalar {
    // 2^256 is one more than this, the largest of 256 bits.
    number * (Scalar::reduce(&U256::MAX) + Scalar::ONE)
}

fn r_of(k: Scalar) -> Scalar {
    number(&(ProjectivePoint::GENERATOR * k).to_affine().x())
}

fn number(bytes: &[u8]) -> Scalar {
    Scalar::reduce(&U256::from_be_slice(bytes))
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
