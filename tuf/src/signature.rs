//! Signatures: raw r‖s and DER of ECDSA in one place, and the entries of a document's `signatures`.
use std::fmt;

use crate::error::SignatureError;
use crate::ids::KeyId;

/// An ECDSA signature on P-256 as TUF carries it: r then s, 32 bytes each, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EcdsaSignature([u8; 64]);

impl EcdsaSignature {
    /// From r‖s. The numbers are not looked at: verifying does that.
    #[must_use]
    pub const fn from_raw(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// r‖s, 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// From the DER form that X.509 and most programs use (RFC 3279 section 2.2.3).
    ///
    /// # Errors
    /// If it is not the one DER form of two positive INTEGERs of at most 32 bytes.
    pub fn from_der(bytes: &[u8]) -> Result<Self, SignatureError> {
        let (content, after) = element(bytes, 0x30)?;
        let (r, rest) = element(content, 0x02)?;
        let (s, end) = element(rest, 0x02)?;
        if !after.is_empty() || !end.is_empty() {
            return Err(SignatureError::NotDer);
        }
        let mut raw = [0; 64];
        let (left, right) = raw.split_at_mut(32);
        integer(r, left)?;
        integer(s, right)?;
        Ok(Self(raw))
    }

    /// The DER form (RFC 3279 section 2.2.3), 8 to 72 bytes.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        der_of(&self.0)
    }
}

impl fmt::Debug for EcdsaSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaSignature(")?;
        crate::hex::write(f, &self.0)?;
        f.write_str(")")
    }
}

/// How a signature was made; `method` in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// ECDSA over SHA-256, whatever the curve; r‖s padded to the size of the curve.
    Ecdsa,
    /// RSASSA-PSS, SHA-256, 32 bytes of salt.
    RsaPss,
    /// RSASSA-PKCS1-v1_5, SHA-256.
    RsaPkcs1v15,
    /// Ed25519.
    EdDsa,
}

impl Method {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::RsaPss => "rsapss",
            Self::RsaPkcs1v15 => "rsapkcs1v15",
            Self::EdDsa => "eddsa",
        }
    }

    /// The method with that word, or `None`. Go lowers the case before it looks, so this does too.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ecdsa, Self::RsaPss, Self::RsaPkcs1v15, Self::EdDsa]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(word))
    }
}

/// One entry of a document's `signatures`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signed: the id under which the role lists the key.
    pub key_id: KeyId,
    /// How.
    pub method: Method,
    /// The signature itself, raw: for ECDSA r‖s.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// An ECDSA signature by the key with that id.
    #[must_use]
    pub fn ecdsa(key_id: KeyId, signature: &EcdsaSignature) -> Self {
        Self { key_id, method: Method::Ecdsa, bytes: signature.as_bytes().to_vec() }
    }
}

/// r‖s of any length as DER, for curves other than P-256; `None` for an odd or absurd length.
pub(crate) fn raw_to_der(raw: &[u8]) -> Option<Vec<u8>> {
    (raw.len() >= 2 && raw.len().is_multiple_of(2) && raw.len() <= 132).then(|| der_of(raw))
}

/// SEQUENCE of two INTEGERs, the two halves of `raw`.
fn der_of(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let mut content = Vec::with_capacity(raw.len() + 6);
    push_integer(&mut content, r);
    push_integer(&mut content, s);
    let mut der = vec![0x30];
    push_length(&mut der, content.len());
    der.extend_from_slice(&content);
    der
}

/// One DER element with a definite length below 128: its content and what follows it.
fn element(bytes: &[u8], tag: u8) -> Result<(&[u8], &[u8]), SignatureError> {
    match bytes {
        [first, length @ 0..=127, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length)).ok_or(SignatureError::NotDer)
        }
        _ => Err(SignatureError::NotDer),
    }
}

/// A positive INTEGER in its shortest form, into a field padded on the left.
fn integer(content: &[u8], into: &mut [u8]) -> Result<(), SignatureError> {
    let number = match content {
        [] => return Err(SignatureError::NotDer),
        [0x80..=0xff, ..] | [0] => return Err(SignatureError::Range),
        [0, 0x80..=0xff, ..] => content.get(1..).unwrap_or_default(),
        [0, ..] => return Err(SignatureError::NotDer),
        _ => content,
    };
    let start = into.len().checked_sub(number.len()).ok_or(SignatureError::Range)?;
    into.get_mut(start..).ok_or(SignatureError::Range)?.copy_from_slice(number);
    Ok(())
}

fn push_integer(out: &mut Vec<u8>, padded: &[u8]) {
    let zeros = padded.iter().take_while(|byte| **byte == 0).count().min(padded.len().saturating_sub(1));
    let number = padded.get(zeros..).unwrap_or_default();
    let sign = number.first().is_some_and(|byte| *byte >= 0x80);
    out.push(0x02);
    push_length(out, number.len() + usize::from(sign));
    if sign {
        out.push(0);
    }
    out.extend_from_slice(number);
}

/// A DER length; nothing here reaches 256 bytes.
fn push_length(out: &mut Vec<u8>, length: usize) {
    if length >= 0x80 {
        out.push(0x81);
    }
    out.push(u8::try_from(length).unwrap_or(u8::MAX));
}

#[cfg(test)]
mod tests;
