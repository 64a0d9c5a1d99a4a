//! Opening boxes, and finding out whether a new key can.

use cryptoki::error::Error;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use zeroize::Zeroizing;

use super::Pkcs11Token;
use crate::token::quiet::Quiet;
use crate::token::trial::Trial;
use crate::token::{KeyRef, Secret, TokenBox, TokenError};

impl Pkcs11Token {
    /// Opens a box made for `key`.
    pub(super) fn open_box(&mut self, key: &KeyRef, boxed: &TokenBox) -> Result<Secret, TokenError> {
        let _quiet = Quiet::start();
        let mut opened = Zeroizing::new(match boxed {
            TokenBox::Ecdh { peer } => self.with_key(key, |session, own| shared_x(session, own, peer))?,
            TokenBox::RsaOaep { ciphertext } => {
                self.with_key(key, |session, own| session.decrypt(&oaep(), own, ciphertext))?
            }
        });
        if opened.is_empty() {
            // `cryptoki` answers with no value where the token refuses to show it.
            return Err(TokenError::NotSupported { what: "hand out an agreed secret".to_owned() });
        }
        Secret::take(&mut opened).ok_or(TokenError::BoxRefused { code: "too long".to_owned() })
    }

    /// Agrees with a key of our own and compares.
    pub(super) fn try_ecdh(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        let trial = Trial::of(&key.public)?;
        trial.passed(&self.open_box(key, &trial.boxed())?)
    }

    /// Has the token encrypt with the public half, and opens that.
    pub(super) fn try_oaep(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        const SAMPLE: [u8; 32] = *b"touchmark: can this key open it?";
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(key.id.clone())];
        let ciphertext = self.with_session(|session| match session.find_objects(&template)?.first() {
            Some(public) => session.encrypt(&oaep(), *public, &SAMPLE),
            None => Err(Error::InvalidValue),
        })?;
        let opened = self.open_box(key, &TokenBox::RsaOaep { ciphertext })?;
        let cannot = || TokenError::NotSupported { what: "open RSA-OAEP".to_owned() };
        (opened.expose() == SAMPLE).then_some(()).ok_or_else(cannot)
    }
}

/// The x coordinate of the shared point. `CKD_NULL` and the bare point are what all tokens take; without
/// `CKA_SENSITIVE` and `CKA_EXTRACTABLE` said, SoftHSM and kryoptic show no value.
fn shared_x(session: &Session, own: ObjectHandle, peer: &[u8; 65]) -> Result<Vec<u8>, Error> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(Ulong::new(32)),
    ];
    let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), peer));
    let shared = session.derive_key(&mechanism, own, &template)?;
    let read = session.get_attributes(shared, &[AttributeType::Value]);
    session.destroy_object(shared)?;
    let value = read?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(value),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

fn oaep() -> Mechanism<'static> {
    let (hash, mask) = (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1);
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty()))
}
