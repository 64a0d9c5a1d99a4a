//! The few DER structures that keys and certificates need, written by hand so that they are Go's to the byte, and the
//! one reader of a public key's structure. Internal to the crate.
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader as _, SliceReader, Tag, Tagged as _};

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const BOOLEAN: u8 = 0x01;

/// id-ecPublicKey, RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1, RFC 5480 section 2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// secp384r1, same place.
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// rsaEncryption, RFC 3279 section 2.3.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// SubjectPublicKeyInfo of a P-256 key up to the point.
pub(crate) const P256_SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// SubjectPublicKeyInfo of an Ed25519 key up to the 32 bytes of the key.
pub(crate) const ED25519_SPKI_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a public key is made of, whatever it is wrapped in. Two keys with the same material are the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Material {
    /// Uncompressed point, 65 bytes.
    P256(Vec<u8>),
    /// Uncompressed point, 97 bytes.
    P384(Vec<u8>),
    /// RSAPublicKey in DER.
    Rsa(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

/// Reads a SubjectPublicKeyInfo; `None` for anything but the keys that can be verified with.
pub(crate) fn material(spki: &[u8]) -> Option<Material> {
    let mut outer = SliceReader::new(spki).ok()?;
    let (algorithm, parameters, key) = outer
        .sequence(|inner| {
            let (algorithm, parameters) = inner.sequence(|info| {
                let algorithm = ObjectIdentifier::decode(info)?;
                let parameters = Option::<AnyRef<'_>>::decode(info)?;
                Ok::<_, der::Error>((algorithm, parameters))
            })?;
            Ok::<_, der::Error>((algorithm, parameters, BitStringRef::decode(inner)?))
        })
        .ok()?;
    outer.finish().ok()?;
    let key = key.as_bytes()?.to_vec();
    match algorithm {
        EC => {
            let curve = parameters?.decode_as::<ObjectIdentifier>().ok()?;
            match (curve, key.first()?, key.len()) {
                (P256, 4, 65) => Some(Material::P256(key)),
                (P384, 4, 97) => Some(Material::P384(key)),
                _ => None,
            }
        }
        RSA if parameters.is_none_or(|any| any.tag() == Tag::Null) => Some(Material::Rsa(key)),
        ED25519 if parameters.is_none() && key.len() == 32 => Some(Material::Ed25519(key)),
        _ => None,
    }
}

/// One element: tag, length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len().to_be_bytes();
    let used = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let short = length.get(used..).unwrap_or_default();
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(short.len()).unwrap_or_default());
    }
    out.extend_from_slice(short);
    out.extend_from_slice(content);
    out
}

/// Elements one after the other inside a constructed one.
pub(crate) fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}
