//! What the holder of a root key hands over before a plan is made: the key, what its token says of it, and its
//! certificate for each repository. Only the key itself can make those, and a root document lists them. Nothing secret.
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, Instant, PublicKey, RootCertificate};

use super::file;
use super::item::REHEARSAL;
use super::plan::written::{self, WrittenKey};
use super::plan::{Occasion, PlanError, RootKey};
use crate::error::Error;

const FORMAT: &str = "touchmark-root-key/1";

/// A root key and its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// Whether it is for a ceremony in earnest.
    pub occasion: Occasion,
    /// When it was made.
    pub made: Instant,
    /// What made it, such as `touchmark 0.1.0`.
    pub tool: String,
    /// The key.
    pub key: RootKey,
    /// Its certificate for each repository.
    pub certificates: BTreeMap<Gun, PublicKey>,
}

/// Why a file is none of a root key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// It is of another kind, or of a later version.
    #[error("it is no root key file of a version that is known here ({FORMAT})")]
    Format,
    /// It cannot be read at all.
    #[error("{0}")]
    Json(String),
    /// Its content is not what its digest says, or it was written by something else.
    #[error("it is damaged or was changed after it was written")]
    Changed,
    /// One of its fields is wrong.
    #[error(transparent)]
    Field(#[from] PlanError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    root_key: Written,
    /// SHA-256 of `root_key` without white space, hex.
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rehearsal: bool,
    made_unix: i64,
    tool: String,
    key: WrittenKey,
    /// In PEM, by repository.
    certificates: BTreeMap<String, String>,
}

impl KeyFile {
    /// Reads one from a file.
    ///
    /// # Errors
    /// `USAGE`: the file cannot be read. `CEREMONY_INVALID`: it is none, or not as it was written.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = file::read(path)?;
        Self::parse(&bytes).map_err(|cause| {
            let message = format!("{} is not to be used: {cause}", file::name(path));
            Error::new(Reason::CeremonyInvalid, message)
                .hint("copy it again from where it was made: touchmark ceremony key")
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none, or not byte for byte in the form in which they are written.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let file: File =
            serde_json::from_slice(bytes).map_err(|cause| KeyFileError::Json(cause.to_string()))?;
        if file.format != FORMAT {
            return Err(KeyFileError::Format);
        }
        if file.sha256 != written::digest(&file.root_key) || written::pretty(&file) != bytes {
            return Err(KeyFileError::Changed);
        }
        let holder = file.root_key;
        let occasion = if holder.rehearsal { Occasion::Rehearsal } else { Occasion::Earnest };
        let made = written::read_time("made_unix", holder.made_unix)?;
        let key = written::read_key("key", holder.key)?;
        let mut certificates = BTreeMap::new();
        for (name, pem) in holder.certificates {
            let wrong = |why: &dyn std::fmt::Display| written::field(format!("certificates[{name}]"), why);
            let gun: Gun = name.parse().map_err(|why| wrong(&why))?;
            if gun.as_str().starts_with(REHEARSAL) != (occasion == Occasion::Rehearsal) {
                return Err(wrong(&"a rehearsal is about made-up repositories, and nothing else is").into());
            }
            let certificate = RootCertificate::from_pem(pem.as_bytes()).map_err(|why| wrong(&why))?;
            if certificate.common_name() != gun.as_str() {
                return Err(wrong(&"it is for another repository").into());
            }
            let public = certificate.public_key();
            if public.canonical_id() != key.public.canonical_id() {
                return Err(wrong(&"it is of another key").into());
            }
            certificates.insert(gun, public);
        }
        Ok(Self { occasion, made, tool: holder.tool, key, certificates })
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let pem = |certificate: &PublicKey| String::from_utf8_lossy(certificate.public()).into_owned();
        let root_key = Written {
            rehearsal: self.occasion == Occasion::Rehearsal,
            made_unix: self.made.unix(),
            tool: self.tool.clone(),
            key: written::write_key(&self.key),
            certificates: self.certificates.iter().map(|(gun, one)| (gun.to_string(), pem(one))).collect(),
        };
        let sha256 = written::digest(&root_key);
        written::pretty(&File { format: FORMAT.to_owned(), root_key, sha256 })
    }

    /// Its certificate for a repository.
    ///
    /// # Errors
    /// `CEREMONY_INVALID`, saying how to make it.
    pub fn certificate(&self, gun: &Gun) -> Result<&PublicKey, Error> {
        self.certificates.get(gun).ok_or_else(|| {
            let id = self.key.public.canonical_id();
            let message = format!("the file of the root key {id} has no certificate for {gun}");
            Error::new(Reason::CeremonyInvalid, message)
                .hint(format!("where its token is: touchmark ceremony key --token NAME {gun} --out FILE"))
        })
    }
}

#[cfg(test)]
mod tests;
