//! XChaCha20-Poly1305 over one 32-byte secret, in place on a locked stack.
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305};

use super::error::VaultError;
use super::locked::{Inside, Public};

/// Bytes of the nonce: long enough to be random for ever.
pub(super) const NONCE_LEN: usize = 24;
/// Bytes of a sealed secret: 32, and Poly1305's tag of 16.
pub(super) const BOX_LEN: usize = 48;

/// A sealed secret with its nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Box48 {
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) bytes: [u8; BOX_LEN],
}

impl Public for Box48 {}

/// Seals `secret` under a fresh random nonce.
pub(super) fn seal(
    key: &[u8; 32],
    associated: &[u8],
    secret: &[u8; 32],
    _: &Inside<'_>,
) -> Result<Box48, VaultError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    let mut text = *secret; // on the locked stack, as all of this
    let tag = XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&nonce.into(), associated, InOutBuf::from(text.as_mut_slice()))
        .map_err(|_| VaultError::Primitive("XChaCha20-Poly1305"))?;
    let mut bytes = [0; BOX_LEN];
    let (head, tail) = bytes.split_at_mut(text.len());
    head.copy_from_slice(&text);
    tail.copy_from_slice(&tag);
    Ok(Box48 { nonce, bytes })
}

/// Opens into `secret`. `false`: another key, other associated data, or changed bytes; `secret` is zeros then.
pub(super) fn open(
    key: &[u8; 32],
    associated: &[u8],
    sealed: &Box48,
    secret: &mut [u8; 32],
    _: &Inside<'_>,
) -> bool {
    let (Some(text), Some(tag)) = (sealed.bytes.first_chunk::<32>(), sealed.bytes.last_chunk::<16>()) else {
        return false;
    };
    *secret = *text;
    let opened = XChaCha20Poly1305::new(key.into()).decrypt_inout_detached(
        &sealed.nonce.into(),
        associated,
        InOutBuf::from(secret.as_mut_slice()),
        tag.into(),
    );
    if opened.is_err() {
        secret.fill(0);
    }
    opened.is_ok()
}
