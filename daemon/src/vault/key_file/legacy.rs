//! Key files of 2015: OpenSSL's traditional encryption, as Go's `x509.EncryptPEMBlock` wrote it.
use md5::{Digest as _, Md5};

use super::KeyFileError;
use super::pbes2::cbc_decrypt;
use crate::vault::locked::{Inside, SecretBuf};

/// Decrypts an ECPrivateKey into `plain`.
///
/// The key comes from OpenSSL's EVP_BytesToKey with MD5, one round, and the vector's first eight bytes as salt. That
/// is weak, which is why such files are read and never written.
pub(super) fn decrypt(
    text: &[u8],
    iv: [u8; 16],
    passphrase: &[u8],
    plain: &mut SecretBuf,
    _: &Inside<'_>,
) -> Result<(), KeyFileError> {
    let salt = iv.first_chunk::<8>().ok_or(KeyFileError::Damaged("the vector is too short"))?;
    let first = Md5::new().chain_update(passphrase).chain_update(salt).finalize();
    let second = Md5::new().chain_update(first).chain_update(passphrase).chain_update(salt).finalize();
    let mut key = [0; 32];
    let (left, right) = key.split_at_mut(16);
    left.copy_from_slice(&first);
    right.copy_from_slice(&second);
    cbc_decrypt(&key, iv, text, plain)
}
