//! What may be signed: documents read to the last byte, and what each kind has to keep to. Knows no policy, no store
//! and no keys; it says what a change needs, and others decide whether the caller has it.
mod needs;
mod root;
mod snapshot;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use touchmark_tuf::{
    Difference, Document, ExactError, Expires, Gun, Instant, RoleName, Root, Sha256Digest, Signature,
    Snapshot, Targets, Unverified, Version, assemble, diff, exact, shown,
};

pub use needs::needs;
pub use snapshot::KnownFile;

/// Why a document is not signed, whoever asks. A retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Nobody here signs timestamps.
    #[error("a timestamp is signed by the trust server, not here")]
    Timestamp,
    /// Not exactly a document of its kind.
    #[error("the {role} document is not exactly what may be signed: {cause}")]
    NotExact {
        /// Its role.
        role: RoleName,
        /// What is wrong with it.
        cause: ExactError,
    },
    /// Its kind must not look like this.
    #[error("the {role} document cannot be signed: {why}")]
    Rule {
        /// Its role.
        role: RoleName,
        /// The rule.
        why: String,
    },
    /// It changes something that nobody may change.
    #[error("the {role} document changes what nobody may change: {what}")]
    Change {
        /// Its role.
        role: RoleName,
        /// The difference.
        what: String,
    },
    /// It is valid too long, or not at all.
    #[error("the {role} document would be valid until {until}; it has to be a time to come, before {latest}")]
    Expiry {
        /// Its role.
        role: RoleName,
        /// What it says.
        until: Expires,
        /// The latest that the policy allows.
        latest: Instant,
    },
}

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Keys of the four roles.
    Root(Root),
    /// Tags and delegations: `targets` itself, or a delegation.
    Targets(Targets),
    /// Digests of the other files.
    Snapshot(Snapshot),
}

impl Body {
    /// Reads the signed bytes of a document that is known already: one of ours exactly, one of other people as
    /// readers do, with fields that nobody here knows passed over.
    ///
    /// # Errors
    /// If the bytes are no document of the role's kind.
    pub fn of_known(role: &RoleName, signed: &[u8], signatures: &[Signature]) -> Result<Self, DocumentError> {
        fn read<D: Document + Clone>(signed: &[u8], signatures: &[Signature]) -> Result<D, ExactError> {
            exact(signed).or_else(|error| {
                let file = assemble(signed, signatures).map_err(|_| error)?;
                Ok(Unverified::<D>::parse(&file)?.document_unverified().clone())
            })
        }
        match role {
            RoleName::Root => read(signed, signatures).map(Self::Root),
            RoleName::Targets | RoleName::Delegation(_) => read(signed, signatures).map(Self::Targets),
            RoleName::Snapshot => read(signed, signatures).map(Self::Snapshot),
            RoleName::Timestamp => return Err(DocumentError::Timestamp),
        }
        .map_err(|cause| DocumentError::NotExact { role: role.clone(), cause })
    }

    /// Its expiry.
    #[must_use]
    pub const fn expires(&self) -> &Expires {
        match self {
            Self::Root(root) => &root.expires,
            Self::Targets(targets) => &targets.expires,
            Self::Snapshot(snapshot) => &snapshot.expires,
        }
    }
}

/// A document to be signed, read to the last byte: the bytes are exactly what the body says.
#[derive(Clone, Debug)]
pub struct Exact {
    /// Its role. The document does not name it; the request does.
    pub role: RoleName,
    /// Its canonical bytes.
    pub bytes: Bytes,
    /// SHA-256 of them.
    pub digest: Sha256Digest,
    /// What it says.
    pub body: Arc<Body>,
}

impl Exact {
    /// Reads the canonical bytes of a document of that role.
    ///
    /// # Errors
    /// If they are not exactly a document of the role's kind, or nobody here signs that role.
    pub fn read(role: RoleName, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let body = match &role {
            RoleName::Root => exact(&bytes).map(Body::Root),
            RoleName::Targets | RoleName::Delegation(_) => exact(&bytes).map(Body::Targets),
            RoleName::Snapshot => exact(&bytes).map(Body::Snapshot),
            RoleName::Timestamp => return Err(DocumentError::Timestamp),
        };
        match body {
            Ok(body) => {
                Ok(Self { role, digest: Sha256Digest::of(&bytes), bytes: bytes.into(), body: Arc::new(body) })
            }
            Err(cause) => Err(DocumentError::NotExact { role, cause }),
        }
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        match &*self.body {
            Body::Root(root) => root.version,
            Body::Targets(targets) => targets.version,
            Body::Snapshot(snapshot) => snapshot.version,
        }
    }

    /// What it changes. `base`: the document before it, of the same role.
    #[must_use]
    pub fn differences(&self, base: Option<&Body>) -> Vec<Difference> {
        match (&*self.body, base) {
            (Body::Root(new), Some(Body::Root(base))) => diff::root(Some(base), new),
            (Body::Root(new), _) => diff::root(None, new),
            (Body::Targets(new), Some(Body::Targets(base))) => diff::targets(Some(base), new),
            (Body::Targets(new), _) => diff::targets(None, new),
            (Body::Snapshot(new), Some(Body::Snapshot(base))) => diff::snapshot(Some(base), new),
            (Body::Snapshot(new), _) => diff::snapshot(None, new),
        }
    }

    /// Checks what its kind has to keep to, whoever asks. `files`: the current files of the other roles.
    ///
    /// # Errors
    /// With the first rule that it breaks.
    pub fn check(&self, gun: &Gun, base: Option<&Body>, files: &[KnownFile]) -> Result<(), DocumentError> {
        match (&*self.body, base) {
            (Body::Root(new), _) => root::check(gun, new),
            (Body::Targets(new), Some(Body::Targets(base))) => targets::check(&self.role, Some(base), new),
            (Body::Targets(new), _) => targets::check(&self.role, None, new),
            (Body::Snapshot(new), Some(Body::Snapshot(base))) => snapshot::check(Some(base), new, files),
            (Body::Snapshot(new), _) => snapshot::check(None, new, files),
        }
        .map_err(|why| DocumentError::Rule { role: self.role.clone(), why })
    }

    /// Checks the expiry where it is a new one: a time to come, at most `ahead` from now.
    ///
    /// # Errors
    /// `DocumentError::Expiry`
    pub fn check_expiry(
        &self,
        base: Option<&Body>,
        now: Instant,
        ahead: Duration,
    ) -> Result<NewExpiry, DocumentError> {
        let until = self.body.expires();
        if base.is_some_and(|base| base.expires() == until) {
            return Ok(NewExpiry::No);
        }
        let latest = now.plus(ahead);
        if until.has_passed(now) || until.instant() > latest {
            return Err(DocumentError::Expiry { role: self.role.clone(), until: until.clone(), latest });
        }
        Ok(NewExpiry::Yes)
    }
}

/// Whether a document has another expiry than the one before it: then the clock has to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewExpiry {
    /// It has.
    Yes,
    /// It has not.
    No,
}

/// How many keys a role lists against how many must sign, in words.
fn too_few_keys(name: &str, keys: usize, threshold: u32) -> Option<String> {
    let few = u32::try_from(keys).is_ok_and(|keys| keys < threshold);
    few.then(|| format!("{} lists {keys} keys, and {threshold} must sign", shown(name)))
}

#[cfg(test)]
mod tests;
