//! Checking signatures: the one threshold function, and the cryptography behind a small trait. Public keys only.
use std::collections::{BTreeMap, BTreeSet};

use ring::signature as ring_signature;
use ring::signature::UnparsedPublicKey;

use crate::der_form::Material;
use crate::document::RoleKeys;
use crate::error::VerifyError;
use crate::ids::KeyId;
use crate::key::PublicKey;
use crate::signature::{EcdsaSignature, Method, Signature, raw_to_der};

/// Checks one signature by one key.
pub trait CheckSignature {
    /// Whether `signature` (raw: r‖s for ECDSA) is the key's over `message`. False too for a key or method that cannot
    /// be checked.
    fn check(&self, key: &PublicKey, method: Method, message: &[u8], signature: &[u8]) -> bool;
}

/// The check by the `ring` library.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

impl CheckSignature for Ring {
    fn check(&self, key: &PublicKey, method: Method, message: &[u8], signature: &[u8]) -> bool {
        let Some(material) = key.material() else { return false };
        match (material, method) {
            (Material::P256(point), Method::Ecdsa) => {
                UnparsedPublicKey::new(&ring_signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            // ring has no raw form for SHA-256 on P-384, which is what Notary signs with.
            (Material::P384(point), Method::Ecdsa) => {
                signature.len() == 96
                    && raw_to_der(signature).is_some_and(|der| {
                        UnparsedPublicKey::new(&ring_signature::ECDSA_P384_SHA256_ASN1, point)
                            .verify(message, &der)
                            .is_ok()
                    })
            }
            (Material::Rsa(public), Method::RsaPss) => {
                UnparsedPublicKey::new(&ring_signature::RSA_PSS_2048_8192_SHA256, public)
                    .verify(message, signature)
                    .is_ok()
            }
            (Material::Rsa(public), Method::RsaPkcs1v15) => {
                UnparsedPublicKey::new(&ring_signature::RSA_PKCS1_2048_8192_SHA256, public)
                    .verify(message, signature)
                    .is_ok()
            }
            (Material::Ed25519(public), Method::EdDsa) => {
                UnparsedPublicKey::new(&ring_signature::ED25519, public).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Whether `signature` is that of the P-256 key with that uncompressed `point` over the SHA-256 of `message`.
#[must_use]
pub fn verify_p256(point: &[u8; 65], message: &[u8], signature: &EcdsaSignature) -> bool {
    UnparsedPublicKey::new(&ring_signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(message, signature.as_bytes())
        .is_ok()
}

/// Checks that enough keys of a role signed `message`. Each key counts once: by its id, and by what it is made of, so
/// that one key under two ids (two certificates) is one. Gives the ids of the keys that count, in the role's order.
///
/// # Errors
/// If fewer than the role's threshold signed.
pub fn threshold(
    role: &RoleKeys,
    keys: &BTreeMap<KeyId, PublicKey>,
    message: &[u8],
    signatures: &[Signature],
    checker: &dyn CheckSignature,
) -> Result<Vec<KeyId>, VerifyError> {
    let mut materials = BTreeSet::new();
    let mut signers: Vec<KeyId> = Vec::new();
    for key_id in &role.key_ids {
        let Some(key) = keys.get(key_id).filter(|key| key.id() == *key_id) else { continue };
        let Some(material) = key.material() else { continue };
        if signers.contains(key_id) || materials.contains(&material) {
            continue;
        }
        let mut own = signatures.iter().filter(|signature| signature.key_id == *key_id);
        if own.any(|signature| checker.check(key, signature.method, message, &signature.bytes)) {
            materials.insert(material);
            signers.push(*key_id);
        }
    }
    let valid = u32::try_from(signers.len()).unwrap_or(u32::MAX);
    let needed = role.threshold.get();
    if valid < needed { Err(VerifyError { valid, needed }) } else { Ok(signers) }
}

#[cfg(test)]
mod tests;
