//! What a YubiKey says of itself about a key, checked: a chain of certificates from the key, over the one that the
//! factory has put into slot f9, up to one of those that the operator trusts.
//!
//! Which certificates those are is data ([`Authorities`]). Of the maker's own, the fingerprints are known here, so that
//! a chain that ends in them can be told from one that ends in whatever somebody has put into the file.

mod chain;
pub mod pem;

use std::fmt;
use std::path::{Path, PathBuf};

use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode as _, Encode as _};
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Instant, PublicKey, Sha256Digest, shown};
use x509_cert::Certificate;

use crate::error::Error;
use chain::Link;

/// SHA-256 of the certificates with which Yubico signs for YubiKeys, as Yubico publishes them: for firmware from 5.7.4
/// on, and for that before.
const OF_YUBICO: [&str; 2] = [
    "sha256:62760c6a6ef91679f454c8902b80fd009825b3f25da90f1fbace2ec6586cd5a8",
    "sha256:63ece914e54dd87915f34033c85af4c0696ba1512f8add66ced738331207b546",
];
/// Where Yubico publishes them, and those between.
pub const PUBLISHED: &str = "https://developers.yubico.com/PKI/ (yubico-ca-1.pem, yubico-piv-ca-1.pem, \
                             yubico-intermediate.pem)";
/// What Yubico writes into the certificate of a key: firmware, serial number, policies.
const FIRMWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.3");
const SERIAL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.7");
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");

/// The certificates that the operator trusts, and those between them and a YubiKey.
#[derive(Debug)]
pub struct Authorities {
    links: Vec<Link>,
    file: PathBuf,
}

/// What was proved about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The key.
    pub public: PublicKey,
    /// Of the YubiKey.
    pub serial: u32,
    /// Of the YubiKey, when the key was made or asked for.
    pub firmware: String,
    /// `never`, `once`, `always`, or what the firmware calls it otherwise.
    pub pin_policy: &'static str,
    /// `never`, `always`, `cached`.
    pub touch_policy: &'static str,
    /// Who vouches for the YubiKey.
    pub root: Root,
}

/// Where a chain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name, as it is written there.
    pub name: String,
    /// SHA-256 of the certificate.
    pub fingerprint: Sha256Digest,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a root certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The maker's, as published.
    Yubico,
    /// Somebody's whom the operator trusts.
    Operator,
}

/// Why nothing is proved.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// The operator's file.
    #[error("{file} cannot be used: {why}")]
    Authorities {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// What the token sent.
    #[error("what the token sent is no attestation: {0}")]
    Malformed(&'static str),
    /// Nobody whom the operator trusts has signed it.
    #[error("it does not lead to a certificate in {file}: {why}")]
    Untrusted {
        /// The operator's file.
        file: String,
        /// Where it ends.
        why: String,
    },
    /// It is about another one.
    #[error("it is about {found}, and {expected} was asked for")]
    Another {
        /// What it is about.
        found: String,
        /// What it should be about.
        expected: String,
    },
}

impl From<AttestationError> for Error {
    fn from(error: AttestationError) -> Self {
        let hint = match &error {
            AttestationError::Authorities { .. } | AttestationError::Untrusted { .. } => {
                format!("--ca FILE with the certificates from {PUBLISHED}")
            }
            AttestationError::Malformed(_) => "touchmark doctor; is it a YubiKey of 4.3 or later?".to_owned(),
            AttestationError::Another { .. } => "touchmark token ls; do not trust this token".to_owned(),
        };
        let reason = match &error {
            AttestationError::Authorities { .. } => Reason::Usage,
            _ => Reason::NotAttested,
        };
        Self::new(reason, error.to_string()).hint(hint)
    }
}

impl Authorities {
    /// Reads certificates in PEM, any number, in any order.
    ///
    /// # Errors
    /// [`AttestationError::Authorities`].
    pub fn read(file: &Path) -> Result<Self, AttestationError> {
        let shown_file = shown(&file.to_string_lossy()).to_string();
        let refuse = |why: String| AttestationError::Authorities { file: shown_file.clone(), why };
        let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
        let blocks = pem::blocks(&text).ok_or_else(|| refuse("it is not PEM".to_owned()))?;
        let links = blocks.into_iter().map(|der| Link::read(&der));
        let links: Vec<Link> =
            links.collect::<Option<_>>().ok_or_else(|| refuse("a certificate is malformed".to_owned()))?;
        if !links.iter().any(Link::is_root) {
            return Err(refuse("it holds no root certificate".to_owned()));
        }
        Ok(Self { links, file: file.to_owned() })
    }

    /// Checks what a token sent: the certificate of a key, then that of slot f9.
    ///
    /// # Errors
    /// Every other [`AttestationError`].
    pub fn check(&self, sent: &[Vec<u8>], now: Instant) -> Result<Attested, AttestationError> {
        let [leaf, factory] = sent else {
            return Err(AttestationError::Malformed("two certificates are expected"));
        };
        let key = Link::read(leaf).ok_or(AttestationError::Malformed("the key's certificate"))?;
        let factory = Link::read(factory).ok_or(AttestationError::Malformed("slot f9's certificate"))?;
        let root = chain::follow(&key, &factory, &self.links, now).map_err(|why| {
            AttestationError::Untrusted { file: shown(&self.file.to_string_lossy()).to_string(), why }
        })?;
        let fingerprint = root.fingerprint();
        let known = OF_YUBICO.contains(&fingerprint.to_oci().as_str());
        let owner = if known { Owner::Yubico } else { Owner::Operator };
        let root = Root { name: shown(&root.name()).to_string(), fingerprint, owner };
        read_key(key.certificate(), root)
    }
}

impl Attested {
    /// Whether it is about this token, and about this key where one is known.
    ///
    /// # Errors
    /// [`AttestationError::Another`].
    pub fn is_about(&self, serial: &str, key: Option<&PublicKey>) -> Result<(), AttestationError> {
        if self.serial.to_string() != serial {
            return Err(AttestationError::Another {
                found: format!("YubiKey {}", self.serial),
                expected: format!("YubiKey {}", shown(serial)),
            });
        }
        match key {
            Some(key) if *key != self.public => Err(AttestationError::Another {
                found: format!("key {}", self.public.canonical_id()),
                expected: format!("key {}", key.canonical_id()),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.owner {
            Owner::Yubico => "Yubico's, as published",
            Owner::Operator => "none of Yubico's: you vouch for it",
        };
        write!(f, "{} ({whose})", self.name)
    }
}

/// What the certificate of a key says.
fn read_key(certificate: &Certificate, root: Root) -> Result<Attested, AttestationError> {
    let malformed = AttestationError::Malformed;
    let body = certificate.tbs_certificate();
    let spki = body.subject_public_key_info().to_der().map_err(|_| malformed("the public key"))?;
    let public = PublicKey::from_spki(&spki).map_err(|_| malformed("the public key"))?;
    let extension = |id: ObjectIdentifier| {
        let mut all = body.extensions().into_iter().flatten();
        all.find(|extension| extension.extn_id == id).map(|extension| extension.extn_value.as_bytes())
    };
    let Some([major, minor, patch]) = extension(FIRMWARE) else { return Err(malformed("the firmware")) };
    let serial = extension(SERIAL).and_then(|value| UintRef::from_der(value).ok());
    let serial = serial.and_then(|value| number(value.as_bytes())).ok_or(malformed("the serial number"))?;
    let Some([pin, touch]) = extension(POLICIES) else { return Err(malformed("the policies")) };
    let pin_policy = match pin {
        1 => "never",
        2 => "once",
        3 => "always",
        4 => "once, or a fingerprint",
        5 => "always, or a fingerprint",
        _ => return Err(malformed("the PIN policy")),
    };
    let touch_policy = match touch {
        1 => "never",
        2 => "always",
        3 => "cached",
        _ => return Err(malformed("the touch policy")),
    };
    Ok(Attested {
        public,
        serial,
        firmware: format!("{major}.{minor}.{patch}"),
        pin_policy,
        touch_policy,
        root,
    })
}

/// A number of at most four bytes.
fn number(bytes: &[u8]) -> Option<u32> {
    let mut value = [0; 4];
    let start = value.len().checked_sub(bytes.len())?;
    value.get_mut(start..)?.copy_from_slice(bytes);
    Some(u32::from_be_bytes(value))
}

#[cfg(test)]
mod tests;
