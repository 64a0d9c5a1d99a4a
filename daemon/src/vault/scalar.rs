//! P-256 private keys as 32-byte scalars (big endian). Every function runs on a locked stack: it asks for the proof.
//!
//! `p256` makes the keys. `ring` signs: in a quarter of the time, everything that it computes stands on the stack, it
//! allocates nothing and keeps nothing, and it compares the scalar with its public point each time.
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{NonZeroScalar, ProjectivePoint, PublicKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::error::VaultError;
use super::locked::{Inside, Public};

/// A public point: 0x04, X, Y (SEC 1 section 2.3.3, uncompressed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point(pub(super) [u8; 65]);

/// r and s, 32 bytes each, big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawSignature(pub(super) [u8; 64]);

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignFault {
    /// The number is no private key, or not that of the public point.
    Mismatch,
    /// No random number, or none that fits: the system's fault.
    Refused,
}

impl Public for Point {}
impl Public for RawSignature {}
impl Public for SignFault {}

/// Writes a new key to where it stays, in 1..n-1, and answers its public point.
pub(super) fn generate(key: &mut [u8; 32], inside: &Inside<'_>) -> Result<Point, VaultError> {
    loop {
        getrandom::fill(key)?;
        // Out of range with a chance of 2^-32: draw again, so that every key is equally likely.
        if let Some(point) = point(key, inside) {
            return Ok(point);
        }
    }
}

/// The public point; `None` when the number is no private key (zero, or not below the order).
pub(super) fn point(key: &[u8; 32], inside: &Inside<'_>) -> Option<Point> {
    // Like any other point, not by p256's own way for the generator: where a crate has asked for its tables, that builds
    // them on the stack that comes first, and they take more than a locked one has.
    let public = ProjectivePoint::GENERATOR * *scalar(key, inside)?;
    let encoded = PublicKey::from_affine(public.to_affine()).ok()?.to_sec1_point(false);
    encoded.as_bytes().try_into().ok().map(Point)
}

/// ECDSA over SHA-256 of `message`. The nonce is random, and hashed with key and message, so that a random generator
/// that repeats itself gives nothing away.
pub(super) fn sign(
    key: &[u8; 32],
    point: &Point,
    message: &[u8],
    _: &Inside<'_>,
) -> Result<RawSignature, SignFault> {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, key, &point.0, &random)
        .map_err(|_| SignFault::Mismatch)?;
    let signature = pair.sign(&random, message).map_err(|_| SignFault::Refused)?;
    signature.as_ref().try_into().map(RawSignature).map_err(|_| SignFault::Refused)
}

/// The x-coordinate of `key` times `point` (SEC 1 section 3.3.1). `None`: the point is not on the curve.
pub(super) fn agree(key: &[u8; 32], point: &Point, shared: &mut [u8; 32], inside: &Inside<'_>) -> Option<()> {
    let peer = PublicKey::from_sec1_bytes(&point.0).ok()?;
    let secret = p256::ecdh::diffie_hellman(scalar(key, inside)?, peer.as_affine());
    shared.copy_from_slice(secret.raw_secret_bytes());
    Some(())
}

fn scalar(key: &[u8; 32], _: &Inside<'_>) -> Option<NonZeroScalar> {
    NonZeroScalar::from_repr((*key).into()).into_option()
}

#[cfg(test)]
mod tests;
