//! Key files: Docker's and Notary's encrypted PEM with `role:` and `gun:` headers, their form of 2015, and plain PEM.
//!
//! A file comes in a [`SecretBuf`]; decoding, decryption and parsing run on a locked stack and write into locked
//! buffers only, so a plain file's key touches no other memory either.
mod legacy;
mod pbes2;
mod pem;
mod private_key;

use std::sync::Arc;

use touchmark_tuf::PublicKey;

use super::error::VaultError;
use super::locked::{Inside, Locked, MemoryError, Public, SecretBuf};
use super::scalar::{self, Point};
use pem::{Kind, Pem};

/// What is wrong with a key file. A retry helps only where another passphrase or file is given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// No PEM block with a private key.
    #[error("no private key in the file: it has no PEM block such as BEGIN ENCRYPTED PRIVATE KEY")]
    NotPem,
    /// More than one private key.
    #[error("the file holds {0} private keys; give each its own file")]
    Several(usize),
    /// PEM, base64 or DER that is broken.
    #[error("the key file is damaged: {0}")]
    Damaged(&'static str),
    /// A form that is not read, with the command that converts it.
    #[error("the key file uses {what}, which is not read here; {convert}")]
    Unsupported {
        /// The form.
        what: String,
        /// What to do.
        convert: &'static str,
    },
    /// So much work is asked for that the file looks hostile.
    #[error("the key file asks for {0} rounds of key derivation; at most 10,000,000 are done")]
    TooCostly(u64),
    /// The file is encrypted and no passphrase was given.
    #[error("the key file is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// The passphrase does not open the file.
    #[error("the passphrase does not open the key file")]
    WrongPassphrase,
    /// Another kind of key.
    #[error("the key file holds {0}; only P-256 keys can be imported")]
    NotP256(String),
    /// A number that is no private key, or not the one of the public key in the same file.
    #[error("the private key in the file is not valid: {0}")]
    Invalid(&'static str),
}

impl Public for KeyFileError {}

/// What a key file says about itself, in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFileHeader {
    /// Whether a passphrase is needed.
    pub encrypted: bool,
    /// The `role` header, as written.
    pub role: Option<String>,
    /// The `gun` header, as written.
    pub gun: Option<String>,
}

/// A key file's key in the clear, in locked memory: for an import onto a token.
#[derive(Debug)]
pub struct PlainKey {
    /// The private scalar: 32 bytes, big endian.
    pub scalar: SecretBuf,
    /// Its public key, computed from it.
    pub public: PublicKey,
    /// What the file said.
    pub header: KeyFileHeader,
}

/// Reads a key file's header without opening the key.
///
/// # Errors
/// [`KeyFileError::NotPem`], [`KeyFileError::Several`], [`KeyFileError::Unsupported`] or [`KeyFileError::Damaged`].
pub fn key_file_needs_passphrase(file: &SecretBuf) -> Result<KeyFileHeader, KeyFileError> {
    Pem::parse(file.expose())?.header()
}

/// Opens a key file.
///
/// # Errors
/// [`VaultError::KeyFile`] names what is wrong with it; [`VaultError::Memory`] when locked memory runs out.
pub fn take_plain(
    locked: &Arc<Locked>,
    file: &SecretBuf,
    passphrase: Option<&SecretBuf>,
) -> Result<PlainKey, VaultError> {
    let pem = Pem::parse(file.expose())?;
    let header = pem.header()?;
    if header.encrypted && passphrase.is_none() {
        return Err(KeyFileError::PassphraseNeeded.into());
    }
    let mut work = Work {
        body: SecretBuf::new(locked, file.len())?,
        plain: SecretBuf::new(locked, file.len())?,
        scalar: SecretBuf::new(locked, 32)?,
    };
    // A derivation takes long: on a stack of its own, so that signatures do not wait for it.
    let point = locked.aside(|inside| work.open(&pem, passphrase, inside))??;
    Ok(PlainKey { scalar: work.scalar, public: PublicKey::from_p256_point(&point.0), header })
}

/// The locked buffers of one opening.
struct Work {
    /// The PEM body, decoded.
    body: SecretBuf,
    /// What was encrypted in it.
    plain: SecretBuf,
    /// The key.
    scalar: SecretBuf,
}

impl Work {
    fn open(
        &mut self,
        pem: &Pem<'_>,
        passphrase: Option<&SecretBuf>,
        inside: &Inside<'_>,
    ) -> Result<Point, VaultError> {
        pem.decode(&mut self.body, inside)?;
        let key = match (pem.kind()?, passphrase) {
            (Kind::Pkcs8, _) => private_key::pkcs8(self.body.expose(), inside)?,
            (Kind::Sec1, _) => private_key::sec1(self.body.expose(), inside)?,
            (Kind::EncryptedPkcs8, Some(passphrase)) => {
                pbes2::decrypt(self.body.expose(), passphrase.expose(), &mut self.plain, inside)?;
                private_key::pkcs8(self.plain.expose(), inside).map_err(after_decryption)?
            }
            (Kind::EncryptedSec1 { iv }, Some(passphrase)) => {
                legacy::decrypt(self.body.expose(), iv, passphrase.expose(), &mut self.plain, inside)?;
                private_key::sec1(self.plain.expose(), inside).map_err(after_decryption)?
            }
            (_, None) => return Err(KeyFileError::PassphraseNeeded.into()),
        };
        key.write_scalar(&mut self.scalar, inside)?;
        let scalar =
            self.scalar.expose().try_into().map_err(|_| KeyFileError::Invalid("it has another length"))?;
        let point = scalar::point(scalar, inside)
            .ok_or(KeyFileError::Invalid("it is zero or not below the curve's order"))?;
        if key.public.is_some_and(|public| public != point.0) {
            return Err(KeyFileError::Invalid("it does not belong to the public key in the same file").into());
        }
        Ok(point)
    }
}

/// With a wrong passphrase the padding comes out right once in 256 times; what follows is no DER then.
fn after_decryption(error: KeyFileError) -> KeyFileError {
    match error {
        KeyFileError::Damaged(_) => KeyFileError::WrongPassphrase,
        other => other,
    }
}

/// Buffers are made as long as the file, so this cannot be; if it is, the file is to blame.
fn too_long(_: MemoryError) -> KeyFileError {
    KeyFileError::Damaged("a field is longer than the file")
}

#[cfg(test)]
mod tests;
