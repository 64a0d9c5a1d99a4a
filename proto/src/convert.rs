//! Wire to words and back: the one place where texts and bytes of a message become the checked types of
//! `touchmark-tuf`. Decides nothing; says which field is wrong.
use std::fmt;
use std::str::FromStr;

use touchmark_tuf::{Gun, KeyId, Method, RoleName, Sha256Digest, Signature, Version};

use crate::reason::{Reason, Refusal};
use crate::v1;

/// A field of a message that cannot mean anything. A retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct FieldError {
    /// Its path in the message, as in `documents[0].role`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl FieldError {
    /// `field` is wrong because of `why`.
    pub fn new(field: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { field: field.into(), why: why.to_string() }
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        Self::new(Reason::InvalidField, error.to_string())
    }
}

/// A repository's name.
///
/// # Errors
/// When it is none.
pub fn gun(field: &str, text: &str) -> Result<Gun, FieldError> {
    parsed(field, text)
}

/// A role's name.
///
/// # Errors
/// When it is none.
pub fn role(field: &str, text: &str) -> Result<RoleName, FieldError> {
    parsed(field, text)
}

/// A key id of 64 hexadecimal digits.
///
/// # Errors
/// When it is none.
pub fn key_id(field: &str, text: &str) -> Result<KeyId, FieldError> {
    parsed(field, text)
}

/// A document's version.
///
/// # Errors
/// When it is 0 or above 2^53 - 1.
pub fn version(field: &str, number: u64) -> Result<Version, FieldError> {
    Version::try_from(number).map_err(|error| FieldError::new(field, error))
}

/// A SHA-256 digest of 32 bytes.
///
/// # Errors
/// When it has another length.
pub fn sha256(field: &str, bytes: &[u8]) -> Result<Sha256Digest, FieldError> {
    let digest: [u8; 32] = bytes
        .try_into()
        .map_err(|_| FieldError::new(field, format_args!("has {} bytes, not 32", bytes.len())))?;
    Ok(Sha256Digest::from_bytes(digest))
}

/// A signature for the wire.
#[must_use]
pub fn to_wire(signature: &Signature) -> v1::Signature {
    v1::Signature {
        key_id: signature.key_id.to_string(),
        method: signature.method.as_str().to_owned(),
        signature: signature.bytes.clone(),
    }
}

/// A signature from the wire.
///
/// # Errors
/// When its key id or method means nothing.
pub fn from_wire(field: &str, signature: &v1::Signature) -> Result<Signature, FieldError> {
    let method = Method::from_word(&signature.method)
        .ok_or_else(|| FieldError::new(format!("{field}.method"), "is no method of signing"))?;
    let key_id = key_id(&format!("{field}.key_id"), &signature.key_id)?;
    Ok(Signature { key_id, method, bytes: signature.signature.clone() })
}

fn parsed<T: FromStr<Err: fmt::Display>>(field: &str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|error: T::Err| FieldError::new(field, error))
}

#[cfg(test)]
mod tests;
