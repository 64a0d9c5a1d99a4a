//! Which keys a token has, and the private half of one of them.

use cryptoki::error::Error;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use touchmark_tuf::PublicKey;

use super::fault::refused;
use super::{Cached, Pkcs11Token};
use crate::token::der::{element, integer};
use crate::token::{KeyRef, Token, TokenError, TokenKey, UnwrapMethod, Usage};

/// secp256r1 as `CKA_EC_PARAMS` has it: an OBJECT IDENTIFIER in DER (RFC 5480 section 2.1.1.1).
pub(super) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

impl Pkcs11Token {
    /// Public keys that can be used here; while logged in, only those whose private half is there.
    pub(super) fn list_keys(&mut self) -> Result<Vec<TokenKey>, TokenError> {
        let logged_in = self.logged_in();
        self.with_session(|session| {
            let mut keys = public_keys(session, &[])?;
            if logged_in {
                let private = private_ids(session)?;
                keys.retain(|key| private.contains(&key.id));
            }
            Ok(keys)
        })
    }

    /// Runs `work` with the private key that belongs to `key`, found again where its handle has died.
    pub(super) fn with_key<T>(
        &mut self,
        key: &KeyRef,
        mut work: impl FnMut(&Session, ObjectHandle) -> Result<T, Error>,
    ) -> Result<T, TokenError> {
        let handle = self.private_handle(key)?;
        let error = match work(self.session()?, handle) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if self.mend(&error)? {
            let handle = self.private_handle(key)?;
            return work(self.session()?, handle).map_err(|error| refused(&error));
        }
        Err(refused(&error))
    }

    /// Removes both halves of a key.
    pub(super) fn destroy_key(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        self.with_key(key, |session, private| {
            let public = public_handle(session, key)?;
            session.destroy_object(private)?;
            public.map_or(Ok(()), |public| session.destroy_object(public))
        })?;
        self.handles.clear();
        Ok(())
    }

    /// Whether objects can still be looked for. A token whose store is gone may go on telling its name.
    pub(super) fn objects_answer(&mut self) -> bool {
        let nothing =
            [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(b"touchmark: is it there?".to_vec())];
        self.with_session(|session| session.find_objects(&nothing)).is_ok()
    }

    /// The private key with the id of `key`, where the public key beside it is the enrolled one.
    fn private_handle(&mut self, key: &KeyRef) -> Result<ObjectHandle, TokenError> {
        let known =
            self.handles.get(&key.id).into_iter().flatten().find(|cached| cached.public == key.public);
        if let Some(cached) = known {
            return Ok(cached.handle);
        }
        if !self.logged_in() {
            return Err(TokenError::NotLoggedIn);
        }
        let Some(handle) = self.with_session(|session| find_private(session, key))? else {
            // A token that has just been pulled out has no key either.
            return Err(if self.still_there() { TokenError::KeyNotFound } else { TokenError::NotPresent });
        };
        let cached = Cached { public: key.public.clone(), handle };
        self.handles.entry(key.id.clone()).or_default().push(cached);
        Ok(handle)
    }
}

/// Looks for the private half of `key`. Several objects may share an id; the label then tells them apart.
fn find_private(session: &Session, key: &KeyRef) -> Result<Option<ObjectHandle>, Error> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(key.id.clone())];
    let by_id = session.find_objects(&template)?;
    let publics = public_keys(session, &[Attribute::Id(key.id.clone())])?;
    let Some(enrolled) = publics.iter().find(|public| public.public == key.public) else {
        // A token may keep no public objects at all. The caller verifies every signature, so a lone private key
        // under this id may be tried; one beside another public key may not.
        return Ok(by_id.first().copied().filter(|_| by_id.len() == 1 && publics.is_empty()));
    };
    if let ([only], [_]) = (by_id.as_slice(), publics.as_slice()) {
        return Ok(Some(*only));
    }
    template.push(Attribute::Label(enrolled.label.clone().into_bytes()));
    let labelled = session.find_objects(&template)?;
    Ok(labelled.first().copied().filter(|_| labelled.len() == 1))
}

/// The public half of `key`, if the token has it.
fn public_handle(session: &Session, key: &KeyRef) -> Result<Option<ObjectHandle>, Error> {
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(key.id.clone())];
    for handle in session.find_objects(&template)? {
        if read_public(session, handle)?.is_some_and(|found| found.public == key.public) {
            return Ok(Some(handle));
        }
    }
    Ok(None)
}

/// All public keys of kinds that we use, with `more` to narrow the search.
fn public_keys(session: &Session, more: &[Attribute]) -> Result<Vec<TokenKey>, Error> {
    let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    template.extend_from_slice(more);
    let mut keys = Vec::new();
    for handle in session.find_objects(&template)? {
        keys.extend(read_public(session, handle)?);
    }
    Ok(keys)
}

/// One public key, or `None` where it is of a kind that we do not use.
pub(super) fn read_public(session: &Session, handle: ObjectHandle) -> Result<Option<TokenKey>, Error> {
    let common = [AttributeType::KeyType, AttributeType::Id, AttributeType::Label];
    let (mut key_type, mut id, mut label) = (None, Vec::new(), String::new());
    for attribute in session.get_attributes(handle, &common)? {
        match attribute {
            Attribute::KeyType(value) => key_type = Some(value),
            Attribute::Id(value) => id = value,
            Attribute::Label(value) => label = String::from_utf8_lossy(&value).into_owned(),
            _ => {}
        }
    }
    let public = match key_type {
        Some(KeyType::EC) => read_ec(session, handle)?,
        Some(KeyType::RSA) => read_rsa(session, handle)?,
        _ => None,
    };
    Ok(public.map(|public| {
        let usage = match key_type {
            Some(KeyType::RSA) => Usage::Unwrap(UnwrapMethod::RsaOaep),
            _ if label == UnwrapMethod::Ecdh.label() => Usage::Unwrap(UnwrapMethod::Ecdh),
            _ => Usage::Sign,
        };
        TokenKey { id, label, public, usage, policy: None }
    }))
}

fn private_ids(session: &Session) -> Result<Vec<Vec<u8>>, Error> {
    let mut ids = Vec::new();
    for handle in session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])? {
        for attribute in session.get_attributes(handle, &[AttributeType::Id])? {
            if let Attribute::Id(id) = attribute {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

/// A key on P-256. `CKA_EC_POINT` is an OCTET STRING in DER (PKCS#11 v2.40 mechanisms, section 2.3.3); some modules
/// give the bare point.
fn read_ec(session: &Session, handle: ObjectHandle) -> Result<Option<PublicKey>, Error> {
    let (mut curve, mut point) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(handle, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        match attribute {
            Attribute::EcParams(value) => curve = value,
            Attribute::EcPoint(value) => point = value,
            _ => {}
        }
    }
    let bare = point.strip_prefix(&[0x04, 0x41]).filter(|bare| bare.len() == 65).unwrap_or(&point);
    let bare: Option<&[u8; 65]> = bare.try_into().ok().filter(|_| curve == P256);
    Ok(bare.map(PublicKey::from_p256_point))
}

fn read_rsa(session: &Session, handle: ObjectHandle) -> Result<Option<PublicKey>, Error> {
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    for attribute in
        session.get_attributes(handle, &[AttributeType::Modulus, AttributeType::PublicExponent])?
    {
        match attribute {
            Attribute::Modulus(value) => modulus = value,
            Attribute::PublicExponent(value) => exponent = value,
            _ => {}
        }
    }
    if modulus.is_empty() || exponent.is_empty() {
        return Ok(None);
    }
    Ok(PublicKey::from_spki(&rsa_spki(&modulus, &exponent)).ok())
}

/// `SubjectPublicKeyInfo` of an RSA key (RFC 3279 section 2.3.1) from big-endian numbers.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    /// rsaEncryption with its NULL.
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = element(0x30, &[integer(modulus), integer(exponent)].concat());
    let bits = element(0x03, &[[0].as_slice(), &key].concat());
    element(0x30, &[ALGORITHM.as_slice(), &bits].concat())
}

#[cfg(test)]
mod tests;
