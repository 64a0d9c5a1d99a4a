//! The DER of a private key: PrivateKeyInfo (RFC 5958) and ECPrivateKey (RFC 5915), borrowed, never copied.
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use super::{KeyFileError, too_long};
use crate::vault::locked::{Inside, SecretBuf};

/// id-ecPublicKey, RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1, RFC 5480 section 2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// rsaEncryption, RFC 8017 appendix A.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Ed25519, RFC 8410, and the older arc that Notary writes.
const ED25519: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.101.112"), ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.15.1")];

/// Where the parts of a P-256 key stand.
pub(super) struct EcKey<'a> {
    /// Big endian, at most 32 bytes.
    scalar: &'a [u8],
    /// The public point, where the file has it.
    pub(super) public: Option<&'a [u8]>,
    curve: Option<ObjectIdentifier>,
}

/// PrivateKeyInfo. Notary writes version 1 without a public key, which strict parsers refuse; the version decides
/// nothing here.
pub(super) fn pkcs8<'a>(bytes: &'a [u8], inside: &Inside<'_>) -> Result<EcKey<'a>, KeyFileError> {
    let (algorithm, curve, key) = read_pkcs8(bytes).map_err(|_| KeyFileError::Damaged("it is no PKCS#8"))?;
    if algorithm != EC {
        let what = match algorithm {
            RSA => "an RSA key".to_owned(),
            other if ED25519.contains(&other) => "an Ed25519 key".to_owned(),
            other => format!("a key of type {other}"),
        };
        return Err(KeyFileError::NotP256(what));
    }
    check_curve(curve)?;
    let mut key = sec1(key, inside)?;
    key.curve = curve;
    Ok(key)
}

/// ECPrivateKey by itself.
pub(super) fn sec1<'a>(bytes: &'a [u8], _: &Inside<'_>) -> Result<EcKey<'a>, KeyFileError> {
    let key = read_sec1(bytes).map_err(|_| KeyFileError::Damaged("it is no EC private key"))?;
    check_curve(key.curve)?;
    if key.scalar.len() > 32 {
        return Err(KeyFileError::NotP256("a key on another curve".to_owned()));
    }
    Ok(key)
}

impl EcKey<'_> {
    /// Writes the key as 32 bytes. RFC 5915 wants it so; some writers leave leading zeros out.
    pub(super) fn write_scalar(&self, out: &mut SecretBuf, _: &Inside<'_>) -> Result<(), KeyFileError> {
        let room = out.as_mut_slice();
        let start = room.len().saturating_sub(self.scalar.len());
        match room.get_mut(start..) {
            Some(place) if place.len() == self.scalar.len() => place.copy_from_slice(self.scalar),
            _ => return Err(KeyFileError::Invalid("it has another length")),
        }
        let length = out.capacity();
        out.set_len(length).map_err(too_long)
    }
}

fn check_curve(curve: Option<ObjectIdentifier>) -> Result<(), KeyFileError> {
    match curve {
        None | Some(P256) => Ok(()),
        Some(other) => Err(KeyFileError::NotP256(format!("a key on the curve {other}"))),
    }
}

type Pkcs8<'a> = (ObjectIdentifier, Option<ObjectIdentifier>, &'a [u8]);

fn read_pkcs8(bytes: &[u8]) -> der::Result<Pkcs8<'_>> {
    let mut reader = SliceReader::new(bytes)?;
    let parts = reader.sequence(|reader| {
        u8::decode(reader)?;
        let (algorithm, parameters) = reader.sequence(|reader| {
            let algorithm = ObjectIdentifier::decode(reader)?;
            let parameters = if reader.is_finished() { None } else { Some(AnyRef::decode(reader)?) };
            Ok::<_, der::Error>((algorithm, parameters))
        })?;
        let curve = match parameters {
            Some(any) if any.tag() == Tag::ObjectIdentifier => Some(any.decode_as::<ObjectIdentifier>()?),
            _ => None,
        };
        let key = <&OctetStringRef>::decode(reader)?.as_bytes();
        while !reader.is_finished() {
            AnyRef::decode(reader)?; // attributes and a public key: the one inside ECPrivateKey is compared
        }
        Ok::<Pkcs8<'_>, der::Error>((algorithm, curve, key))
    })?;
    reader.finish()?;
    Ok(parts)
}

fn read_sec1(bytes: &[u8]) -> der::Result<EcKey<'_>> {
    let mut reader = SliceReader::new(bytes)?;
    let key = reader.sequence(|reader| {
        u8::decode(reader)?;
        let scalar = <&OctetStringRef>::decode(reader)?.as_bytes();
        let mut key = EcKey { scalar, public: None, curve: None };
        while !reader.is_finished() {
            let field = AnyRef::decode(reader)?;
            match field.tag() {
                Tag::ContextSpecific { constructed: true, number: TagNumber(0) } => {
                    key.curve = Some(ObjectIdentifier::from_der(field.value())?);
                }
                Tag::ContextSpecific { constructed: true, number: TagNumber(1) } => {
                    let bits = BitStringRef::from_der(field.value())?;
                    key.public = bits.as_bytes().filter(|point| point.len() == 65);
                }
                tag => return Err(tag.unexpected_error(None).into()),
            }
        }
        Ok::<EcKey<'_>, der::Error>(key)
    })?;
    reader.finish()?;
    Ok(key)
}

#[cfg(test)]
mod tests;
