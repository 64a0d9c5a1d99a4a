//! Keys on tokens.

use std::fmt;

use serde::{Deserialize, Serialize};
use touchmark_tuf::PublicKey;

/// A key as the daemon has enrolled it. It is found by its id and counts only with this public key: object handles
/// and ids can come to mean another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRef {
    /// `CKA_ID`; on a YubiKey the one byte that names the slot.
    pub id: Vec<u8>,
    /// The enrolled public key.
    pub public: PublicKey,
}

/// A key as a token shows it.
///
/// Keys that this program makes have sixteen random bytes as `CKA_ID`, the same on both halves, and a label: the
/// person's words for a root key, `touchmark vault (ecdh)` or `touchmark vault (rsa-oaep)` for a key that opens the
/// vault. Keys made by other programs may have any id and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// `CKA_ID`; on a YubiKey the one byte that names the slot.
    pub id: Vec<u8>,
    /// `CKA_LABEL`, or what the certificate in the slot says; what is not UTF-8 in it is replaced.
    pub label: String,
    /// Public half.
    pub public: PublicKey,
    /// What it is for.
    pub usage: Usage,
    /// What it asks of a person, where the token says so: YubiKeys do.
    pub policy: Option<KeyPolicy>,
}

impl TokenKey {
    /// What to keep of it to find it again.
    #[must_use]
    pub fn key_ref(&self) -> KeyRef {
        KeyRef { id: self.id.clone(), public: self.public.clone() }
    }
}

/// What a key asks of a person before it is used; chosen when it is made and fixed from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPolicy {
    /// When the PIN must have been given.
    pub pin: PinPolicy,
    /// When the token must be touched.
    pub touch: TouchPolicy,
}

impl KeyPolicy {
    /// The PIN once for each unlocking and no touch, as PKCS#11 tokens do it.
    pub const PIN_ONCE: Self = Self { pin: PinPolicy::Once, touch: TouchPolicy::Never };
}

/// When the PIN must have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinPolicy {
    /// Never: whoever has the token can use the key.
    Never,
    /// Once since the token was plugged in or locked.
    Once,
    /// Right before each use.
    Always,
}

/// As people write it.
impl fmt::Display for PinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Once => "once",
            Self::Always => "always",
        })
    }
}

/// When the token must be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TouchPolicy {
    /// Never.
    Never,
    /// For each use.
    Always,
    /// For each use, but a touch holds for fifteen seconds.
    Cached,
}

/// As people write it.
impl fmt::Display for TouchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::Cached => "cached",
        })
    }
}

/// Where a key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MadeWhere {
    /// On the token.
    Here,
    /// Somewhere else.
    Elsewhere,
}

/// What a token says about a key on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Without a signature: anybody between can change it.
    pub made: MadeWhere,
    /// X.509 in DER: that of the key, and that of who signed it. None for a key that was made elsewhere.
    pub certificates: Vec<Vec<u8>>,
}

/// What a key on a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// Signs root documents.
    Sign,
    /// Opens the vault.
    Unwrap(UnwrapMethod),
}

/// How a key opens the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnwrapMethod {
    /// ECDH on P-256 (`CKM_ECDH1_DERIVE`, `CKD_NULL`).
    Ecdh,
    /// RSA-2048 OAEP with SHA-1 and MGF1-SHA-1, the one parameter set that SoftHSM, TPMs and others share.
    RsaOaep,
}

impl UnwrapMethod {
    /// The label of keys of this method.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ecdh => "touchmark vault (ecdh)",
            Self::RsaOaep => "touchmark vault (rsa-oaep)",
        }
    }
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenBox {
    /// The other party's point, uncompressed.
    Ecdh {
        /// `04 || x || y`.
        peer: [u8; 65],
    },
    /// An RSA-OAEP ciphertext.
    RsaOaep {
        /// As long as the modulus.
        ciphertext: Vec<u8>,
    },
}
