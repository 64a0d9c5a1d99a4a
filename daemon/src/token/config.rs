//! How a token is described, and how long it may take.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One `[[token]]` of the configuration.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// How people call it.
    pub name: String,
    /// What it is and which one.
    pub kind: TokenKind,
    /// The environment of its helper process: PKCS#11 modules find their own configuration there.
    pub env: BTreeMap<String, String>,
}

/// What kind of token, and which one of that kind. Never "the first that is there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenKind {
    /// Anything that brings a PKCS#11 module.
    Pkcs11 {
        /// The module's shared library.
        module: PathBuf,
        /// `CKA_LABEL` of the token, without padding.
        label: String,
        /// The serial number it was enrolled with; absent until then.
        serial: Option<String>,
    },
    /// A YubiKey, by its PIV application over PC/SC.
    Yubikey {
        /// Its serial number, as printed on it.
        serial: u32,
    },
}

impl TokenKind {
    /// Whether this build can use YubiKeys.
    pub const KNOWS_YUBIKEYS: bool = cfg!(feature = "yubikey");

    /// The kind's word in the configuration.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pkcs11 { .. } => "pkcs11",
            Self::Yubikey { .. } => "yubikey",
        }
    }

    /// The serial number that the token must have, if it is pinned.
    #[must_use]
    pub fn serial(&self) -> Option<String> {
        match self {
            Self::Pkcs11 { serial, .. } => serial.clone(),
            Self::Yubikey { serial } => Some(serial.to_string()),
        }
    }

    /// Pins the serial number, unless one is pinned already.
    pub fn pin_serial(&mut self, seen: &str) {
        match self {
            Self::Pkcs11 { serial, .. } if serial.is_none() && !seen.is_empty() => {
                *serial = Some(seen.to_owned());
            }
            Self::Pkcs11 { .. } | Self::Yubikey { .. } => {}
        }
    }
}

/// As a person finds it.
impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pkcs11 { label, serial: None, .. } => write!(f, "label {label:?}"),
            Self::Pkcs11 { label, serial: Some(serial), .. } => {
                write!(f, "label {label:?}, serial {}", serial.escape_debug())
            }
            Self::Yubikey { serial } => write!(f, "YubiKey {serial}"),
        }
    }
}

/// How much a token may be asked and how long it may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Jobs that may wait; one more is answered [`Busy`](super::TokenError::Busy) at once.
    pub queue: usize,
    /// How long a job may wait for its turn.
    pub wait: Duration,
    /// How long one signature, login or listing may take.
    pub call: Duration,
    /// How long a YubiKey waits for a finger. It says itself when it has waited long enough: that is 15 seconds, and only
    /// `call` after them it counts as lost.
    pub touch: Duration,
    /// How long the making of a key, or of a token, may take. A discrete TPM needs a minute for RSA.
    pub make: Duration,
    /// How long loading the module and finding the token may take.
    pub open: Duration,
    /// How often an idle token is asked whether it is still there.
    pub probe: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 16,
            wait: Duration::from_secs(15),
            call: Duration::from_secs(10),
            touch: Duration::from_secs(15),
            make: Duration::from_secs(120),
            open: Duration::from_secs(15),
            probe: Duration::from_secs(1),
        }
    }
}
