//! What to look for: a key in every form that arithmetic and encodings give it, what gives a key away, and PINs.
//!
//! `p256` computes with a number as it is, in limbs; `ring` keeps the key, the nonce and its inverse in Montgomery form
//! (times 2^256 mod n), in limbs too, and on the way to the inverse some powers of the nonce.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use p256::Scalar;
use p256::elliptic_curve::ff::PrimeField as _;

use super::nonce;

/// Bytes by which memory and needles are compared first.
pub(super) const WINDOW: usize = 4;
/// A run of a key this long is a find.
const RUN: usize = 8;
/// The filter has this many bits.
const FILTER_BITS: u32 = 20;

/// Byte strings to look for, each with the length from which a part of it counts.
#[derive(Default)]
pub struct Needles {
    pub(super) all: Vec<Needle>,
    /// Where each window of four bytes stands in which needles.
    windows: HashMap<u32, Vec<(usize, usize)>>,
    filter: Vec<u64>,
}

/// A signature and what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// SHA-256 of what was signed.
    pub digest: [u8; 32],
    /// r and s, big endian.
    pub signature: [u8; 64],
}

/// One byte string.
pub(super) struct Needle {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) min_run: usize,
}

impl Needles {
    /// The key and, for each SHA-256 digest that it signed, the nonce of RFC 6979 and what it can be computed from.
    ///
    /// # Panics
    /// When the bytes are no P-256 key.
    #[must_use]
    pub fn for_key(key: &[u8; 32], digests: &[[u8; 32]]) -> Self {
        let mut needles = Self::default();
        needles.add_key("key", key);
        for (number, digest) in digests.iter().enumerate() {
            needles.add_nonce(&format!("digest {number}"), key, digest);
        }
        needles
    }

    /// One more key without digests.
    #[must_use]
    pub fn key(mut self, key: &[u8; 32]) -> Self {
        self.add_key("key", key);
        self
    }

    /// One more key, called this.
    #[must_use]
    pub fn named_key(mut self, name: &str, key: &[u8; 32]) -> Self {
        self.add_key(name, key);
        self
    }

    /// The nonce of each of these signatures, which the key tells whoever has it: however it was drawn.
    ///
    /// # Panics
    /// When one was not made with this key.
    #[must_use]
    pub fn nonces(mut self, key: &[u8; 32], all: &[Signed]) -> Self {
        for (number, signed) in all.iter().enumerate() {
            let nonce = nonce::of_signature(key, &signed.digest, &signed.signature);
            let of = format!("signature {number}");
            self.add_numbers(&of, &nonce.numbers(key, &signed.digest));
            for (power, number) in nonce.powers() {
                let little_endian = number.into_iter().rev().collect();
                self.add(format!("k^{power} in Montgomery form, {of}"), little_endian, RUN);
            }
        }
        self
    }

    /// A PIN or passphrase, as it is and whole.
    ///
    /// # Panics
    /// When it is shorter than six bytes: it would be found anywhere.
    #[must_use]
    pub fn secret(mut self, name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 6, "{name} is too short to be looked for");
        self.add(name.to_owned(), bytes.to_vec(), bytes.len());
        self
    }

    /// The needles, and the places in them, that have these four bytes.
    pub(super) fn at(&self, window: u32) -> &[(usize, usize)] {
        let (word, bit) = filter_place(window);
        if self.filter.get(word).is_none_or(|bits| bits & bit == 0) {
            return &[];
        }
        self.windows.get(&window).map_or(&[], Vec::as_slice)
    }

    fn add_key(&mut self, name: &str, key: &[u8; 32]) {
        let d = Scalar::from_repr((*key).into()).expect("a P-256 key");
        let inverse = Scalar::invert(&d).expect("not zero");
        self.add_number(name, key);
        self.add_number(&format!("n - {name}"), &(-d).to_repr().into());
        self.add_number(&format!("1 / {name}"), &inverse.to_repr().into());
        self.add_number(&format!("{name} in Montgomery form"), &nonce::montgomery(d).to_repr().into());
        let lower: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(format!("{name}, HEX"), lower.to_uppercase().into_bytes(), 2 * RUN);
        self.add(format!("{name}, hex"), lower.into_bytes(), 2 * RUN);
        for shift in 0..3 {
            self.add(format!("{name}, base64 shifted by {shift}"), base64_inside(key, shift), 11);
        }
    }

    fn add_nonce(&mut self, of: &str, key: &[u8; 32], digest: &[u8; 32]) {
        let secrets = nonce::secrets(key, digest);
        self.add_numbers(of, &secrets.numbers);
        for (name, words) in secrets.midstates {
            let bytes = |word: fn(u32) -> [u8; 4]| words.iter().flat_map(|w| word(*w)).collect::<Vec<u8>>();
            self.add(format!("{name}, {of}"), bytes(u32::to_le_bytes), RUN);
            self.add(format!("{name}, {of}, big endian"), bytes(u32::to_be_bytes), RUN);
        }
    }

    fn add_numbers(&mut self, of: &str, numbers: &[(&str, [u8; 32])]) {
        for (name, number) in numbers {
            self.add_number(&format!("{name}, {of}"), number);
        }
    }

    /// A number of 32 bytes in every order that words and limbs give it.
    fn add_number(&mut self, name: &str, big_endian: &[u8; 32]) {
        let groups =
            |bytes: &[u8], size| bytes.chunks(size).flat_map(|group| group.iter().rev()).copied().collect();
        let little_endian: Vec<u8> = big_endian.iter().rev().copied().collect();
        self.add(format!("{name}, big endian"), big_endian.to_vec(), RUN);
        self.add(format!("{name}, little endian limbs in big order"), groups(big_endian, 8), RUN);
        self.add(format!("{name}, big endian limbs in little order"), groups(&little_endian, 8), RUN);
        self.add(format!("{name}, big endian words in little order"), groups(&little_endian, 4), RUN);
        self.add(format!("{name}, little endian"), little_endian, RUN);
        // As the words of a hash block hold it, wherever in the block it began.
        for shift in 0..4 {
            let whole = (big_endian.len() - shift) / 4 * 4;
            let words = groups(&big_endian[shift..shift + whole], 4);
            self.add(format!("{name}, words swapped, shifted by {shift}"), words, RUN);
        }
    }

    fn add(&mut self, name: String, bytes: Vec<u8>, min_run: usize) {
        self.filter.resize(1 << (FILTER_BITS - 6), 0);
        let number = self.all.len();
        for (at, window) in bytes.windows(WINDOW).enumerate() {
            let window = u32::from_le_bytes(window.try_into().expect("four bytes"));
            self.windows.entry(window).or_default().push((number, at));
            let (word, bit) = filter_place(window);
            self.filter[word] |= bit;
        }
        self.all.push(Needle { name, bytes, min_run });
    }
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} needles", self.all.len())
    }
}

/// The characters that the key alone decides when `shift` bytes stand before it and others after.
fn base64_inside(key: &[u8; 32], shift: usize) -> Vec<u8> {
    let text = STANDARD_NO_PAD.encode([&vec![0; shift], key.as_slice()].concat()).into_bytes();
    let (first, end) = ((shift * 8).div_ceil(6), (shift + key.len()) * 8 / 6);
    text[first..end].to_vec()
}

fn filter_place(window: u32) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9e37_79b1) >> (32 - FILTER_BITS);
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}
