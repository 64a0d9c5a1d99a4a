//! A document with its signatures, as files carry it: `Unverified` until enough of the right keys are found to have
//! signed it, `Verified` after. And the way back: the file that Go would write.
use std::collections::BTreeMap;
use std::ops::{Deref, Range};

use crate::canonical::{Reader, Unknown, Writer, normalise};
use crate::document::{Document, RoleKeys, read_key_id, required};
use crate::error::{AssembleError, DocumentError, VerifyError};
use crate::ids::KeyId;
use crate::key::PublicKey;
use crate::limits;
use crate::signature::{Method, Signature};
use crate::verify::{CheckSignature, threshold};

/// A file that reads as a document of kind `D`. Nobody is known to have signed it.
#[derive(Clone, Debug)]
pub struct Unverified<D> {
    parts: Parts,
    document: D,
}

/// A document that enough keys of a role signed.
#[derive(Clone, Debug)]
pub struct Verified<D> {
    parts: Parts,
    document: D,
    signers: Vec<KeyId>,
}

#[derive(Clone, Debug)]
struct Parts {
    file: Vec<u8>,
    signed: Signed,
    signatures: Vec<Signature>,
}

/// Where the canonical form of the signed part is: inside the file, or beside it where the file has another form.
#[derive(Clone, Debug)]
enum Signed {
    Inside(Range<usize>),
    Beside(Box<[u8]>),
}

impl Parts {
    fn signed(&self) -> &[u8] {
        match &self.signed {
            Signed::Inside(range) => self.file.get(range.clone()).unwrap_or_default(),
            Signed::Beside(bytes) => bytes,
        }
    }
}

impl<D: Document> Unverified<D> {
    /// Reads a file as served. Unknown fields are passed over (the signature covers them); names that stand twice or
    /// in another case are refused, as readers differ in what they make of them.
    ///
    /// # Errors
    /// With the first rule that is broken.
    pub fn parse(file: &[u8]) -> Result<Self, DocumentError> {
        let envelope = split(file, D::LIMIT)?;
        let signed = envelope.signed();
        let mut reader = Reader::new(signed, D::LIMIT, Unknown::Skip)?;
        let document = D::read(&mut reader)?;
        reader.end()?;
        let start = HEAD.len();
        let range = start..start.saturating_add(signed.len());
        let signed = if file.get(range.clone()) == Some(signed) {
            Signed::Inside(range)
        } else {
            Signed::Beside(signed.into())
        };
        Ok(Self { parts: Parts { file: file.to_vec(), signed, signatures: envelope.signatures }, document })
    }

    /// The file, exactly as served.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        &self.parts.file
    }

    /// The canonical form of the signed part: what the signatures are over.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        self.parts.signed()
    }

    /// The signatures by methods known here.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.parts.signatures
    }

    /// What it says. Nobody is known to have said it.
    #[must_use]
    pub const fn document_unverified(&self) -> &D {
        &self.document
    }

    /// Checks that enough keys of the role signed it.
    ///
    /// # Errors
    /// If fewer than the role's threshold did.
    pub fn verify(
        self,
        role: &RoleKeys,
        keys: &BTreeMap<KeyId, PublicKey>,
        checker: &dyn CheckSignature,
    ) -> Result<Verified<D>, VerifyError> {
        let signers = threshold(role, keys, self.signed_bytes(), self.signatures(), checker)?;
        Ok(Verified { parts: self.parts, document: self.document, signers })
    }
}

impl<D> Verified<D> {
    /// The file, exactly as served.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        &self.parts.file
    }

    /// The canonical form of the signed part: what the signatures are over.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        self.parts.signed()
    }

    /// All signatures of the file by methods known here, also those that nobody checked.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.parts.signatures
    }

    /// The keys of the role whose signatures were found valid.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// Whether Go would write the file just so. One that Go writes differently cannot be served with a snapshot that
    /// the server signs.
    #[must_use]
    pub fn is_go_form(&self) -> bool {
        go_form(self.signed_bytes(), self.signatures()) == self.parts.file
    }

    /// The document without its file.
    #[must_use]
    pub fn into_document(self) -> D {
        self.document
    }
}

impl<D> Deref for Verified<D> {
    type Target = D;
    fn deref(&self) -> &D {
        &self.document
    }
}

/// The file that Go would write for a signed part in canonical form and its signatures, in that order.
///
/// # Errors
/// If the signed part is not canonical, a key signed twice or nobody did, or the file does not read back the same.
pub fn assemble(signed: &[u8], signatures: &[Signature]) -> Result<Vec<u8>, AssembleError> {
    if signatures.is_empty() {
        return Err(AssembleError::NoSignature);
    }
    for (index, signature) in signatures.iter().enumerate() {
        if signatures.iter().take(index).any(|earlier| earlier.key_id == signature.key_id) {
            return Err(AssembleError::DuplicateSignature(signature.key_id));
        }
    }
    let file = go_form(signed, signatures);
    let back = split(&file, file.len())?;
    if back.signed() != signed || back.signatures != signatures {
        return Err(AssembleError::ReadBack);
    }
    Ok(file)
}

const HEAD: &[u8] = b"{\"signed\":";

/// The whole file in canonical form, and where in it the signed part is.
struct Envelope {
    canonical: Vec<u8>,
    signed: Range<usize>,
    signatures: Vec<Signature>,
}

impl Envelope {
    fn signed(&self) -> &[u8] {
        self.canonical.get(self.signed.clone()).unwrap_or_default()
    }
}

fn split(file: &[u8], limit: usize) -> Result<Envelope, DocumentError> {
    if file.len() > limit {
        return Err(DocumentError::TooLarge { size: file.len(), limit });
    }
    let canonical = normalise(file)?;
    let mut reader = Reader::new(&canonical, canonical.len(), Unknown::Skip)?;
    let (mut signed, mut signatures) = (None, None);
    reader.fields(&["signatures", "signed"], |reader, field| {
        if field == "signed" {
            let start = reader.at();
            reader.skip()?;
            signed = Some(start..reader.at());
        } else {
            signatures = Some(read_signatures(reader)?);
        }
        Ok(())
    })?;
    let signed = required(signed, "signed")?;
    Ok(Envelope { signed, signatures: required(signatures, "signatures")?, canonical })
}

fn read_signatures(reader: &mut Reader<'_>) -> Result<Vec<Signature>, DocumentError> {
    let mut signatures = Vec::new();
    reader.array("signatures", limits::SIGNATURES, |reader| {
        let (mut key_id, mut method, mut bytes) = (None, None, None);
        reader.fields(&["keyid", "method", "sig"], |reader, field| {
            match field {
                "keyid" => key_id = Some(read_key_id(&reader.string()?, "keyid")?),
                "method" => method = Some(Method::from_word(&reader.string()?)),
                _ => bytes = Some(reader.bytes("sig", limits::SIGNATURE_BYTES)?),
            }
            Ok(())
        })?;
        let (key_id, bytes) = (required(key_id, "keyid")?, required(bytes, "sig")?);
        // A method that nobody here knows cannot count; Go passes over it too.
        if let Some(method) = required(method, "method")? {
            signatures.push(Signature { key_id, method, bytes });
        }
        Ok(())
    })?;
    Ok(signatures)
}

/// `signed`, then the signatures with their fields in the order of Go's struct; and over all of it the escapes of Go's
/// JSON for HTML, which the signed bytes do not have.
fn go_form(signed: &[u8], signatures: &[Signature]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::with_capacity(signed.len() + 256 * signatures.len() + 32);
    plain.extend_from_slice(HEAD);
    plain.extend_from_slice(signed);
    let mut out = Writer::new(&mut plain);
    out.raw(r#","signatures":["#);
    out.list(signatures, |out, signature| {
        out.raw(r#"{"keyid":"#);
        out.plain(&signature.key_id);
        out.raw(r#","method":"#);
        out.plain(&signature.method.as_str());
        out.raw(r#","sig":"#);
        out.base64(&signature.bytes);
        out.raw("}");
    });
    out.raw("]}");
    escape_html(plain)
}

fn escape_html(plain: Vec<u8>) -> Vec<u8> {
    let special = |window: &[u8]| match window {
        [b'<', ..] => Some(("\\u003c", 1)),
        [b'>', ..] => Some(("\\u003e", 1)),
        [b'&', ..] => Some(("\\u0026", 1)),
        [0xe2, 0x80, 0xa8, ..] => Some(("\\u2028", 3)),
        [0xe2, 0x80, 0xa9, ..] => Some(("\\u2029", 3)),
        _ => None,
    };
    if !plain.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
        return plain;
    }
    let mut escaped = Vec::with_capacity(plain.len() + plain.len() / 16);
    let mut rest = plain.as_slice();
    while let [first, after @ ..] = rest {
        if let Some((text, length)) = special(rest) {
            escaped.extend_from_slice(text.as_bytes());
            rest = rest.get(length..).unwrap_or_default();
        } else {
            escaped.push(*first);
            rest = after;
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
