//! Why there is no such root, and what to type instead.
use touchmark_proto::reason::Reason;
use touchmark_tuf::{EditError, Gun, KeyId, RoleName, shown};

use crate::error::Error;

/// Why there is no such root. A retry does not help; other wishes do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesignError {
    /// A new root without a root key.
    #[error("{gun} would have no root key")]
    NoRootKey {
        /// The repository.
        gun: Gun,
    },
    /// Every root key would go.
    #[error("{gun} would have no root key left, and nobody could ever sign for it again")]
    LastKey {
        /// The repository.
        gun: Gun,
    },
    /// More keys must sign than there are.
    #[error("{threshold} root keys of {gun} would have to sign, and it would have {keys}")]
    Threshold {
        /// The repository.
        gun: Gun,
        /// How many would have to sign.
        threshold: u32,
        /// How many there would be.
        keys: usize,
    },
    /// It is a root key already, or is added twice.
    #[error("{key} is a root key of {gun} already")]
    AddedTwice {
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
    },
    /// It comes and goes at once.
    #[error("{key} would be added to {gun} and removed at once")]
    AddedAndRemoved {
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
    },
    /// Nobody knows it as a root key of the repository.
    #[error("{} is no root key of {gun}: it has {}", shown(.written), list(.keys))]
    Unknown {
        /// The repository.
        gun: Gun,
        /// As it was written.
        written: String,
        /// Canonical ids of those that it has.
        keys: Vec<KeyId>,
    },
    /// More than one root key begins like that.
    #[error("more than one root key of {gun} is {}: it has {}", shown(.written), list(.keys))]
    Ambiguous {
        /// The repository.
        gun: Gun,
        /// As it was written.
        written: String,
        /// Canonical ids of those that it has.
        keys: Vec<KeyId>,
    },
    /// A new certificate for a key that does not stay, or the one that is listed.
    #[error("{key} gets no new certificate for {gun}: {why}")]
    Certificate {
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
        /// Why not.
        why: &'static str,
    },
    /// The certificate of a root key is for another repository.
    #[error("the certificate of the root key {key} is for {}, not for {gun}", shown(.of))]
    OtherRepository {
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
        /// The certificate's name.
        of: String,
    },
    /// One key for two roles.
    #[error("{key} would be a key of {gun} for {} and for {}", .roles.0, .roles.1)]
    TwoRoles {
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
        /// The roles.
        roles: (RoleName, RoleName),
    },
    /// A role has no key in a new root.
    #[error("the first root of {gun} needs a {role} key")]
    NoKey {
        /// The repository.
        gun: Gun,
        /// The role.
        role: RoleName,
    },
    /// All of it stands already.
    #[error("nothing would change about the root of {gun}")]
    Nothing {
        /// The repository.
        gun: Gun,
    },
    /// A rule of the document.
    #[error("the next root of {gun}: {cause}")]
    Edit {
        /// The repository.
        gun: Gun,
        /// The rule.
        cause: EditError,
    },
}

impl DesignError {
    /// What to type instead.
    #[must_use]
    pub fn next_step(&self) -> String {
        match self {
            Self::NoRootKey { .. } => {
                "--add-root KEY names one; touchmark key ls shows those of touchmarkd".to_owned()
            }
            Self::LastKey { .. } => "--add-root KEY names the one that comes in its place".to_owned(),
            Self::Threshold { keys, .. } => {
                format!("--threshold N with N at most {keys}, or another key with --add-root KEY")
            }
            Self::AddedTwice { key, .. } => {
                format!(
                    "leave out --add-root {key}; --renew-certificates gives the keys that stay new certificates"
                )
            }
            Self::AddedAndRemoved { key, .. } => {
                format!("leave out --remove-root {key}, or --add-root {key}")
            }
            Self::Unknown { .. } | Self::Ambiguous { .. } => {
                "--remove-root KEY with one of these; touchmark inspect IMAGE shows them too".to_owned()
            }
            Self::Certificate { .. } => "leave out --renew-certificates".to_owned(),
            Self::OtherRepository { gun, .. } => format!("touchmark ceremony key --token NAME {gun}"),
            Self::TwoRoles { .. } | Self::NoKey { .. } => "touchmark key create root --token NAME".to_owned(),
            Self::Nothing { .. } => "--renew gives it a new expiry; or say what is to change".to_owned(),
            Self::Edit { .. } => "touchmark inspect IMAGE shows what there is".to_owned(),
        }
    }
}

impl From<DesignError> for Error {
    fn from(error: DesignError) -> Self {
        let reason = match &error {
            DesignError::Unknown { .. } | DesignError::Ambiguous { .. } => Reason::KeyUnknown,
            _ => Reason::Usage,
        };
        Self::new(reason, error.to_string()).hint(error.next_step())
    }
}

fn list(keys: &[KeyId]) -> String {
    match keys {
        [] => "none".to_owned(),
        keys => keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", "),
    }
}
