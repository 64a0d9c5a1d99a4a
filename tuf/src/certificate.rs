//! The X.509 certificate that Notary lists in place of a root key: made from the template that Notary and Docker use,
//! and read back only in the exact PEM form that Go writes.
//!
//! A reader computes a key's id from the PEM text after Go wrote it anew. So one byte of another form is another key.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use crate::der_form::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, P256_SPKI_HEAD, SEQUENCE, SET};
use crate::der_form::{constructed, element};
use crate::error::CertificateError;
use crate::ids::Gun;
use crate::instant::Instant;
use crate::key::PublicKey;
use crate::signature::EcdsaSignature;

const PEM_HEAD: &str = "-----BEGIN CERTIFICATE-----\n";
const PEM_TAIL: &str = "-----END CERTIFICATE-----\n";
/// id-at-commonName, RFC 5280 appendix A.1.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// `COMMON_NAME`, encoded.
const COMMON_NAME_DER: [u8; 3] = [0x55, 0x04, 0x03];
/// AlgorithmIdentifier of ecdsa-with-SHA256, RFC 5758 section 3.2.
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-ce-keyUsage, id-ce-extKeyUsage, id-ce-basicConstraints (RFC 5280 section 4.2.1) and id-kp-codeSigning.
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
const EXT_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
const CODE_SIGNING: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// 2050-01-01T00:00:00Z: from here on GeneralizedTime, before it UTCTime (RFC 5280 section 4.1.2.5).
const GENERALIZED_FROM: i64 = 2_524_608_000;
/// Nobody makes certificates for times before 1970, and not every reader takes them.
const EARLIEST: i64 = 0;

/// A certificate that stands for a root key, CA certificates may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificate {
    pem: Box<str>,
    common_name: Box<str>,
    not_before: Instant,
    not_after: Instant,
    key: PublicKey,
    spki: Box<[u8]>,
}

impl RootCertificate {
    /// Reads a certificate, or a bundle with the end certificate first.
    ///
    /// # Errors
    /// If it is no certificate, not in Go's PEM form (64 columns, LF, a final newline), a CA's, has no common name or a
    /// key that nobody verifies with.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let text = std::str::from_utf8(pem).map_err(|_| CertificateError::PemForm)?;
        let blocks = blocks(text).ok_or(CertificateError::NotACertificate)?;
        if blocks.iter().map(|der| pem_form(der)).collect::<String>() != text {
            return Err(CertificateError::PemForm);
        }
        let mut chain = Vec::with_capacity(blocks.len());
        for der in &blocks {
            chain.push(Certificate::from_der(der).map_err(|_| CertificateError::NotACertificate)?);
        }
        let authorities = chain.iter().map(is_authority).collect::<Result<Vec<_>, _>>()?;
        let leaf = chain.first().ok_or(CertificateError::NotACertificate)?;
        if authorities.iter().enumerate().any(|(index, authority)| *authority != (index > 0)) {
            return Err(CertificateError::Bundle);
        }
        let certificate = leaf.tbs_certificate();
        let validity = certificate.validity();
        let spki = spki(leaf).ok_or(CertificateError::NotACertificate)?;
        Ok(Self {
            pem: text.into(),
            common_name: common_name(leaf).ok_or(CertificateError::NoCommonName)?.into(),
            not_before: instant(validity.not_before),
            not_after: instant(validity.not_after),
            key: PublicKey::of_certificate(pem, spki.clone())?,
            spki: spki.into(),
        })
    }

    /// The text as documents carry it (base64-encoded there once more).
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The subject's common name: a repository, or a prefix of repositories that ends in `*`.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// From when on it is valid.
    #[must_use]
    pub const fn not_before(&self) -> Instant {
        self.not_before
    }

    /// Until when it is valid.
    #[must_use]
    pub const fn not_after(&self) -> Instant {
        self.not_after
    }

    /// SubjectPublicKeyInfo of the root key, DER.
    #[must_use]
    pub const fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether the certificate is for that repository.
    #[must_use]
    pub fn matches(&self, gun: &Gun) -> bool {
        match self.common_name.strip_suffix('*') {
            Some(prefix) => gun.as_str().starts_with(prefix),
            None => &*self.common_name == gun.as_str(),
        }
    }

    /// The key as a root document lists it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.clone()
    }
}

/// A certificate that lacks its signature.
#[derive(Clone, Debug)]
pub struct ToBeSigned {
    bytes: Vec<u8>,
    gun: Gun,
}

/// A self-signed certificate for the root key with that P-256 `point`, in Notary's template: version 3, subject and
/// issuer CN = `gun` of any length, key usage digitalSignature and keyEncipherment, extended key usage codeSigning, not
/// a CA. `serial` is 16 random bytes, big-endian; the first bit is cleared, and it must not be zero.
///
/// # Errors
/// If the point is not in uncompressed form, the dates are out of order or X.509 cannot write them.
pub fn to_be_signed(
    gun: &Gun,
    point: &[u8; 65],
    serial: [u8; 16],
    not_before: Instant,
    not_after: Instant,
) -> Result<ToBeSigned, CertificateError> {
    if point.first() != Some(&4) {
        return Err(CertificateError::Key(crate::error::KeyError::NotAPoint));
    }
    if not_after < not_before {
        return Err(CertificateError::Dates);
    }
    let name = name(gun.as_str());
    let validity = constructed(SEQUENCE, &[&time(not_before)?, &time(not_after)?]);
    let extensions = constructed(
        SEQUENCE,
        &[
            // digitalSignature and keyEncipherment: bits 0 and 2, five unused.
            &critical(&KEY_USAGE, &element(BIT_STRING, &[0x05, 0xa0])),
            &extension(&EXT_KEY_USAGE, &[], &constructed(SEQUENCE, &[&element(OID, &CODE_SIGNING)])),
            &critical(&BASIC_CONSTRAINTS, &element(SEQUENCE, &[])),
        ],
    );
    let bytes = constructed(
        SEQUENCE,
        &[
            &element(0xa0, &element(INTEGER, &[2])),
            &serial_number(serial),
            &ECDSA_SHA256,
            &name,
            &validity,
            &name,
            &P256_SPKI_HEAD,
            point,
            &element(0xa3, &extensions),
        ],
    );
    Ok(ToBeSigned { bytes, gun: gun.clone() })
}

impl ToBeSigned {
    /// The bytes to sign with ECDSA over SHA-256.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts the signature to it. The signature is not verified here.
    ///
    /// # Errors
    /// If the result does not read back as a certificate for the repository.
    pub fn finish(self, signature: &EcdsaSignature) -> Result<RootCertificate, CertificateError> {
        let mut bits = vec![0];
        bits.extend_from_slice(&signature.to_der());
        let der = constructed(SEQUENCE, &[&self.bytes, &ECDSA_SHA256, &element(BIT_STRING, &bits)]);
        let certificate = RootCertificate::from_pem(pem_form(&der).as_bytes())?;
        if certificate.common_name() != self.gun.as_str() {
            return Err(CertificateError::ReadBack);
        }
        Ok(certificate)
    }
}

/// SubjectPublicKeyInfo of the first certificate in a PEM text of any form; `None` if there is none.
pub(crate) fn leaf_spki(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    spki(&Certificate::from_der(blocks(text)?.first()?).ok()?)
}

fn spki(certificate: &Certificate) -> Option<Vec<u8>> {
    use der::Encode as _;
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// The DER of each certificate in a PEM text; `None` where one cannot be read or none is there.
fn blocks(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let (body, after) = after.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.split_ascii_whitespace().collect();
        found.push(STANDARD.decode(body).ok()?);
        rest = after;
    }
    (!found.is_empty()).then_some(found)
}

/// PEM as Go's `encoding/pem` writes it.
fn pem_form(der: &[u8]) -> String {
    let mut text = String::from(PEM_HEAD);
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(PEM_TAIL);
    text
}

fn is_authority(certificate: &Certificate) -> Result<bool, CertificateError> {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    let constraints = constraints.map_err(|_| CertificateError::NotACertificate)?;
    Ok(constraints.is_some_and(|(_, constraints)| constraints.ca))
}

/// The last common name of the subject, which is the one that Go takes.
fn common_name(certificate: &Certificate) -> Option<String> {
    let subject = certificate.tbs_certificate().subject();
    let attributes = subject.iter_rdn().flat_map(|rdn| rdn.iter());
    let last = attributes.filter(|attribute| attribute.oid == COMMON_NAME).last()?;
    let value = AnyRef::from(&last.value);
    let text = std::str::from_utf8(value.value()).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn instant(time: x509_cert::time::Time) -> Instant {
    Instant::from_unix(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

/// CN = `text`, as PrintableString where its characters allow, else UTF8String: Go's choice.
fn name(text: &str) -> Vec<u8> {
    let printable = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    let tag = if text.bytes().all(printable) { 0x13 } else { 0x0c };
    let attribute = constructed(SEQUENCE, &[&element(OID, &COMMON_NAME_DER), &element(tag, text.as_bytes())]);
    constructed(SEQUENCE, &[&constructed(SET, &[&attribute])])
}

/// A positive INTEGER in its shortest form.
fn serial_number(mut serial: [u8; 16]) -> Vec<u8> {
    if let Some(first) = serial.first_mut() {
        *first &= 0x7f;
    }
    let zeros = serial.iter().take_while(|byte| **byte == 0).count().min(15);
    let digits = serial.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    constructed(INTEGER, &[sign, digits])
}

/// UTCTime through 2049, GeneralizedTime from 2050 on.
fn time(at: Instant) -> Result<Vec<u8>, CertificateError> {
    if at.unix() < EARLIEST {
        return Err(CertificateError::Dates);
    }
    let digits: String = at.to_string().chars().filter(|c| c.is_ascii_digit() || *c == 'Z').collect();
    if at.unix() >= GENERALIZED_FROM {
        return Ok(element(0x18, digits.as_bytes()));
    }
    Ok(element(0x17, digits.get(2..).ok_or(CertificateError::Dates)?.as_bytes()))
}

fn critical(oid: &[u8], value: &[u8]) -> Vec<u8> {
    extension(oid, &element(BOOLEAN, &[0xff]), value)
}

fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    constructed(SEQUENCE, &[&element(OID, oid), critical, &element(OCTET_STRING, value)])
}

#[cfg(test)]
mod tests;
