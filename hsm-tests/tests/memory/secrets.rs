//! What is hidden and looked for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hsm_tests::scan::Needles;
use sha2::{Digest as _, Sha256};

/// What the children sign, over and over.
pub(crate) fn messages() -> [[u8; 600]; 8] {
    std::array::from_fn(|number| [u8::try_from(number).unwrap(); 600])
}

/// What is hidden and looked for. Made anew each time: a constant would stand in this program's file.
pub(crate) struct Secrets {
    pub(crate) key: [u8; 32],
    pub(crate) passphrase: String,
}

/// A fresh private key.
pub(crate) fn key() -> [u8; 32] {
    let mut key = [0; 32];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).unwrap();
    key[0] = 0x3b; // below the order
    key
}

/// A fresh PIN or passphrase.
pub(crate) fn word() -> String {
    let mut word = [0; 12];
    rustix::rand::getrandom(&mut word, rustix::rand::GetRandomFlags::empty()).unwrap();
    STANDARD.encode(word)
}

impl Secrets {
    pub(crate) fn fresh() -> Self {
        Self { key: key(), passphrase: word() }
    }

    pub(crate) fn needles(&self) -> Needles {
        let digests = messages().map(|message| Sha256::digest(message).into());
        Needles::for_key(&self.key, &digests).secret("passphrase", self.passphrase.as_bytes())
    }
}

/// ECPrivateKey (RFC 5915) in PEM, with the curve's name and without the public key. The scalar begins at byte 7.
pub(crate) fn pem(key: &[u8; 32]) -> String {
    const CURVE: [u8; 12] = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let der = [&[0x30, 0x31, 2, 1, 1, 4, 32], key.as_slice(), &CURVE].concat();
    let body = STANDARD.encode(der);
    format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n")
}
