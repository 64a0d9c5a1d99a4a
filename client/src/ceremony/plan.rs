//! The plan of a ceremony: a file that people can read, with the exact documents that are to be signed. Its one form
//! makes every changed byte visible; who may have changed it on purpose is what the fingerprint is for.
pub(in crate::ceremony) mod written;

use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, Instant, PublicKey, Sha256Digest};

use super::file;
use crate::args::RehearsalArgs;
use crate::error::Error;

pub use written::PlanError;

/// The most repositories of one plan.
pub const REPOSITORIES_MAX: usize = 10_000;

/// A plan, as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the ceremony is called.
    pub title: String,
    /// Whether it is in earnest.
    pub occasion: Occasion,
    /// When it was made.
    pub made: Instant,
    /// Until when it may be signed.
    pub good_until: Instant,
    /// What made it, such as `touchmark 0.1.0`.
    pub tool: String,
    /// What is known of the root keys that take part.
    pub keys: Vec<RootKey>,
    /// What is to be signed, each repository once.
    pub repositories: Vec<Repository>,
}

/// Whether a ceremony is in earnest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It is.
    Earnest,
    /// Made-up repositories, nothing of it is ever published.
    Rehearsal,
}

impl Occasion {
    /// As the flag says.
    #[must_use]
    pub const fn of(args: &RehearsalArgs) -> Self {
        if args.rehearsal { Self::Rehearsal } else { Self::Earnest }
    }
}

/// A root key that takes part, and where it lives, as its holder told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKey {
    /// The key itself (never a certificate).
    pub public: PublicKey,
    /// What people call it; may be empty.
    pub label: String,
    /// `pkcs11`, `yubikey`, or empty: not known.
    pub token_kind: String,
    /// Serial of the token; empty: not known.
    pub serial: String,
    /// Firmware of the token; empty: not known.
    pub firmware: String,
    /// `always`, `cached`, `never`, or empty: not known.
    pub touch_policy: String,
    /// `always`, `once`, `never`, or empty: not known.
    pub pin_policy: String,
    /// What the token says of the key: certificates in DER, leaf first; none where it says nothing.
    pub attestation: Vec<Vec<u8>>,
}

/// One repository of a plan. Nothing here is believed: see [`super::item`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its name.
    pub gun: Gun,
    /// The trust server's address, with scheme; empty in a rehearsal.
    pub server: String,
    /// The published root files, oldest first, without gaps, up to the current one; none: a new repository.
    pub roots: Vec<Vec<u8>>,
    /// The canonical bytes of the root that is to be signed.
    pub root: Vec<u8>,
    /// What publishing adds to the root.
    pub also: Also,
}

/// What has to be published together with a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    /// Nothing of ours.
    Nothing,
    /// A targets document under the root's tagging key: the first one, or the current one signed anew.
    Targets,
}

impl Plan {
    /// Reads a plan from a file.
    ///
    /// # Errors
    /// `USAGE`: the file cannot be read. `CEREMONY_INVALID`: it is no plan, or not as it was written.
    pub fn load(path: &Path) -> Result<(Self, Sha256Digest), Error> {
        let bytes = file::read(path)?;
        let plan = Self::parse(&bytes).map_err(|cause| {
            let message = format!("{} is not to be used: {cause}", file::name(path));
            Error::new(Reason::CeremonyInvalid, message).hint("copy the plan again from where it was made")
        })?;
        Ok((plan, Sha256Digest::of(&bytes)))
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// It is no plan, or not byte for byte in the form in which plans are written.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanError> {
        written::read(bytes)
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        written::write(self)
    }

    /// What is known of a root key.
    #[must_use]
    pub fn key(&self, id: &touchmark_tuf::KeyId) -> Option<&RootKey> {
        self.keys.iter().find(|key| key.public.canonical_id() == *id)
    }
}

#[cfg(test)]
mod tests;
