//! From a certificate to one that is trusted, signature by signature.
//!
//! Of what a token sends, one certificate may sign another: that of slot f9 the key's. Whoever signs that of slot f9 is
//! in the operator's file. So nobody makes a chain out of keys that are in a YubiKey's other slots.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use touchmark_tuf::{Instant, Sha256Digest, shown};
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

/// How many certificates there may be between slot f9 and the root. Yubico has two.
const BETWEEN: usize = 4;
/// RFC 4055 section 5, RFC 5758 section 3.2.
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// RFC 5480 section 2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A certificate.
#[derive(Debug)]
pub(super) struct Link {
    certificate: Certificate,
    der: Vec<u8>,
    /// What is signed of it, as it came.
    body: Vec<u8>,
}

impl Link {
    /// Reads one certificate, and nothing after it.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let mut reader = SliceReader::new(der).ok()?;
        let body = reader.sequence(|inner| {
            let body = inner.tlv_bytes()?.to_vec();
            while !inner.is_finished() {
                inner.tlv_bytes()?;
            }
            Ok::<_, der::Error>(body)
        });
        Some(Self { certificate, der: der.to_vec(), body: body.ok()? })
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it says that it has signed itself.
    pub(super) fn is_root(&self) -> bool {
        let body = self.certificate.tbs_certificate();
        body.issuer() == body.subject()
    }

    pub(super) fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::of(&self.der)
    }

    pub(super) fn name(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    fn is_valid(&self, now: Instant) -> bool {
        let validity = self.certificate.tbs_certificate().validity();
        unix(validity.not_before) <= now.unix() && now.unix() <= unix(validity.not_after)
    }

    /// Whether it may sign other certificates.
    fn is_authority(&self) -> bool {
        let constraints = self.certificate.tbs_certificate().get_extension::<BasicConstraints>();
        constraints.ok().flatten().is_some_and(|(_, constraints)| constraints.ca)
    }

    fn has_signed(&self, other: &Self) -> bool {
        self.certificate.tbs_certificate().subject() == other.certificate.tbs_certificate().issuer()
            && self.verifies(other).is_some()
    }

    fn verifies(&self, other: &Self) -> Option<()> {
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        let curve = key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| (any.to_der().ok()).and_then(|der| ObjectIdentifier::from_der(&der).ok()));
        let algorithm: &dyn VerificationAlgorithm = match (other.certificate.signature_algorithm().oid, curve)
        {
            (RSA_SHA256, None) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (RSA_SHA384, None) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (RSA_SHA512, None) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (ECDSA_SHA256, Some(P256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, Some(P256)) => &signature::ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA256, Some(P384)) => &signature::ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, Some(P384)) => &signature::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        };
        let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.as_bytes()?);
        key.verify(&other.body, other.certificate.signature().as_bytes()?).ok()
    }
}

/// The root that vouches for `key`, over `factory`; else why there is none.
pub(super) fn follow<'a>(
    key: &'a Link,
    factory: &'a Link,
    trusted: &'a [Link],
    now: Instant,
) -> Result<&'a Link, String> {
    for (link, what) in [(key, "the key's certificate"), (factory, "the certificate of slot f9")] {
        if !link.is_valid(now) {
            return Err(format!("{what} is not valid now"));
        }
    }
    if !factory.is_authority() || !factory.has_signed(key) {
        return Err("the key's certificate is not signed by slot f9".to_owned());
    }
    let mut last = factory;
    for _ in 0..=BETWEEN {
        let signer = trusted.iter().find(|link| link.is_authority() && link.has_signed(last));
        let issuer = last.certificate.tbs_certificate().issuer();
        last = signer.ok_or_else(|| format!("there is no \"{}\"", shown(&issuer.to_string())))?;
        if !last.is_valid(now) {
            return Err(format!("\"{}\" is not valid now", shown(&last.name())));
        }
        if last.is_root() {
            return Ok(last);
        }
    }
    Err("it is too long".to_owned())
}

fn unix(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}
