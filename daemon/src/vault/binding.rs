//! What a key is for: its role and its repositories, bound into its seal for ever.
use std::fmt;

use touchmark_tuf::{DelegationName, Gun};

/// The kind of document that a key signs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// Root documents; on tokens only, never in the vault.
    Root,
    /// Targets documents.
    Targets,
    /// Snapshots, where the server does not sign them.
    Snapshot,
    /// Documents of one delegation.
    Delegation(DelegationName),
    /// The head of the daemon's own audit record.
    Audit,
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Delegation(name) => name.as_str(),
            Self::Audit => "audit",
        })
    }
}

/// A key's role and the repositories that it may sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    role: KeyRole,
    guns: Vec<Gun>,
}

impl Binding {
    /// The repositories are sorted and each is kept once: order makes no difference to the seal.
    #[must_use]
    pub fn new(role: KeyRole, mut guns: Vec<Gun>) -> Self {
        guns.sort_unstable();
        guns.dedup();
        Self { role, guns }
    }

    /// The kind of document.
    #[must_use]
    pub const fn role(&self) -> &KeyRole {
        &self.role
    }

    /// The repositories, sorted, each once.
    #[must_use]
    pub fn guns(&self) -> &[Gun] {
        &self.guns
    }
}
