//! "This key was made on this device": certificates as a YubiKey signs them with the key of its slot f9.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};
use sha2::{Digest as _, Sha256};

use crate::cli::{Cli, tool};

use super::Model;
use super::keys::{Key, Slot};
use super::random;

/// Yubico's arc for what an attestation says; the last number is what.
const YUBICO: [u64; 9] = [1, 3, 6, 1, 4, 1, 41482, 3, 0];
/// A keychain key with a USB-C plug.
const FORM_FACTOR: u8 = 3;

/// Who vouches for cards: stands for Yubico's root certificate, and those between it and the cards.
pub struct AttestationCa {
    /// From the root on; the last one signs for cards.
    chain: Vec<CertifiedIssuer<'static, KeyPair>>,
}

impl std::fmt::Debug for AttestationCa {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("AttestationCa")
    }
}

impl AttestationCa {
    /// A new one, which signs for cards itself.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "makes a key: no default value")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a P-256 key");
        Self { chain: vec![root(key)] }
    }

    /// A new one as Yubico has had it since firmware 5.7.4: RSA, and two certificates between it and the cards.
    #[must_use]
    pub fn with_two_between() -> Self {
        let mut chain = vec![root(rsa_key())];
        for name in ["touchmark test intermediate B 1", "touchmark test PIV B 1"] {
            let above = chain.last().expect("a root");
            let issued = CertifiedIssuer::signed_by(ca(name), rsa_key(), above).expect("a CA certificate");
            chain.push(issued);
        }
        Self { chain }
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.chain[0].der()
    }

    /// All its certificates, PEM, the root first.
    #[must_use]
    pub fn pem(&self) -> String {
        self.pems().concat()
    }

    /// The same, each by itself.
    #[must_use]
    pub fn pems(&self) -> Vec<String> {
        self.chain.iter().map(|one| one.pem()).collect()
    }

    fn for_cards(&self) -> &CertifiedIssuer<'static, KeyPair> {
        self.chain.last().expect("a root")
    }
}

fn root(key: KeyPair) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(ca("touchmark test PIV root CA"), key).expect("a CA certificate")
}

/// By OpenSSL: `ring` signs with RSA keys and makes none.
fn rsa_key() -> KeyPair {
    let openssl = Cli::new(tool("openssl"));
    let made = openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).ok();
    KeyPair::from_pem(&made.stdout).expect("an RSA key")
}

/// What a card needs to attest, besides its key.
#[derive(Debug)]
pub(super) struct Attester {
    params: CertificateParams,
}

impl Attester {
    /// For a card whose slot f9 has this key; the certificate of that key, DER.
    pub(super) fn new(authority: &AttestationCa, key: &Key) -> (Self, Vec<u8>) {
        let params = ca("Yubico PIV Attestation");
        let certificate =
            params.signed_by(&Point(key.point()), authority.for_cards()).expect("a CA certificate");
        (Self { params }, certificate.der().to_vec())
    }

    /// The certificate of a key, DER.
    pub(super) fn attest(&self, f9: &Key, model: &Model, slot: Slot, key: &Key) -> Vec<u8> {
        let mut params = CertificateParams::default();
        let name = format!("YubiKey PIV Attestation {:02x}", slot.number());
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = self.params.not_before;
        params.not_after = self.params.not_after;
        let mut number = random(16);
        number[0] = number[0] & 0x7f | 1; // positive, and not shorter
        params.serial_number = Some(SerialNumber::from(number));
        let policies = vec![key.pin as u8, key.touch as u8];
        params.custom_extensions = vec![
            extension(3, model.firmware.version().to_vec()),
            extension(7, integer(model.serial)),
            extension(8, policies),
            extension(9, vec![FORM_FACTOR]),
        ];
        let issuer = Issuer::from_params(&self.params, Signer { key: f9, point: f9.point() });
        params.signed_by(&Point(key.point()), &issuer).expect("an attestation").der().to_vec()
    }
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn extension(what: u64, content: Vec<u8>) -> CustomExtension {
    let mut oid = YUBICO;
    oid[8] = what;
    CustomExtension::from_oid_content(&oid, content)
}

/// A number as DER has it: no longer than needed, and never negative.
fn integer(number: u32) -> Vec<u8> {
    let bytes = u64::from(number).to_be_bytes();
    let start = (0..7).find(|at| bytes[*at] != 0 || bytes[at + 1] >= 0x80).unwrap_or(7);
    let length = u8::try_from(8 - start).expect("at most five bytes");
    [&[0x02, length], &bytes[start..]].concat()
}

/// A public key.
struct Point([u8; 65]);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// The key of slot f9, signing.
struct Signer<'a> {
    key: &'a Key,
    point: [u8; 65],
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(&Sha256::digest(message)).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
