//! Wrapping and unwrapping the vault key.
//!
//! Every way ends in 32 secret bytes that only the token or the person can make again. A key-encryption key comes
//! from them by HKDF-SHA-256 (RFC 5869) over a label and the way's header, which names both public points, the RSA
//! key or the salt; the vault key is sealed under it with the header as associated data. So a wrong answer is always
//! seen, and no field of a stored way can be changed.
use hkdf::Hkdf;
use sha2::Sha256;

use super::Open;
use super::aead;
use super::error::VaultError;
use super::locked::{Inside, Locked, SecretBuf};
use super::oaep::RsaKey;
use super::passphrase::{Cost, derive};
use super::scalar::{self, Point};
use super::way::{Method, Way};

const LABEL: &[u8] = b"touchmark vault way";

/// To whom the vault key is wrapped.
#[derive(Debug)]
pub enum WrapTo<'a> {
    /// A P-256 key on a token that can derive.
    Ecdh {
        /// 0x04, X, Y.
        token_point: [u8; 65],
    },
    /// An RSA-2048 key on a token that can decrypt OAEP with SHA-1, the one set of parameters that common tokens
    /// share. (SHA-1's collisions do not matter to OAEP.)
    RsaOaep {
        /// DER SubjectPublicKeyInfo.
        spki: &'a [u8],
    },
    /// A person.
    Passphrase(&'a SecretBuf),
}

pub(super) fn wrap(locked: &Locked, open: &Open, to: WrapTo<'_>) -> Result<Way, VaultError> {
    match to {
        WrapTo::Ecdh { token_point } => {
            locked.inside(|inside| wrap_ecdh(open, Point(token_point), inside))?
        }
        WrapTo::RsaOaep { spki } => {
            let key = RsaKey::from_spki(spki)?;
            locked.inside(|inside| wrap_oaep(open, &key, spki, inside))?
        }
        WrapTo::Passphrase(passphrase) => wrap_passphrase(locked, open, passphrase),
    }
}

/// Writes the vault key of `way` into `opened`.
pub(super) fn unwrap(
    locked: &Locked,
    way: &Way,
    answer: &SecretBuf,
    mut opened: Open,
) -> Result<Open, VaultError> {
    match &way.method {
        Method::Ecdh { .. } | Method::RsaOaep { .. } => locked.inside(|inside| {
            let shared = answer.expose().try_into().map_err(|_| VaultError::Wrong)?;
            unseal(&mut opened, way, shared, inside)
        })??,
        Method::Argon2id { cost, salt } => {
            let mut blocks = cost.blocks(locked)?;
            locked.aside(|inside| {
                let mut shared = [0; 32];
                derive(*cost, salt, answer.expose(), &mut blocks, &mut shared, inside)?;
                unseal(&mut opened, way, &shared, inside)
            })??;
        }
    }
    Ok(opened)
}

fn wrap_ecdh(open: &Open, token: Point, inside: &Inside<'_>) -> Result<Way, VaultError> {
    let (mut key, mut shared) = ([0; 32], [0; 32]);
    let ephemeral = scalar::generate(&mut key, inside)?;
    scalar::agree(&key, &token, &mut shared, inside)
        .ok_or(VaultError::TokenKey("its point is not on the curve P-256"))?;
    seal(open, Method::Ecdh { token, ephemeral }, &shared, inside)
}

fn wrap_oaep(open: &Open, key: &RsaKey, spki: &[u8], inside: &Inside<'_>) -> Result<Way, VaultError> {
    let mut shared = [0; 32];
    getrandom::fill(&mut shared)?;
    let ciphertext = key.encrypt(&shared, inside)?.to_vec();
    seal(open, Method::RsaOaep { spki: spki.to_vec(), ciphertext }, &shared, inside)
}

fn wrap_passphrase(locked: &Locked, open: &Open, passphrase: &SecretBuf) -> Result<Way, VaultError> {
    if passphrase.is_empty() {
        return Err(VaultError::NoPassphrase);
    }
    let (cost, mut salt) = (Cost::NEW, [0; 16]);
    getrandom::fill(&mut salt)?;
    let mut blocks = cost.blocks(locked)?;
    locked.aside(|inside| {
        let mut shared = [0; 32];
        derive(cost, &salt, passphrase.expose(), &mut blocks, &mut shared, inside)?;
        seal(open, Method::Argon2id { cost, salt }, &shared, inside)
    })?
}

fn seal(open: &Open, method: Method, shared: &[u8; 32], inside: &Inside<'_>) -> Result<Way, VaultError> {
    let header = method.header();
    let wrapping = wrapping_key(shared, &header, inside)?;
    let vault_key = open.slots.read(&open.vault_key, inside).ok_or(VaultError::LostSlot)?;
    let sealed = aead::seal(&wrapping, &header, vault_key, inside)?;
    Ok(Way { method, sealed })
}

fn unseal(opened: &mut Open, way: &Way, shared: &[u8; 32], inside: &Inside<'_>) -> Result<(), VaultError> {
    let header = way.method.header();
    let wrapping = wrapping_key(shared, &header, inside)?;
    let vault_key = opened.slots.write(&opened.vault_key, inside).ok_or(VaultError::LostSlot)?;
    if aead::open(&wrapping, &header, &way.sealed, vault_key, inside) {
        Ok(())
    } else {
        Err(VaultError::Wrong)
    }
}

fn wrapping_key(shared: &[u8; 32], header: &[u8], _: &Inside<'_>) -> Result<[u8; 32], VaultError> {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, shared)
        .expand_multi_info(&[LABEL, header], &mut key)
        .map_err(|_| VaultError::Primitive("HKDF-SHA-256"))?;
    Ok(key)
}

#[cfg(test)]
mod tests;
