//! A certificate authority for one test: what clients trust and what servers show.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// The names every server certificate here has.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "notary-server", "notary-signer"];

/// A CA of its own, P-256, in memory.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// One certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PKCS#8 PEM.
    pub key: String,
}

/// Where [`Pair::write`] put the two files.
#[derive(Clone, Debug)]
pub struct PairFiles {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
}

impl Ca {
    /// A new CA.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "makes a key: no default value")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "touchmark test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a P-256 key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a CA certificate"))
    }

    /// The CA's certificate, PEM: what a client trusts.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// The CA's certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// A certificate for localhost, 127.0.0.1, notary-server and notary-signer, good for servers and clients.
    #[must_use]
    pub fn issue(&self) -> Pair {
        self.issue_for(&NAMES)
    }

    /// A certificate for these DNS names and IP addresses, good for servers and clients.
    #[must_use]
    pub fn issue_for(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names that fit a certificate");
        params.distinguished_name.push(DnType::CommonName, "touchmark test server");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a P-256 key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate of the CA");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes the CA's certificate to a file.
    pub fn write(&self, file: &Path) {
        std::fs::write(file, self.pem()).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key` into a folder.
    #[must_use]
    pub fn write(&self, folder: &Path, name: &str) -> PairFiles {
        let certificate = folder.join(format!("{name}.crt"));
        let key = folder.join(format!("{name}.key"));
        std::fs::write(&certificate, &self.certificate).expect("a certificate file");
        std::fs::write(&key, &self.key).expect("a key file");
        PairFiles { certificate, key }
    }
}
