//! One way to open the vault: the vault key, boxed for a token or a passphrase. Holds no secret; the store keeps it.
//!
//! Stored form, version 1 (all numbers big endian; docs/formats.md): magic `TMVW`, version byte 1, method byte, then
//! * 1 ECDH: the token's point (65 bytes), the ephemeral point (65)
//! * 2 RSA-OAEP: length (16 bits) and SubjectPublicKeyInfo, length (16 bits) and ciphertext
//! * 3 Argon2id: memory in KiB, passes, lanes (32 bits each), salt (16 bytes)
//!
//! and after that nonce (24 bytes) and box (48 bytes). Everything before the nonce is the header: it is associated
//! data of the box and goes into the key derivation.
use super::aead::Box48;
use super::codec::{FormatError, Reader, put_bytes};
use super::locked::Public;
use super::passphrase::Cost;
use super::scalar::Point;

const WHAT: &str = "vault way";
const MAGIC: [u8; 4] = *b"TMVW";
const VERSION: u8 = 1;

/// A wrapped vault key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub(super) method: Method,
    pub(super) sealed: Box48,
}

/// What has to answer before [`super::Vault::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayAsk {
    /// The token multiplies this point (0x04, X, Y) with its key; the answer is the x-coordinate, 32 bytes.
    Ecdh {
        /// Made for this way alone.
        ephemeral_point: [u8; 65],
    },
    /// The token decrypts this with RSA-OAEP, SHA-1 and MGF1-SHA-1, empty label; the answer is 32 bytes.
    RsaOaep {
        /// As long as the modulus.
        ciphertext: Vec<u8>,
    },
    /// A person types the passphrase.
    Passphrase,
}

/// How the vault key is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Ecdh { token: Point, ephemeral: Point },
    RsaOaep { spki: Vec<u8>, ciphertext: Vec<u8> },
    Argon2id { cost: Cost, salt: [u8; 16] },
}

impl Public for Way {}

impl Way {
    /// What the token, or a person, has to answer.
    #[must_use]
    pub fn ask(&self) -> WayAsk {
        match &self.method {
            Method::Ecdh { ephemeral, .. } => WayAsk::Ecdh { ephemeral_point: ephemeral.0 },
            Method::RsaOaep { ciphertext, .. } => WayAsk::RsaOaep { ciphertext: ciphertext.clone() },
            Method::Argon2id { .. } => WayAsk::Passphrase,
        }
    }

    /// The word for it in `status`: `ecdh-p256`, `rsa-oaep-sha1` or `argon2id`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self.method {
            Method::Ecdh { .. } => "ecdh-p256",
            Method::RsaOaep { .. } => "rsa-oaep-sha1",
            Method::Argon2id { .. } => "argon2id",
        }
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.method.header();
        out.extend_from_slice(&self.sealed.nonce);
        out.extend_from_slice(&self.sealed.bytes);
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FormatError`] for other bytes, a newer version, or a damaged form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, MAGIC, bytes)?;
        let method = Method::read(&mut reader)?;
        let way = Self { method, sealed: Box48 { nonce: reader.array()?, bytes: reader.array()? } };
        reader.end()?;
        Ok(way)
    }
}

impl Method {
    /// Everything of the stored form before the nonce.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        match self {
            Self::Ecdh { token, ephemeral } => {
                out.push(1);
                out.extend_from_slice(&token.0);
                out.extend_from_slice(&ephemeral.0);
            }
            Self::RsaOaep { spki, ciphertext } => {
                out.push(2);
                put_bytes(&mut out, spki);
                put_bytes(&mut out, ciphertext);
            }
            Self::Argon2id { cost, salt } => {
                out.push(3);
                for number in [cost.memory_kib, cost.passes, cost.lanes] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
                out.extend_from_slice(salt);
            }
        }
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        match reader.byte()? {
            1 => Ok(Self::Ecdh { token: Point(reader.array()?), ephemeral: Point(reader.array()?) }),
            2 => Ok(Self::RsaOaep { spki: reader.bytes()?.to_vec(), ciphertext: reader.bytes()?.to_vec() }),
            3 => {
                let cost =
                    Cost { memory_kib: reader.number()?, passes: reader.number()?, lanes: reader.number()? };
                if !cost.is_allowed() {
                    return Err(reader.damaged());
                }
                Ok(Self::Argon2id { cost, salt: reader.array()? })
            }
            _ => Err(reader.damaged()),
        }
    }
}

#[cfg(test)]
mod tests;
