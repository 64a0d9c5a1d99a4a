//! PBES2 (RFC 8018 section 6.2): PBKDF2 with HMAC-SHA-1 (Docker, Notary) or HMAC-SHA-256 (OpenSSL), AES-256-CBC.
use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;

use super::{KeyFileError, too_long};
use crate::vault::locked::{Inside, SecretBuf};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");

/// A few seconds of one core.
const MOST_ROUNDS: u64 = 10_000_000;
const CONVERT: &str =
    "convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -in FILE -out NEW`";

/// EncryptedPrivateKeyInfo's fields, all public.
struct Encrypted<'a> {
    scheme: ObjectIdentifier,
    derivation: ObjectIdentifier,
    salt: &'a [u8],
    rounds: u64,
    pseudo_random: ObjectIdentifier,
    cipher: ObjectIdentifier,
    iv: Option<&'a [u8]>,
    text: &'a [u8],
}

/// Decrypts an EncryptedPrivateKeyInfo into `plain`.
pub(super) fn decrypt(
    bytes: &[u8],
    passphrase: &[u8],
    plain: &mut SecretBuf,
    _: &Inside<'_>,
) -> Result<(), KeyFileError> {
    let damaged = KeyFileError::Damaged("it is no encrypted PKCS#8");
    let Ok(encrypted) = read(bytes) else { return Err(damaged) };
    let rounds = encrypted.check()?;
    let mut key = [0; 32];
    if encrypted.pseudo_random == HMAC_SHA256 {
        pbkdf2_hmac::<Sha256>(passphrase, encrypted.salt, rounds, &mut key);
    } else {
        pbkdf2_hmac::<Sha1>(passphrase, encrypted.salt, rounds, &mut key);
    }
    let Some(iv) = encrypted.iv.and_then(|iv| <[u8; 16]>::try_from(iv).ok()) else { return Err(damaged) };
    cbc_decrypt(&key, iv, encrypted.text, plain)
}

/// AES-256-CBC with PKCS#7 padding, in place in `plain`. Wrong padding is how a wrong passphrase shows.
pub(super) fn cbc_decrypt(
    key: &[u8; 32],
    iv: [u8; 16],
    text: &[u8],
    plain: &mut SecretBuf,
) -> Result<(), KeyFileError> {
    plain.set_len(0).map_err(too_long)?;
    plain.extend_from_slice(text).map_err(too_long)?;
    let place = plain.as_mut_slice().get_mut(..text.len()).unwrap_or_default();
    let length = Decryptor::<Aes256>::new(key.into(), &iv.into())
        .decrypt_padded::<Pkcs7>(place)
        .map_err(|_| KeyFileError::WrongPassphrase)?
        .len();
    plain.set_len(length).map_err(too_long)
}

impl Encrypted<'_> {
    /// The rounds, once everything else is what is read here.
    fn check(&self) -> Result<u32, KeyFileError> {
        let unsupported = |what: String| Err(KeyFileError::Unsupported { what, convert: CONVERT });
        if self.scheme != PBES2 {
            return unsupported(format!("the encryption scheme {}", self.scheme));
        }
        if self.derivation == SCRYPT {
            return unsupported("scrypt".to_owned());
        }
        if self.derivation != PBKDF2 {
            return unsupported(format!("the key derivation {}", self.derivation));
        }
        if self.pseudo_random != HMAC_SHA1 && self.pseudo_random != HMAC_SHA256 {
            return unsupported(format!("the pseudo-random function {}", self.pseudo_random));
        }
        if self.cipher != AES_256_CBC {
            return unsupported(cipher_name(self.cipher));
        }
        match u32::try_from(self.rounds) {
            Ok(0) => Err(KeyFileError::Damaged("no rounds of key derivation")),
            Ok(rounds) if self.rounds <= MOST_ROUNDS => Ok(rounds),
            _ => Err(KeyFileError::TooCostly(self.rounds)),
        }
    }
}

fn cipher_name(cipher: ObjectIdentifier) -> String {
    match cipher.to_string().as_str() {
        "2.16.840.1.101.3.4.1.2" => "AES-128-CBC".to_owned(),
        "2.16.840.1.101.3.4.1.22" => "AES-192-CBC".to_owned(),
        "1.2.840.113549.3.7" => "triple DES".to_owned(),
        other => format!("the cipher {other}"),
    }
}

fn read(bytes: &[u8]) -> der::Result<Encrypted<'_>> {
    let mut reader = SliceReader::new(bytes)?;
    let encrypted = reader.sequence(|reader| {
        let (scheme, parameters) = algorithm(reader)?;
        let text = <&OctetStringRef>::decode(reader)?.as_bytes();
        let mut encrypted = Encrypted {
            scheme,
            derivation: scheme,
            salt: &[],
            rounds: 0,
            pseudo_random: HMAC_SHA1, // the default of RFC 8018 appendix A.2
            cipher: scheme,
            iv: None,
            text,
        };
        if scheme == PBES2 {
            parameters.sequence(|reader| {
                let (derivation, parameters) = algorithm(reader)?;
                encrypted.derivation = derivation;
                if derivation == PBKDF2 {
                    pbkdf2_parameters(parameters, &mut encrypted)?;
                }
                let (cipher, iv) = algorithm(reader)?;
                encrypted.cipher = cipher;
                encrypted.iv = (iv.tag() == Tag::OctetString).then_some(iv.value());
                Ok::<(), der::Error>(())
            })?;
        }
        Ok::<Encrypted<'_>, der::Error>(encrypted)
    })?;
    reader.finish()?;
    Ok(encrypted)
}

fn pbkdf2_parameters<'a>(parameters: AnyRef<'a>, encrypted: &mut Encrypted<'a>) -> der::Result<()> {
    parameters.sequence(|reader| {
        encrypted.salt = <&OctetStringRef>::decode(reader)?.as_bytes();
        encrypted.rounds = u64::decode(reader)?;
        while !reader.is_finished() {
            let field = AnyRef::decode(reader)?;
            match field.tag() {
                Tag::Integer if field.decode_as::<u64>()? == 32 => {} // the key's length: AES-256 has no other
                Tag::Sequence => {
                    encrypted.pseudo_random = field.sequence(|reader| {
                        let oid = ObjectIdentifier::decode(reader)?;
                        while !reader.is_finished() {
                            AnyRef::decode(reader)?; // NULL
                        }
                        Ok::<_, der::Error>(oid)
                    })?;
                }
                tag => return Err(tag.unexpected_error(None).into()),
            }
        }
        Ok::<(), der::Error>(())
    })
}

/// An AlgorithmIdentifier with parameters.
fn algorithm<'a>(reader: &mut SliceReader<'a>) -> der::Result<(ObjectIdentifier, AnyRef<'a>)> {
    reader.sequence(|reader| Ok((ObjectIdentifier::decode(reader)?, AnyRef::decode(reader)?)))
}

#[cfg(test)]
mod tests;
