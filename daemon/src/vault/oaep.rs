//! RSA-OAEP encryption (RFC 8017 section 7.1.1) with SHA-1, MGF1-SHA-1 and an empty label, for RSA-2048 with e = 65537.
//!
//! Written here because the one well-kept RSA crate keeps its numbers on the heap: what is encrypted opens the vault,
//! so padding and exponentiation stay on the locked stack, in integers of fixed size.
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode as _, Reader as _, SliceReader};
use p256::elliptic_curve::bigint::modular::{FixedMontyForm, FixedMontyParams};
use p256::elliptic_curve::bigint::{Odd, U2048};
use sha1::{Digest as _, Sha1};

use super::error::VaultError;
use super::locked::Inside;

/// Bytes of the modulus, of the padded message and of the ciphertext.
const LEN: usize = 256;
const HASH_LEN: usize = 20;
/// Bytes of the data block: label hash, zeros, 0x01, message.
const BLOCK_LEN: usize = LEN - HASH_LEN - 1;

/// rsaEncryption, RFC 8017 appendix A.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A token's public key.
pub(super) struct RsaKey {
    modulus: Odd<U2048>,
}

impl RsaKey {
    /// Reads a DER SubjectPublicKeyInfo.
    pub(super) fn from_spki(spki: &[u8]) -> Result<Self, VaultError> {
        let refused = VaultError::TokenKey;
        let modulus = modulus(spki).map_err(|_| refused("it is no RSA key with the exponent 65537"))?;
        if modulus.len() != LEN || modulus.first().is_none_or(|first| *first < 0x80) {
            return Err(refused("it is not an RSA key of 2048 bits"));
        }
        let modulus = Odd::new(U2048::from_be_slice(modulus)).into_option();
        modulus.map(|modulus| Self { modulus }).ok_or(refused("its modulus is even"))
    }

    /// Encrypts 32 bytes; the ciphertext is as long as the modulus.
    pub(super) fn encrypt(&self, message: &[u8; 32], inside: &Inside<'_>) -> Result<[u8; LEN], VaultError> {
        let mut seed = [0; HASH_LEN];
        getrandom::fill(&mut seed)?;
        Ok(self.encrypt_with(message, seed, inside))
    }

    fn encrypt_with(&self, message: &[u8; 32], mut seed: [u8; HASH_LEN], _: &Inside<'_>) -> [u8; LEN] {
        let mut block = [0; BLOCK_LEN];
        let (label_hash, rest) = block.split_at_mut(HASH_LEN);
        label_hash.copy_from_slice(&Sha1::digest([]));
        if let Some((tail, text)) = rest.split_last_chunk_mut::<32>() {
            *text = *message;
            if let Some(one) = tail.last_mut() {
                *one = 1;
            }
        }
        mask(&mut block, &seed);
        mask(&mut seed, &block);
        let mut padded = [0; LEN]; // its first byte stays zero, so the number is below the modulus
        let (head, tail) = padded.split_at_mut(1 + HASH_LEN);
        if let Some((_, seed_part)) = head.split_first_mut() {
            seed_part.copy_from_slice(&seed);
        }
        tail.copy_from_slice(&block);
        let params = FixedMontyParams::new_vartime(self.modulus);
        let base = FixedMontyForm::new(&U2048::from_be_slice(&padded), &params);
        base.square_repeat_vartime(16).mul(&base).retrieve().to_be_bytes().into()
    }
}

/// XORs MGF1-SHA-1 of `seed` onto `target` (RFC 8017 appendix B.2.1).
fn mask(target: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(target.chunks_mut(HASH_LEN)) {
        let digest = Sha1::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        chunk.iter_mut().zip(digest).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// The modulus of an RSA key with e = 65537, without leading zeros.
fn modulus(spki: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(spki)?;
    let key = reader.sequence(|reader| {
        let algorithm = reader.sequence(|reader| {
            let oid = ObjectIdentifier::decode(reader)?;
            AnyRef::decode(reader)?.decode_as::<der::asn1::Null>()?;
            Ok::<_, der::Error>(oid)
        })?;
        if algorithm != RSA {
            return Err(der::ErrorKind::OidUnknown { oid: algorithm }.into());
        }
        BitStringRef::decode(reader)
    })?;
    reader.finish()?;
    let mut reader = SliceReader::new(key.as_bytes().ok_or(der::ErrorKind::Failed)?)?;
    let (modulus, exponent) = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        Ok::<_, der::Error>((modulus, UintRef::decode(reader)?))
    })?;
    reader.finish()?;
    if exponent.as_bytes() != EXPONENT {
        return Err(der::ErrorKind::Failed.into());
    }
    Ok(modulus.as_bytes())
}

#[cfg(test)]
mod tests;
