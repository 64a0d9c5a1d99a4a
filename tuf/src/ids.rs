//! Names and numbers of trust documents, each checked once at the door. No value of these types breaks a path, a
//! terminal line or a canonical document.
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::IdError;
use crate::hex;

/// Longest accepted repository name in bytes.
const GUN_LIMIT: usize = 255;
/// Longest accepted tag in bytes.
const TARGET_LIMIT: usize = 1024;
/// A delegation's name is shorter than this, in bytes.
const DELEGATION_LIMIT: usize = 256;
/// What every delegation's name begins with.
const DELEGATION_PREFIX: &str = "targets/";

/// The methods that every textual id has.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text as it stands in documents.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;
            fn try_from(text: &str) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::check(&text)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Notary's full name of a repository ("globally unique name"), such as `docker.io/library/alpine`.
///
/// Safe as a relative path: 1 to 255 bytes, no empty, `.` or `..` segment, no `/` at either end, no `\`, `*`, white
/// space or control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gun(Box<str>);
text_id!(Gun);

impl Gun {
    fn check(text: &str) -> Result<(), IdError> {
        length("repository name", text, GUN_LIMIT)?;
        let bad = |c: char| c == '\\' || c == '*' || c.is_whitespace() || c.is_control();
        if let Some(character) = text.chars().find(|c| bad(*c)) {
            return Err(IdError::Character { what: "repository name", character });
        }
        segments("repository name", text)
    }
}

/// The name of a delegated role: `targets/NAME`, also deeper (`targets/NAME/SUB`).
///
/// Characters `a-z`, `0-9`, `-`, `_` and `/`, no empty segment, less than 256 bytes in all: what Notary accepts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelegationName(Box<str>);
text_id!(DelegationName);

impl DelegationName {
    /// The delegation called `name`, without the leading `targets/`.
    ///
    /// # Errors
    /// If the name is empty, too long or has a character outside `[-a-z0-9_/]`.
    pub fn new(name: &str) -> Result<Self, IdError> {
        format!("{DELEGATION_PREFIX}{name}").try_into()
    }

    /// `targets/releases`, where Docker looks for a tag first.
    #[must_use]
    pub fn releases() -> Self {
        Self("targets/releases".into())
    }

    /// The part after `targets/`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.strip_prefix(DELEGATION_PREFIX).unwrap_or(&self.0)
    }

    /// The role that lists this one: `targets` or another delegation.
    #[must_use]
    pub fn parent(&self) -> RoleName {
        match self.0.rsplit_once('/') {
            Some((parent, _)) if parent.contains('/') => RoleName::Delegation(Self(parent.into())),
            _ => RoleName::Targets,
        }
    }

    fn check(text: &str) -> Result<(), IdError> {
        let Some(name) = text.strip_prefix(DELEGATION_PREFIX) else {
            return Err(IdError::NotADelegation);
        };
        length("delegation name", name, DELEGATION_LIMIT - 1 - DELEGATION_PREFIX.len())?;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '/');
        if let Some(character) = name.chars().find(|c| !good(*c)) {
            return Err(IdError::Character { what: "delegation name", character });
        }
        segments("delegation name", name)
    }
}

/// A name that targets are listed under; with Docker it is a tag. 1 to 1024 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(Box<str>);
text_id!(TargetName);

impl TargetName {
    fn check(text: &str) -> Result<(), IdError> {
        length("tag", text, TARGET_LIMIT)?;
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(IdError::Character { what: "tag", character }),
            None => Ok(()),
        }
    }
}

/// Which document: the four of every repository and the delegations. Ordered as the text is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// Lists the keys of the four base roles.
    Root,
    /// Tags, and who else may sign tags.
    Targets,
    /// Digests of the current root, targets and delegations.
    Snapshot,
    /// Digest of the current snapshot; short-lived.
    Timestamp,
    /// Tags signed by somebody to whom `targets` delegates.
    Delegation(DelegationName),
}

impl RoleName {
    /// The text as it stands in documents and URLs, without `.json`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Delegation(name) => name.as_str(),
        }
    }

    /// `targets/releases`, where Docker looks for a tag first.
    #[must_use]
    pub fn releases() -> Self {
        Self::Delegation(DelegationName::releases())
    }
}

impl PartialOrd for RoleName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RoleName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoleName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(match text {
            "root" => Self::Root,
            "targets" => Self::Targets,
            "snapshot" => Self::Snapshot,
            "timestamp" => Self::Timestamp,
            other => Self::Delegation(other.parse()?),
        })
    }
}

impl TryFrom<&str> for RoleName {
    type Error = IdError;
    fn try_from(text: &str) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<DelegationName> for RoleName {
    fn from(name: DelegationName) -> Self {
        Self::Delegation(name)
    }
}

/// The id of a public key: SHA-256 of its canonical description, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// From the 32 bytes of the digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        hex::read(text).map(Self).ok_or(IdError::NotHex { what: "key id", digits: 64 })
    }
}

impl TryFrom<&str> for KeyId {
    type Error = IdError;
    fn try_from(text: &str) -> Result<Self, IdError> {
        text.parse()
    }
}

/// The version of one role's document: 1 to 2^53 - 1, since readers in Go and JavaScript go through doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The first version of every document.
    pub const FIRST: Self = Self(1);
    /// The last one that every reader understands.
    pub const LAST: Self = Self((1 << 53) - 1);

    /// The version that follows, or `None` after the last one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self < Self::LAST).then_some(Self(self.0 + 1))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Version {
    type Error = IdError;
    fn try_from(number: u64) -> Result<Self, IdError> {
        if number == 0 || number > Self::LAST.0 { Err(IdError::Version(number)) } else { Ok(Self(number)) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Shows a text from outside: everything but printable ASCII is escaped as `\u{..}`, and so is the backslash. So
/// nothing in it moves the cursor, changes the direction of writing or looks like another name.
#[must_use]
pub fn shown(text: &str) -> impl fmt::Display {
    struct Shown<'a>(&'a str);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.chars().try_for_each(|c| match c {
                '\\' => f.write_str("\\\\"),
                ' '..='~' => write!(f, "{c}"),
                _ => write!(f, "{}", c.escape_unicode()),
            })
        }
    }
    Shown(text)
}

fn length(what: &'static str, text: &str, limit: usize) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty { what }),
        size if size > limit => Err(IdError::TooLong { what, limit }),
        _ => Ok(()),
    }
}

fn segments(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(IdError::Segment { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
