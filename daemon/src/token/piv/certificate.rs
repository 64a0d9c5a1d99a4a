//! The certificate beside a key: other programs know a YubiKey's keys by their certificates alone.
//!
//! Ours is signed by a key that nobody has any more: signing it by the slot's own would use up a PIN or a touch, and
//! nobody verifies it. Its subject is `O=Touchmark, OU=LABEL, CN=root`; Notary lists a card's keys whose common name is a
//! role of its own.

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};
use yubikey::certificate::CertInfo;
use yubikey::{Certificate, YubiKey};
use zeroize::Zeroizing;

use super::slot::Slot;
use crate::token::der::{element, integer};
use crate::token::{TokenError, Usage};

/// The organisation in certificates that were made here.
const MAKER: &str = "Touchmark";
/// organizationName, organizationalUnitName, commonName (RFC 5280 appendix A.1).
const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0a];
const UNIT: [u8; 3] = [0x55, 0x04, 0x0b];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// From the beginning of time as X.509 has it, and with no end (RFC 5280 section 4.1.2.5).
const VALIDITY: (&[u8; 13], &[u8; 15]) = (b"700101000000Z", b"99991231235959Z");
const SEQUENCE: u8 = 0x30;
/// Tags of a certificate object and of the two that may follow (NIST SP 800-73-4 part 1, appendix A).
const TAG_CERTIFICATE: u8 = 0x70;
const TAG_INFO: u8 = 0x71;

/// What a certificate says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) public: PublicKey,
    /// The words for the key.
    pub(super) label: Option<String>,
}

/// The certificate in a slot; `None` for none, or one that cannot be read.
pub(super) fn read(card: &mut YubiKey, slot: Slot) -> yubikey::Result<Option<Found>> {
    match card.fetch_object(slot.object()) {
        Ok(object) => Ok(parse(&object)),
        Err(error) if super::fault::is_lost(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Writes a certificate for `public` beside it.
///
/// # Errors
/// Whatever the card says; [`yubikey::Error::InvalidObject`] where none can be made.
pub(super) fn write(card: &mut YubiKey, slot: Slot, label: &str, public: &PublicKey) -> yubikey::Result<()> {
    let made = make(slot, label, public).map_err(|_| yubikey::Error::InvalidObject)?;
    Certificate::from_bytes(made)?.write(card, slot.piv(), CertInfo::Uncompressed)
}

/// The certificate in the object of a certificate slot.
pub(super) fn der(object: &[u8]) -> Option<&[u8]> {
    let (certificate, rest) = tlv(object, TAG_CERTIFICATE)?;
    // Compressed ones are other people's.
    let compressed = tlv(rest, TAG_INFO).is_some_and(|(info, _)| info.iter().any(|bit| *bit != 0));
    (!compressed).then_some(certificate)
}

/// Reads the object of a certificate slot.
pub(super) fn parse(object: &[u8]) -> Option<Found> {
    let certificate = der(object)?;
    let certificate = Certificate::from_bytes(certificate.to_vec()).ok()?;
    let point = certificate.subject_pki().subject_public_key.raw_bytes().try_into().ok()?;
    let subject = certificate.cert.tbs_certificate().subject();
    let text = |value: Option<String>| value.filter(|text| !text.is_empty());
    let maker = subject.organization().ok().flatten().map(String::from);
    let words = if maker.as_deref() == Some(MAKER) {
        subject.organization_unit().ok().flatten().map(String::from)
    } else {
        subject.common_name().ok().flatten().map(String::from)
    };
    Some(Found { public: PublicKey::from_p256_point(point), label: text(words) })
}

/// A certificate for the key in that slot, in DER.
pub(super) fn make(slot: Slot, label: &str, public: &PublicKey) -> Result<Vec<u8>, TokenError> {
    let failed = |code: String| TokenError::Failed { call: "make a certificate".to_owned(), code };
    let spki = public.spki().map_err(|error| failed(error.to_string()))?;
    let mut serial = [0; 16];
    let mut secret = Zeroizing::new([0; 32]);
    for bytes in [serial.as_mut_slice(), secret.as_mut_slice()] {
        getrandom::fill(bytes).map_err(|error| failed(error.to_string()))?;
    }
    let role = if slot.usage() == Usage::Sign { "root" } else { "vault" };
    let name = sequence(&[
        &attribute(&ORGANISATION, MAKER),
        &attribute(&UNIT, label),
        &attribute(&COMMON_NAME, role),
    ]);
    let validity = sequence(&[&element(0x17, VALIDITY.0), &element(0x18, VALIDITY.1)]);
    // Version 3.
    let version = element(0xa0, &integer(&[2]));
    let body = sequence(&[&version, &integer(&serial), &ECDSA_SHA256, &name, &validity, &name, &spki]);
    let key = SigningKey::from_slice(secret.as_slice()).map_err(|error| failed(error.to_string()))?;
    let signed: p256::ecdsa::Signature =
        key.sign_prehash(Sha256Digest::of(&body).as_bytes()).map_err(|error| failed(error.to_string()))?;
    let signature = EcdsaSignature::from_raw(signed.to_bytes().into()).to_der();
    Ok(sequence(&[&body, &ECDSA_SHA256, &element(0x03, &[[0].as_slice(), &signature].concat())]))
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A relative distinguished name of one attribute, as a UTF8String.
fn attribute(oid: &[u8], text: &str) -> Vec<u8> {
    let pair = sequence(&[&element(0x06, oid), &element(0x0c, text.as_bytes())]);
    element(0x31, &pair)
}

/// The content of the element that `bytes` start with, if it has that tag, and what follows it.
fn tlv(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match (*length, rest) {
        (short @ 0..=0x7f, rest) => (usize::from(short), rest),
        (0x81, [length, rest @ ..]) => (usize::from(*length), rest),
        (0x82, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| *first == tag)
}
