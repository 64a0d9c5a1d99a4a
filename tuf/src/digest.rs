//! Digests, as bytes of their exact length.
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

use crate::error::IdError;
use crate::hex;

/// SHA-256 of something, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From the 32 bytes of a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the form that registries write, `sha256:` and 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// If the text has another form or another algorithm.
    pub fn from_oci(text: &str) -> Result<Self, IdError> {
        text.strip_prefix("sha256:").ok_or(IdError::NotSha256)?.parse()
    }

    /// The form that registries write, `sha256:` and 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_oci(&self) -> String {
        format!("sha256:{self}")
    }
}

/// SHA-512 of something, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha512Digest([u8; 64]);

impl Sha512Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha512::digest(bytes).into())
    }

    /// From the 64 bytes of a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

macro_rules! hexadecimal {
    ($name:ident, $digits:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                hex::read(text).map(Self).ok_or(IdError::NotHex { what: "digest", digits: $digits })
            }
        }
    };
}
hexadecimal!(Sha256Digest, 64);
hexadecimal!(Sha512Digest, 128);

#[cfg(test)]
mod tests;
