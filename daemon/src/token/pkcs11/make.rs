//! Making, taking and checking keys.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use touchmark_tuf::PublicKey;
use zeroize::Zeroize;

use super::Pkcs11Token;
use super::fault::refused;
use super::keys::{P256, read_public};
use crate::token::quiet::Quiet;
use crate::token::{KeyRef, Secret, TokenError, TokenKey, UnwrapMethod, Usage};

impl Pkcs11Token {
    /// A P-256 key that signs, and nothing else.
    pub(super) fn make_signing_key(&mut self, label: &str) -> Result<TokenKey, TokenError> {
        let may = [Attribute::Sign(true), Attribute::Derive(false)];
        let public = [ec_public().as_slice(), &[Attribute::Verify(true)]].concat();
        self.make_pair(Mechanism::EccKeyPairGen, label, Usage::Sign, &public, &may)
    }

    /// A key that opens boxes: of the first method for which a box really opens. Mechanism lists and `CKA_DERIVE`
    /// are not asked, because they do not tell the truth.
    pub(super) fn make_unwrap_key(&mut self) -> Result<TokenKey, TokenError> {
        let refusal = match self.make_ecdh_key() {
            Ok(key) => return Ok(key),
            Err(error @ (TokenError::NotLoggedIn | TokenError::NotPresent)) => return Err(error),
            Err(error) => error,
        };
        // tpm2-pkcs11 has no room for a second key before the login is renewed, not even after a refusal.
        self.relogin()?;
        match self.make_oaep_key() {
            Ok(key) => Ok(key),
            Err(error @ (TokenError::NotLoggedIn | TokenError::NotPresent)) => Err(error),
            Err(error) => Err(TokenError::NotSupported {
                what: format!("open a vault (ECDH: {refusal}; RSA-OAEP: {error})"),
            }),
        }
    }

    /// A private key from outside.
    pub(super) fn take_key(
        &mut self,
        label: &str,
        scalar: &Secret,
        public: &PublicKey,
    ) -> Result<TokenKey, TokenError> {
        let unfit = || TokenError::NotSupported { what: "take this key: it is not a P-256 key".to_owned() };
        let point = public.p256_point().ok_or_else(unfit)?;
        let id = new_id()?;
        let names = |class| {
            let (id, label) = (Attribute::Id(id.clone()), Attribute::Label(label.as_bytes().to_vec()));
            vec![Attribute::Class(class), Attribute::KeyType(KeyType::EC), Attribute::Token(true), id, label]
        };
        let mut public_half = names(ObjectClass::PUBLIC_KEY);
        public_half.extend(ec_public());
        public_half.push(Attribute::EcPoint([[0x04, 0x41].as_slice(), &point].concat()));
        public_half.extend([Attribute::Private(false), Attribute::Verify(true)]);
        let mut private_half = names(ObjectClass::PRIVATE_KEY);
        private_half.extend(never_leaves());
        private_half.extend([
            Attribute::Sign(true),
            Attribute::Derive(false),
            Attribute::EcParams(P256.to_vec()),
        ]);
        private_half.push(Attribute::Value(scalar.expose().to_vec()));
        let quiet = Quiet::start();
        let made = self.with_session(|session| {
            let private = session.create_object(&private_half)?;
            let public = session.create_object(&public_half);
            if public.is_err() {
                session.destroy_object(private)?;
            }
            public.map(|public| (public, private))
        });
        if let Some(Attribute::Value(copy)) = private_half.last_mut() {
            copy.zeroize();
        }
        drop(quiet);
        let (public, private) = made?;
        self.checked(public, private, Usage::Sign)
    }

    fn make_ecdh_key(&mut self) -> Result<TokenKey, TokenError> {
        let usage = Usage::Unwrap(UnwrapMethod::Ecdh);
        let may = [Attribute::Sign(false), Attribute::Derive(true)];
        let key =
            self.make_pair(Mechanism::EccKeyPairGen, UnwrapMethod::Ecdh.label(), usage, &ec_public(), &may)?;
        self.kept_if_it_opens(key, Self::try_ecdh)
    }

    fn make_oaep_key(&mut self) -> Result<TokenKey, TokenError> {
        let usage = Usage::Unwrap(UnwrapMethod::RsaOaep);
        let size = [Attribute::ModulusBits(Ulong::new(2048)), Attribute::PublicExponent(vec![1, 0, 1])];
        let public = [size.as_slice(), &[Attribute::Encrypt(true)]].concat();
        // Not `Sign(false)`: tpm2-pkcs11 refuses any word against what its keys can do anyhow.
        let may = [Attribute::Decrypt(true)];
        let label = UnwrapMethod::RsaOaep.label();
        let key = self.make_pair(Mechanism::RsaPkcsKeyPairGen, label, usage, &public, &may)?;
        self.kept_if_it_opens(key, Self::try_oaep)
    }

    /// A key that cannot do what it was made for does not stay.
    fn kept_if_it_opens(
        &mut self,
        key: TokenKey,
        try_it: impl FnOnce(&mut Self, &KeyRef) -> Result<(), TokenError>,
    ) -> Result<TokenKey, TokenError> {
        let tried = try_it(self, &key.key_ref());
        if let Err(error) = tried {
            self.destroy_key(&key.key_ref())?;
            return Err(error);
        }
        Ok(key)
    }

    fn make_pair(
        &mut self,
        mechanism: Mechanism<'_>,
        label: &str,
        usage: Usage,
        public: &[Attribute],
        may: &[Attribute],
    ) -> Result<TokenKey, TokenError> {
        let names =
            [Attribute::Token(true), Attribute::Id(new_id()?), Attribute::Label(label.as_bytes().to_vec())];
        let public = [names.as_slice(), &[Attribute::Private(false)], public].concat();
        let private = [names.as_slice(), &never_leaves(), may].concat();
        let (public, private) =
            self.with_session(|session| session.generate_key_pair(&mechanism, &public, &private))?;
        let made = self.checked(public, private, usage);
        // tpm2-pkcs11 has no room for the next key before the login is renewed. Where that fails the key is there all
        // the same, and whoever asked for it is told; that the login is gone is in the state.
        self.relogin().ok();
        made
    }

    /// Reads a new key back. One that could leave the token is destroyed again.
    fn checked(
        &mut self,
        public: ObjectHandle,
        private: ObjectHandle,
        usage: Usage,
    ) -> Result<TokenKey, TokenError> {
        let session = self.session()?;
        let made = match (read_public(session, public), stays(session, private)) {
            (Ok(Some(key)), Ok(true)) => Ok(TokenKey { usage, ..key }),
            (Ok(Some(_)), Ok(false)) => Err(TokenError::NotSupported {
                what: "keep a key inside: it would be extractable".to_owned(),
            }),
            (Ok(None), _) => {
                Err(TokenError::NotSupported { what: "say the public key of a new key".to_owned() })
            }
            (Err(error), _) | (_, Err(error)) => Err(refused(&error)),
        };
        if made.is_err() {
            // Nobody knows its name, so nobody would remove it later.
            session.destroy_object(private).ok();
            session.destroy_object(public).ok();
        }
        made
    }
}

/// Sixteen random bytes: nothing that is known before the key exists could be derived from it.
fn new_id() -> Result<Vec<u8>, TokenError> {
    let mut id = vec![0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| TokenError::Failed { call: "getrandom".to_owned(), code: error.to_string() })?;
    Ok(id)
}

fn ec_public() -> [Attribute; 1] {
    [Attribute::EcParams(P256.to_vec())]
}

/// Private, sensitive, not extractable.
fn never_leaves() -> [Attribute; 3] {
    [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)]
}

/// Whether the token itself says that the key cannot leave it. Silence is a no.
fn stays(session: &Session, private: ObjectHandle) -> Result<bool, cryptoki::error::Error> {
    let (mut sensitive, mut fixed) = (false, false);
    for attribute in
        session.get_attributes(private, &[AttributeType::Sensitive, AttributeType::Extractable])?
    {
        match attribute {
            Attribute::Sensitive(is) => sensitive = is,
            Attribute::Extractable(is) => fixed = !is,
            _ => {}
        }
    }
    Ok(sensitive && fixed)
}
