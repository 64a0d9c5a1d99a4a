//! Public keys as documents describe them, and the two ids that Notary gives a key.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate;
use crate::der_form::{ED25519_SPKI_HEAD, Material, P256_SPKI_HEAD, material};
use crate::digest::Sha256Digest;
use crate::error::KeyError;
use crate::ids::KeyId;

/// The kind of a public key; `keytype` in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA; the public bytes are a SubjectPublicKeyInfo in DER.
    Ecdsa,
    /// ECDSA; the public bytes are a certificate in PEM, CA certificates may follow.
    EcdsaX509,
    /// RSA; SubjectPublicKeyInfo in DER.
    Rsa,
    /// RSA; certificate in PEM.
    RsaX509,
    /// Ed25519; the 32 bytes of the key.
    Ed25519,
}

impl KeyType {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::EcdsaX509 => "ecdsa-x509",
            Self::Rsa => "rsa",
            Self::RsaX509 => "rsa-x509",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The type with that word, or `None`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ecdsa, Self::EcdsaX509, Self::Rsa, Self::RsaX509, Self::Ed25519]
            .into_iter()
            .find(|key_type| key_type.as_str() == word)
    }

    /// Whether the public bytes are a certificate.
    #[must_use]
    pub const fn is_certificate(self) -> bool {
        matches!(self, Self::EcdsaX509 | Self::RsaX509)
    }
}

/// A public key as a document describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key_type: KeyType,
    public: Box<[u8]>,
    id: KeyId,
    /// SubjectPublicKeyInfo of the certificate that `public` is; `None` for a plain key, and for a certificate that
    /// cannot be read. Kept because reading a certificate takes longer than all else that is asked of a key.
    certified: Option<Box<[u8]>>,
}

impl PublicKey {
    /// A key from its parts, whether or not they can be read: a key that cannot be read verifies nothing.
    #[must_use]
    pub fn new(key_type: KeyType, public: &[u8]) -> Self {
        let certified = if key_type.is_certificate() { certificate::leaf_spki(public) } else { None };
        Self::with_spki(key_type, public, certified)
    }

    fn with_spki(key_type: KeyType, public: &[u8], certified: Option<Vec<u8>>) -> Self {
        let certified = certified.map(Vec::into_boxed_slice);
        Self { key_type, public: public.into(), id: key_id(key_type, public), certified }
    }

    /// A plain `ecdsa` key from an uncompressed P-256 point (0x04, x, y).
    #[must_use]
    pub fn from_p256_point(point: &[u8; 65]) -> Self {
        Self::new(KeyType::Ecdsa, &[P256_SPKI_HEAD.as_slice(), point].concat())
    }

    /// A plain key from a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// If it is none, or of an algorithm that nobody verifies with.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        match material(spki).ok_or(KeyError::NotSpki)? {
            Material::P256(_) | Material::P384(_) => Ok(Self::new(KeyType::Ecdsa, spki)),
            Material::Rsa(_) => Ok(Self::new(KeyType::Rsa, spki)),
            Material::Ed25519(key) => Ok(Self::new(KeyType::Ed25519, &key)),
        }
    }

    /// An `ecdsa-x509` or `rsa-x509` key from a certificate in PEM, kept to the byte.
    ///
    /// # Errors
    /// If it is no certificate, or its key is neither ECDSA nor RSA.
    pub fn from_certificate_pem(pem: &[u8]) -> Result<Self, KeyError> {
        Self::of_certificate(pem, certificate::leaf_spki(pem).ok_or(KeyError::NotACertificate)?)
    }

    /// The same where the certificate's SubjectPublicKeyInfo is known already.
    pub(crate) fn of_certificate(pem: &[u8], spki: Vec<u8>) -> Result<Self, KeyError> {
        let key_type = match material(&spki).ok_or(KeyError::Algorithm)? {
            Material::P256(_) | Material::P384(_) => KeyType::EcdsaX509,
            Material::Rsa(_) => KeyType::RsaX509,
            Material::Ed25519(_) => return Err(KeyError::Algorithm),
        };
        Ok(Self::with_spki(key_type, pem, Some(spki)))
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The bytes of the document's `public`, decoded: DER, PEM or 32 bytes, by `key_type`.
    #[must_use]
    pub const fn public(&self) -> &[u8] {
        &self.public
    }

    /// The id by which documents name the key; for a certificate it changes with each certificate.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The id of the key itself, whatever certificate it stands in: how private keys are filed. Equal to `id()` for a
    /// plain key, and for a certificate that cannot be read.
    #[must_use]
    pub fn canonical_id(&self) -> KeyId {
        let plain = match self.key_type {
            KeyType::EcdsaX509 => KeyType::Ecdsa,
            KeyType::RsaX509 => KeyType::Rsa,
            KeyType::Ecdsa | KeyType::Rsa | KeyType::Ed25519 => return self.id,
        };
        self.certified.as_ref().map_or(self.id, |spki| key_id(plain, spki))
    }

    /// SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// If the public bytes are not what `key_type` says.
    pub fn spki(&self) -> Result<Vec<u8>, KeyError> {
        match self.key_type {
            KeyType::Ecdsa | KeyType::Rsa => Ok(self.public.to_vec()),
            KeyType::EcdsaX509 | KeyType::RsaX509 => {
                self.certified.as_ref().map(|spki| spki.to_vec()).ok_or(KeyError::NotACertificate)
            }
            KeyType::Ed25519 => match <&[u8; 32]>::try_from(&*self.public) {
                Ok(key) => Ok([ED25519_SPKI_HEAD.as_slice(), key].concat()),
                Err(_) => Err(KeyError::NotSpki),
            },
        }
    }

    /// The uncompressed point (0x04, x, y), or `None` if the key is not on P-256.
    #[must_use]
    pub fn p256_point(&self) -> Option<[u8; 65]> {
        match self.material()? {
            Material::P256(point) => point.try_into().ok(),
            Material::P384(_) | Material::Rsa(_) | Material::Ed25519(_) => None,
        }
    }

    /// What the key is made of, or `None` where the bytes are not a key of `key_type`.
    pub(crate) fn material(&self) -> Option<Material> {
        let material = material(&self.spki().ok()?)?;
        let fits = match self.key_type {
            KeyType::Ecdsa | KeyType::EcdsaX509 => matches!(material, Material::P256(_) | Material::P384(_)),
            KeyType::Rsa | KeyType::RsaX509 => matches!(material, Material::Rsa(_)),
            KeyType::Ed25519 => matches!(material, Material::Ed25519(_)),
        };
        fits.then_some(material)
    }
}

/// SHA-256 of the canonical description of a key.
fn key_id(key_type: KeyType, public: &[u8]) -> KeyId {
    let public = STANDARD.encode(public);
    let word = key_type.as_str();
    let description = format!(r#"{{"keytype":"{word}","keyval":{{"private":null,"public":"{public}"}}}}"#);
    KeyId::from_bytes(*Sha256Digest::of(description.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests;
