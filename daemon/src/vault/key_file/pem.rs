//! PEM with headers (RFC 1421 as Go writes it): one private key, what it says of itself, its base64 body.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyFileError, KeyFileHeader, too_long};
use crate::vault::locked::{Inside, SecretBuf};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// `openssl` writes what is read here when told so.
const CONVERT_PKCS8: &str =
    "convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -in FILE -out NEW`";
const CONVERT_SEC1: &str = "convert it with `openssl ec -aes256 -in FILE -out NEW`";
const CONVERT_SSH: &str = "convert it with `ssh-keygen -p -m PKCS8 -f FILE`, which changes FILE itself";
const NO_CONVERSION: &str = "only P-256 keys can be imported";

/// What the block's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// PrivateKeyInfo, RFC 5958.
    Pkcs8,
    /// EncryptedPrivateKeyInfo, RFC 5958.
    EncryptedPkcs8,
    /// ECPrivateKey, RFC 5915.
    Sec1,
    /// ECPrivateKey under AES-256-CBC with this initialisation vector (RFC 1423's header with OpenSSL's cipher).
    EncryptedSec1 { iv: [u8; 16] },
}

/// The one private key block of a file.
#[derive(Debug)]
pub(super) struct Pem<'a> {
    label: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    /// Base64 in lines.
    body: &'a [u8],
}

impl<'a> Pem<'a> {
    /// Finds the private key. Text around blocks and blocks of other things are passed over.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, KeyFileError> {
        let mut rest = file;
        let mut keys = Vec::new();
        while let Some(block) = next_block(&mut rest)? {
            if block.label.ends_with(b"PRIVATE KEY") {
                keys.push(block);
            }
        }
        match (keys.len(), keys.pop()) {
            (1, Some(key)) => Ok(key),
            (0, _) | (_, None) => Err(KeyFileError::NotPem),
            (count, _) => Err(KeyFileError::Several(count)),
        }
    }

    /// What the block says of itself.
    pub(super) fn header(&self) -> Result<KeyFileHeader, KeyFileError> {
        let text = |name| match self.find(name) {
            Some(value) if !value.is_empty() => match std::str::from_utf8(value) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(KeyFileError::Damaged("a header is not UTF-8")),
            },
            _ => Ok(None),
        };
        Ok(KeyFileHeader {
            encrypted: matches!(self.kind()?, Kind::EncryptedPkcs8 | Kind::EncryptedSec1 { .. }),
            role: text(b"role".as_slice())?,
            gun: text(b"gun".as_slice())?,
        })
    }

    /// What the body is.
    pub(super) fn kind(&self) -> Result<Kind, KeyFileError> {
        let refuse = |what: &str, convert| Err(KeyFileError::Unsupported { what: what.to_owned(), convert });
        match (self.label, self.find(b"DEK-Info")) {
            (b"EC PRIVATE KEY", Some(info)) => encrypted_sec1(info),
            (_, Some(_)) => refuse("an encrypted traditional format of another kind of key", CONVERT_PKCS8),
            (b"ENCRYPTED PRIVATE KEY", None) => Ok(Kind::EncryptedPkcs8),
            (b"PRIVATE KEY", None) => Ok(Kind::Pkcs8),
            (b"EC PRIVATE KEY", None) => Ok(Kind::Sec1),
            (b"OPENSSH PRIVATE KEY", None) => refuse("OpenSSH's own format", CONVERT_SSH),
            (b"RSA PRIVATE KEY", None) => refuse("an RSA key", NO_CONVERSION),
            (label, None) => refuse(&format!("the form {}", label.escape_ascii()), NO_CONVERSION),
        }
    }

    /// Decodes the body; `out` is as long as the file.
    pub(super) fn decode(&self, out: &mut SecretBuf, _: &Inside<'_>) -> Result<(), KeyFileError> {
        let mut filled = 0_usize;
        for line in lines(self.body).filter(|line| !line.is_empty()) {
            // Every line but the last is a multiple of four characters long, so lines decode by themselves.
            let room = out.as_mut_slice().get_mut(filled..).unwrap_or_default();
            let length =
                STANDARD.decode_slice(line, room).map_err(|_| KeyFileError::Damaged("it is not base64"))?;
            filled = filled.saturating_add(length);
        }
        out.set_len(filled).map_err(too_long)
    }

    fn find(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

fn encrypted_sec1(info: &[u8]) -> Result<Kind, KeyFileError> {
    let (cipher, iv) = match info.iter().position(|byte| *byte == b',') {
        Some(comma) => info.split_at(comma),
        None => (info, [].as_slice()),
    };
    if cipher != b"AES-256-CBC" {
        let what = format!("the cipher {}", cipher.escape_ascii());
        return Err(KeyFileError::Unsupported { what, convert: CONVERT_SEC1 });
    }
    let damaged = KeyFileError::Damaged("the DEK-Info header has no 16-byte vector");
    let mut bytes = [0; 16];
    let digits = iv.get(1..).filter(|digits| digits.len() == 32);
    for (byte, pair) in bytes.iter_mut().zip(digits.unwrap_or_default().chunks(2)) {
        let [Some(high), Some(low)] = [pair.first(), pair.last()].map(digit) else { return Err(damaged) };
        *byte = high << 4 | low;
    }
    if digits.is_none() { Err(damaged) } else { Ok(Kind::EncryptedSec1 { iv: bytes }) }
}

fn digit(character: Option<&u8>) -> Option<u8> {
    u8::try_from(char::from(*character?).to_digit(16)?).ok()
}

/// Takes the next block off the front.
fn next_block<'a>(rest: &mut &'a [u8]) -> Result<Option<Pem<'a>>, KeyFileError> {
    let label = loop {
        match take_line(rest) {
            None => return Ok(None),
            Some(line) => {
                if let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) {
                    break label;
                }
            }
        }
    };
    let mut headers = Vec::new();
    let mut body = *rest;
    let mut before = *rest;
    while let Some(line) = take_line(rest) {
        if let Some(end) = line.strip_prefix(END).and_then(|rest| rest.strip_suffix(DASHES)) {
            if end != label {
                return Err(KeyFileError::Damaged("a PEM block ends under another name than it began"));
            }
            let body = body.get(..body.len().saturating_sub(before.len())).unwrap_or_default();
            return Ok(Some(Pem { label, headers, body }));
        }
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let (name, value) = line.split_at(colon);
            headers.push((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()));
            body = *rest;
        }
        before = *rest;
    }
    Err(KeyFileError::Damaged("a PEM block has no end"))
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    Some(line.trim_ascii())
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests;
