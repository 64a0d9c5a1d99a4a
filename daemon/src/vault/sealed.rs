//! A key at rest: sealed under the vault key, bound to role, repositories and public key.
//!
//! Stored form, version 1, 77 bytes (docs/formats.md): magic `TMSK`, version byte 1, nonce (24 bytes), box (48 bytes:
//! the scalar under XChaCha20-Poly1305, and the tag). Role, repositories and public key are not in it: they stand
//! beside it in the store and are part of the associated data, so a key moved to another row does not open.
use super::aead::{self, Box48};
use super::binding::{Binding, KeyRole};
use super::codec::{FormatError, Reader, put_bytes};
use super::error::VaultError;
use super::locked::{Inside, Public};
use super::scalar::Point;

const WHAT: &str = "sealed key";
const MAGIC: [u8; 4] = *b"TMSK";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"touchmark sealed key";

/// A private key that only its vault opens, and only for its own binding and public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(Box48);

impl Public for Sealed {}

impl Sealed {
    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend_from_slice(&self.0.nonce);
        out.extend_from_slice(&self.0.bytes);
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FormatError`] for other bytes, a newer version, or a damaged form. What is inside shows when it is loaded.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, MAGIC, bytes)?;
        let sealed = Self(Box48 { nonce: reader.array()?, bytes: reader.array()? });
        reader.end()?;
        Ok(sealed)
    }

    pub(super) fn seal(
        vault_key: &[u8; 32],
        associated: &AssociatedData,
        key: &[u8; 32],
        inside: &Inside<'_>,
    ) -> Result<Self, VaultError> {
        aead::seal(vault_key, &associated.0, key, inside).map(Self)
    }

    /// Opens into `key`; `false` when it is not for this vault key and this binding.
    pub(super) fn open(
        &self,
        vault_key: &[u8; 32],
        associated: &AssociatedData,
        key: &mut [u8; 32],
        inside: &Inside<'_>,
    ) -> bool {
        aead::open(vault_key, &associated.0, &self.0, key, inside)
    }
}

/// What a sealed key is bound to, as the AEAD sees it.
pub(super) struct AssociatedData(Vec<u8>);

impl AssociatedData {
    pub(super) fn of(binding: &Binding, point: &Point) -> Self {
        let mut out = Vec::with_capacity(256);
        put_bytes(&mut out, LABEL);
        out.push(VERSION);
        match binding.role() {
            KeyRole::Root => out.push(1),
            KeyRole::Targets => out.push(2),
            KeyRole::Snapshot => out.push(3),
            KeyRole::Delegation(name) => {
                out.push(4);
                put_bytes(&mut out, name.as_str().as_bytes());
            }
            KeyRole::Audit => out.push(5),
        }
        let count = u32::try_from(binding.guns().len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        for gun in binding.guns() {
            put_bytes(&mut out, gun.as_str().as_bytes());
        }
        put_bytes(&mut out, &point.0);
        Self(out)
    }
}

#[cfg(test)]
mod tests;
