//! What daemon and helper say to each other: JSON for what may be seen, secrets beside it (see [`super::frame`]).

use serde::{Deserialize, Serialize};
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};

use super::hex::Hex;
use super::{Attestation, KeyPolicy, KeyRef, TokenBox, TokenError, TokenKey, TokenKind, TokenState, Usage};

/// What the daemon asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    /// Which token this helper is for. The first request of every helper.
    Open { kind: TokenKind },
    /// Is it still there, or back?
    Probe,
    /// Which keys has it?
    Keys,
    /// The first secret is the user PIN. It is for a token that has one of these keys, where there are any.
    Login { enrolled: Vec<WireKeyRef> },
    /// Forget the PIN.
    Logout,
    /// What does this key ask of a person?
    Policy { key: WireKeyRef },
    /// Sign a digest.
    Sign { key: WireKeyRef, digest: Hex },
    /// Open a box.
    Unwrap { key: WireKeyRef, boxed: WireBox },
    /// Make a signing key.
    GenerateRoot { label: String, policy: KeyPolicy },
    /// Make a key that opens the vault.
    GenerateUnwrap,
    /// The first secret is the scalar.
    Import { label: String, public: Hex, policy: KeyPolicy },
    /// What does the token say about the key with this id?
    Attest { id: Hex },
    /// Remove a key.
    Delete { key: WireKeyRef },
    /// The first secret, if any, is the security officer's PIN, the second the user PIN.
    InitToken,
}

/// What the helper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Reply {
    /// What came of it.
    pub(super) result: Result<Answer, TokenError>,
    /// How the token stands now, where that may have changed.
    pub(super) state: Option<TokenState>,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Answer {
    /// Nothing more to say.
    Done,
    /// The keys of the token.
    Keys(Vec<WireKey>),
    /// One key.
    Key(WireKey),
    /// What a key asks of a person, where the token says so.
    Policy(Option<KeyPolicy>),
    /// `r || s`.
    Signature(Hex),
    /// The first secret of the frame.
    Secret,
    /// Where a key was made.
    Attestation(Attestation),
}

/// A [`KeyRef`] on the wire; the public key as `SubjectPublicKeyInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireKeyRef {
    id: Hex,
    spki: Hex,
}

/// A [`TokenKey`] on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireKey {
    id: Hex,
    label: String,
    spki: Hex,
    usage: Usage,
    policy: Option<KeyPolicy>,
}

/// A [`TokenBox`] on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum WireBox {
    /// ECDH.
    Ecdh { peer: Hex },
    /// RSA-OAEP.
    RsaOaep { ciphertext: Hex },
}

/// A value on the wire that means nothing. Both ends are one program, so this is a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0} in a message between daemon and helper")]
pub(super) struct Malformed(&'static str);

impl From<Malformed> for TokenError {
    fn from(malformed: Malformed) -> Self {
        Self::Failed { call: "helper message".to_owned(), code: malformed.to_string() }
    }
}

impl TryFrom<&KeyRef> for WireKeyRef {
    type Error = Malformed;

    fn try_from(key: &KeyRef) -> Result<Self, Malformed> {
        Ok(Self { id: Hex(key.id.clone()), spki: spki(&key.public)? })
    }
}

impl TryFrom<WireKeyRef> for KeyRef {
    type Error = Malformed;

    fn try_from(wire: WireKeyRef) -> Result<Self, Malformed> {
        Ok(Self { id: wire.id.0, public: public_key(&wire.spki)? })
    }
}

impl TryFrom<&TokenKey> for WireKey {
    type Error = Malformed;

    fn try_from(key: &TokenKey) -> Result<Self, Malformed> {
        let (id, label) = (Hex(key.id.clone()), key.label.clone());
        Ok(Self { id, label, spki: spki(&key.public)?, usage: key.usage, policy: key.policy })
    }
}

impl TryFrom<WireKey> for TokenKey {
    type Error = Malformed;

    fn try_from(wire: WireKey) -> Result<Self, Malformed> {
        let public = public_key(&wire.spki)?;
        Ok(Self { id: wire.id.0, label: wire.label, public, usage: wire.usage, policy: wire.policy })
    }
}

impl From<&TokenBox> for WireBox {
    fn from(boxed: &TokenBox) -> Self {
        match boxed {
            TokenBox::Ecdh { peer } => Self::Ecdh { peer: Hex(peer.to_vec()) },
            TokenBox::RsaOaep { ciphertext } => Self::RsaOaep { ciphertext: Hex(ciphertext.clone()) },
        }
    }
}

impl TryFrom<WireBox> for TokenBox {
    type Error = Malformed;

    fn try_from(wire: WireBox) -> Result<Self, Malformed> {
        Ok(match wire {
            WireBox::Ecdh { peer } => {
                Self::Ecdh { peer: peer.0.try_into().map_err(|_| Malformed("peer point"))? }
            }
            WireBox::RsaOaep { ciphertext } => Self::RsaOaep { ciphertext: ciphertext.0 },
        })
    }
}

/// A public key as `SubjectPublicKeyInfo`.
pub(super) fn spki(key: &PublicKey) -> Result<Hex, Malformed> {
    key.spki().map(Hex).map_err(|_| Malformed("public key"))
}

/// A public key from `SubjectPublicKeyInfo`.
pub(super) fn public_key(spki: &Hex) -> Result<PublicKey, Malformed> {
    PublicKey::from_spki(&spki.0).map_err(|_| Malformed("public key"))
}

/// A digest.
pub(super) fn digest(bytes: &Hex) -> Result<Sha256Digest, Malformed> {
    bytes.0.as_slice().try_into().map(Sha256Digest::from_bytes).map_err(|_| Malformed("digest"))
}

/// A signature, `r || s`.
pub(super) fn signature(bytes: &Hex) -> Result<EcdsaSignature, Malformed> {
    bytes.0.as_slice().try_into().map(EcdsaSignature::from_raw).map_err(|_| Malformed("signature"))
}

#[cfg(test)]
mod tests;
