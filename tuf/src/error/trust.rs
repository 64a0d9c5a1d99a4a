//! Why a reader believes nothing of what it was served.
use std::fmt;

use super::{DocumentError, VerifyError};
use crate::ids::{KeyId, RoleName, Version, shown};
use crate::instant::{Expires, Instant};

/// A reader must not believe what it was served. `needs_newer_root` says where fetching the root again may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// More bytes than this role may have. Stop reading there.
    #[error("{role}: {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The role.
        role: RoleName,
        /// How many there are.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not a document of the role's kind.
    #[error("{role} is not a valid document: {cause}")]
    Invalid {
        /// The role.
        role: RoleName,
        /// What is wrong with it.
        cause: DocumentError,
    },
    /// Too few valid signatures by the keys of the role.
    #[error("{role}: {cause}")]
    SignatureInvalid {
        /// The role.
        role: RoleName,
        /// How many there are.
        cause: VerifyError,
    },
    /// Past its date. A fresh document helps.
    #[error("{role} expired at {at}")]
    Expired {
        /// The role.
        role: RoleName,
        /// Until when it was valid.
        at: Expires,
    },
    /// Older than one that was seen before.
    #[error("{role} is version {got}, and version {have} was seen before")]
    Rollback {
        /// The role.
        role: RoleName,
        /// The version seen before.
        have: Version,
        /// The version served.
        got: Version,
    },
    /// Not the bytes that the snapshot or timestamp lists. May be a publication in between: start again once.
    #[error("{role} is not the file that {listed_by} lists")]
    HashMismatch {
        /// The role.
        role: RoleName,
        /// The document with the digest.
        listed_by: RoleName,
    },
    /// The snapshot lists another root than the trusted one: fetch and `advance_root`, then start again.
    #[error("the snapshot lists another root than version {have}")]
    RootOutdated {
        /// Version of the trusted root.
        have: Version,
    },
    /// The new root is not the one right after the trusted root. Fetch the one between.
    #[error("root version {got} does not follow version {have}")]
    RootGap {
        /// Version of the trusted root.
        have: Version,
        /// Version of the root served.
        got: Version,
    },
    /// The keys trusted so far did not sign the new root.
    #[error("the new root is not signed by the root keys trusted so far: {cause}")]
    RootChanged {
        /// How many of them did.
        cause: VerifyError,
    },
    /// Another root has the version of the trusted one.
    #[error("another root has the same version {version} as the trusted one")]
    RootReplaced {
        /// The version of both.
        version: Version,
    },
    /// No pinned key signed the first root.
    #[error("the root is not signed by a pinned key; it lists {}", Listed(.found))]
    PinMismatch {
        /// The root keys that it lists.
        found: Vec<KeyId>,
    },
    /// No root certificate is for this repository.
    #[error("no root certificate is for this repository; the names are {}", Names(.found))]
    CertificateName {
        /// The common names found.
        found: Vec<String>,
    },
    /// The root certificates for this repository are not valid now.
    #[error("the root certificates for this repository are not valid at {now}; {} is the latest end", Ends(.until))]
    CertificateDates {
        /// The time of the check.
        now: Instant,
        /// The latest end of all of them.
        until: Option<Instant>,
    },
    /// A role that its parent does not list, or whose parent was not read.
    #[error("{role} is not delegated")]
    MissingDelegation {
        /// The role.
        role: RoleName,
    },
    /// The snapshot does not list the role.
    #[error("the snapshot does not list {role}")]
    NotInSnapshot {
        /// The role.
        role: RoleName,
    },
    /// A role that the last snapshot listed is still delegated, and is gone from the new one.
    #[error("{role} was in the last snapshot, is still delegated, and is not in this one")]
    Vanished {
        /// The role.
        role: RoleName,
    },
    /// A document that the answer depends on was not accepted yet.
    #[error("{role} has not been read")]
    NotRead {
        /// The role.
        role: RoleName,
    },
}

impl TrustError {
    /// Whether a newer root may make the document acceptable: fetch the chain up to the newest root once, then start
    /// again with the timestamp.
    #[must_use]
    pub const fn needs_newer_root(&self) -> bool {
        matches!(
            self,
            Self::RootOutdated { .. }
                | Self::SignatureInvalid { .. }
                | Self::Expired { .. }
                | Self::CertificateDates { .. }
                | Self::HashMismatch { .. }
        )
    }
}

struct Listed<'a>(&'a [KeyId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0)
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(|name| shown(name)))
    }
}

struct Ends<'a>(&'a Option<Instant>);

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(end) => write!(f, "{end}"),
            None => f.write_str("none"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    let mut empty = true;
    for item in items {
        write!(f, "{}{item}", if empty { "" } else { ", " })?;
        empty = false;
    }
    if empty { f.write_str("none") } else { Ok(()) }
}
