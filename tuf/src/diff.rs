//! What changed between two versions of a document: for policy to decide by and for people to read. Names are shown
//! escaped.
use std::fmt;

use crate::digest::Sha256Digest;
use crate::ids::{DelegationName, KeyId, RoleName, TargetName, shown};
use crate::instant::Expires;

mod compare;

pub use self::compare::{root, snapshot, targets};

/// One difference between a document and the one before it. Versions are not compared here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// There was no document before. What it holds comes as further differences.
    Created {
        /// What is created: `root`, `targets` or `snapshot`.
        what: &'static str,
        /// Until when it is valid.
        expires: Expires,
    },
    /// A tag that was not signed before.
    TagAdded {
        /// The tag.
        tag: TargetName,
        /// SHA-256 of the manifest.
        digest: Sha256Digest,
        /// Length of the manifest in bytes.
        length: u64,
    },
    /// A tag now stands for something else; with the same digest on both sides its length, its other digest or its
    /// custom data changed.
    TagMoved {
        /// The tag.
        tag: TargetName,
        /// SHA-256 of the manifest so far.
        from: Sha256Digest,
        /// SHA-256 of the new manifest.
        to: Sha256Digest,
    },
    /// A tag that is no longer signed.
    TagRemoved {
        /// The tag.
        tag: TargetName,
    },
    /// Another end of validity.
    ExpiryChanged {
        /// So far.
        from: Expires,
        /// From now on.
        to: Expires,
    },
    /// Somebody else may sign tags.
    DelegationAdded {
        /// The role.
        name: DelegationName,
        /// Its keys.
        keys: Vec<KeyId>,
        /// Prefixes of the tags that it may sign; `""` is every tag.
        paths: Vec<String>,
    },
    /// A role may no longer sign tags.
    DelegationRemoved {
        /// The role.
        name: DelegationName,
    },
    /// The keys, the threshold or the tags of a role changed.
    DelegationChanged {
        /// The role.
        name: DelegationName,
        /// Keys that may sign from now on.
        added: Vec<KeyId>,
        /// Keys that may no longer sign.
        removed: Vec<KeyId>,
        /// How many must sign: so far, from now on.
        threshold: (u32, u32),
        /// Prefixes of its tags from now on, where they changed.
        paths: Option<Vec<String>>,
    },
    /// A root key that was not one before.
    RootKeyAdded {
        /// The key.
        key_id: KeyId,
    },
    /// A key that is no longer a root key.
    RootKeyRemoved {
        /// The key.
        key_id: KeyId,
    },
    /// A root key is listed by another certificate.
    RootCertificateReplaced {
        /// The canonical id of the key.
        key: KeyId,
        /// The id by which it was listed.
        from: KeyId,
        /// The id by which it is listed from now on.
        to: KeyId,
    },
    /// Another number of root keys must sign.
    RootThresholdChanged {
        /// So far; `None`: there was no root.
        from: Option<u32>,
        /// From now on.
        to: u32,
        /// How many different root keys there are from now on.
        of: usize,
    },
    /// The keys or the threshold of another base role changed.
    RoleKeysChanged {
        /// The role.
        role: RoleName,
        /// Its keys so far.
        from: Vec<KeyId>,
        /// Its keys from now on.
        keys: Vec<KeyId>,
        /// How many must sign from now on.
        threshold: u32,
    },
    /// Another file stands for a role in a snapshot.
    FileChanged {
        /// The role.
        role: RoleName,
        /// SHA-256 of the file from now on; `None` if it is no longer listed.
        to: Option<Sha256Digest>,
    },
    /// Something else, which no policy can allow.
    Other {
        /// What it is.
        what: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { what, expires } => write!(f, "new {what}, valid until {expires}"),
            Self::TagAdded { tag, digest, length } => {
                write!(f, "tag {} added: sha256:{digest}, {length} bytes", shown(tag.as_str()))
            }
            Self::TagMoved { tag, from, to } if from == to => {
                write!(f, "tag {} keeps sha256:{to}, what is said about it changed", shown(tag.as_str()))
            }
            Self::TagMoved { tag, from, to } => {
                write!(f, "tag {} moved: sha256:{from} to sha256:{to}", shown(tag.as_str()))
            }
            Self::TagRemoved { tag } => write!(f, "tag {} removed", shown(tag.as_str())),
            Self::ExpiryChanged { from, to } => write!(f, "valid until {to}, so far {from}"),
            Self::DelegationAdded { name, keys, paths } => {
                write!(f, "{name} may sign {}: {}", Paths(paths), Keys(keys))
            }
            Self::DelegationRemoved { name } => write!(f, "{name} may no longer sign"),
            Self::DelegationChanged { name, added, removed, threshold: (from, to), paths } => {
                write!(f, "{name} changed")?;
                if !added.is_empty() {
                    write!(f, ", keys added: {}", Keys(added))?;
                }
                if !removed.is_empty() {
                    write!(f, ", keys removed: {}", Keys(removed))?;
                }
                if from != to {
                    write!(f, ", {to} must sign instead of {from}")?;
                }
                paths.as_ref().map_or(Ok(()), |paths| write!(f, ", may sign {}", Paths(paths)))
            }
            Self::RootKeyAdded { key_id } => write!(f, "root key {key_id} added"),
            Self::RootKeyRemoved { key_id } => write!(f, "root key {key_id} removed"),
            Self::RootCertificateReplaced { key, from, to } => {
                write!(f, "root key {key} is listed by another certificate: {to} instead of {from}")
            }
            Self::RootThresholdChanged { from, to, of } => {
                write!(f, "{to} of {of} root {} must sign", if *of == 1 { "key" } else { "keys" })?;
                from.map_or(Ok(()), |from| write!(f, " instead of {from}"))
            }
            Self::RoleKeysChanged { role, from, keys, threshold } => {
                write!(f, "{role} is signed by ")?;
                if (keys.len(), *threshold) == (1, 1) {
                    write!(f, "the key {}", Keys(keys))?;
                } else {
                    write!(f, "{threshold} of the keys {}", Keys(keys))?;
                }
                if from.is_empty() || from == keys { Ok(()) } else { write!(f, " instead of {}", Keys(from)) }
            }
            Self::FileChanged { role, to: Some(digest) } => write!(f, "{role} is the file sha256:{digest}"),
            Self::FileChanged { role, to: None } => write!(f, "{role} is no longer listed"),
            Self::Other { what } => write!(f, "{}", shown(what)),
        }
    }
}

struct Keys<'a>(&'a [KeyId]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, key_id) in self.0.iter().enumerate() {
            write!(f, "{}{key_id}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Paths<'a>(&'a [String]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no tag");
        }
        if self.0.iter().any(String::is_empty) {
            return f.write_str("every tag");
        }
        f.write_str("tags that begin with ")?;
        for (index, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " or " }, shown(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
