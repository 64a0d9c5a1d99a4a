//! What a read found, all of it verified.
use touchmark_proto::reason::Reason;
use touchmark_tuf::{KeyId, RoleName, Sha256Digest, TargetName, TrustError, Trusted, shown};

use super::{Freshness, Ground};
use crate::config::ServerUrl;
use crate::error::Error;
use crate::trust_dir::Files;

/// The verified trust data of one repository.
#[derive(Debug)]
pub struct View {
    /// The documents.
    pub trusted: Trusted,
    /// Why the root is trusted.
    pub ground: Ground,
    /// From the server or the cache.
    pub freshness: Freshness,
    /// Delegations that do not verify; a pull does not go by them.
    pub broken: Vec<(RoleName, TrustError)>,
    /// The server that was asked.
    pub server: ServerUrl,
}

/// What is signed for one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTag {
    /// Whose word it is: `targets/releases` or `targets`.
    pub role: RoleName,
    /// The digest of the manifest.
    pub digest: Sha256Digest,
    /// The length of the manifest in bytes, as signed.
    pub length: u64,
}

impl View {
    /// What is signed for a tag.
    ///
    /// # Errors
    /// `TAG_NOT_SIGNED`; `TRUST_DATA_INVALID` if it is signed without a sha256 digest.
    pub fn signed(&self, tag: &TargetName) -> Result<SignedTag, Error> {
        self.find(tag)?.ok_or_else(|| {
            let gun = self.trusted.gun();
            Error::new(
                Reason::TagNotSigned,
                format!("the tag {} of {gun} is not signed", shown(tag.as_str())),
            )
            .hint(format!("touchmark inspect {gun}"))
        })
    }

    /// What is signed for a tag, `None` if nothing is.
    ///
    /// # Errors
    /// `TRUST_DATA_INVALID` if it is signed without a sha256 digest.
    pub fn find(&self, tag: &TargetName) -> Result<Option<SignedTag>, Error> {
        let invalid = |why: String| Error::new(Reason::TrustDataInvalid, why);
        let found = self.trusted.lookup(tag).map_err(|cause| invalid(cause.to_string()))?;
        let Some(found) = found else { return Ok(None) };
        let digest = found.target.sha256().copied().ok_or_else(|| {
            invalid(format!(
                "the tag {} of {} is signed without a sha256 digest",
                shown(tag.as_str()),
                self.trusted.gun()
            ))
        })?;
        Ok(Some(SignedTag { role: found.role, digest, length: found.target.length }))
    }

    /// Every tag that a pull would accept, with its digest, in order.
    ///
    /// # Errors
    /// `TRUST_DATA_INVALID` if one is signed without a sha256 digest.
    pub fn tags(&self) -> Result<Vec<(TargetName, Sha256Digest)>, Error> {
        let roles = [RoleName::releases(), RoleName::Targets];
        let documents = roles.iter().filter_map(|role| self.trusted.document(role));
        let mut names: Vec<&TargetName> = documents.flat_map(|document| document.targets.keys()).collect();
        names.sort();
        names.dedup();
        let mut found = Vec::new();
        for name in names {
            found.extend(self.find(name)?.map(|signed| (name.clone(), signed.digest)));
        }
        Ok(found)
    }

    /// A tag under which this digest is signed.
    ///
    /// # Errors
    /// `TAG_NOT_SIGNED` if there is none.
    pub fn any_tag_of(&self, digest: &Sha256Digest) -> Result<TargetName, Error> {
        let found = self.tags()?.into_iter().find(|(_, signed)| signed == digest);
        found.map(|(tag, _)| tag).ok_or_else(|| {
            let gun = self.trusted.gun();
            Error::new(Reason::TagNotSigned, format!("{} is signed under no tag of {gun}", digest.to_oci()))
                .hint(format!("touchmark inspect {gun}"))
        })
    }

    /// The ids of the root keys as root.json lists them.
    #[must_use]
    pub fn root_key_ids(&self) -> &[KeyId] {
        &self.trusted.root().roles.root.key_ids
    }

    /// The files as they were served, for the cache.
    #[must_use]
    pub fn files(&self) -> Files {
        let mut files = Files::default();
        files.insert(RoleName::Root, self.trusted.root().file().to_vec());
        if let Some(timestamp) = self.trusted.timestamp_doc() {
            files.insert(RoleName::Timestamp, timestamp.file().to_vec());
        }
        if let Some(snapshot) = self.trusted.snapshot_doc() {
            files.insert(RoleName::Snapshot, snapshot.file().to_vec());
        }
        for (role, document) in self.trusted.walk() {
            files.insert(role, document.file().to_vec());
        }
        files
    }
}

impl SignedTag {
    /// Whether the digest that somebody wrote beside the tag is the signed one.
    ///
    /// # Errors
    /// `HASH_MISMATCH` if it is another.
    pub fn must_be(&self, written: Option<&Sha256Digest>) -> Result<(), Error> {
        match written {
            Some(written) if *written != self.digest => Err(Error::new(
                Reason::HashMismatch,
                format!("{} is signed for this tag, not {}", self.digest.to_oci(), written.to_oci()),
            )),
            _ => Ok(()),
        }
    }
}
