//! Docker's own files: credentials in `config.json` and its helpers, TLS material in `tls/<host:port>/`, and how
//! `DOCKER_CONTENT_TRUST` is read.
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// More than any `config.json` or PEM file needs, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// What `docker login` left for a registry.
#[derive(Clone)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token to be exchanged at the token server only.
    Identity(Zeroizing<String>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Why Docker's files are of no use. A retry helps after the file is put right.
#[derive(Debug, thiserror::Error)]
pub enum DockerFileError {
    /// A file cannot be read.
    #[error("cannot read {file}: {cause}", file = file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A PEM file holds nothing of use.
    #[error("{file} holds no {wanted} in PEM form", file = file.display())]
    NotPem {
        /// Which.
        file: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// A certificate without its key, or the other way round.
    #[error("{present} has no {missing} beside it", present = present.display())]
    HalfPair {
        /// The file that is there.
        present: PathBuf,
        /// The name of the file that is not.
        missing: String,
    },
    /// `config.json` or a credential helper answered badly.
    #[error("credentials for {server}: {cause}")]
    Credentials {
        /// For which server.
        server: String,
        /// Why, without any secret.
        cause: String,
    },
}

/// Client certificate chain and key.
pub type ClientPair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS material of one server.
#[derive(Debug, Default)]
pub struct TlsFiles {
    /// CAs that count beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The first client pair, if there is one.
    pub client: Option<ClientPair>,
}

/// The folder for the TLS material of `authority` (`host[:port]`).
#[must_use]
pub fn tls_folder(docker_dir: &Path, authority: &str) -> PathBuf {
    docker_dir.join("tls").join(authority)
}

/// Reads `*.crt` (CAs) and `*.cert` with `*.key` (client pairs) of a folder; no folder means nothing.
///
/// # Errors
/// A file that is there and cannot be used: TLS does not go on without it.
pub fn tls_files(folder: &Path) -> Result<TlsFiles, DockerFileError> {
    let mut found = TlsFiles::default();
    let unreadable = |cause| DockerFileError::Unreadable { file: folder.to_owned(), cause };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(cause) => return Err(unreadable(cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    for file in &files {
        match file.extension().and_then(OsStr::to_str) {
            Some("crt") => found.authorities.extend(certificates(file)?),
            Some("cert") => {
                let key = partner(file, "key")?;
                if found.client.is_none() {
                    found.client = Some((certificates(file)?, private_key(&key)?));
                }
            }
            Some("key") => drop(partner(file, "cert")?),
            _ => {}
        }
    }
    Ok(found)
}

/// The credentials for `server`, `None` if nobody logged in. May run a credential helper: blocking.
///
/// # Errors
/// `config.json` or a helper cannot be used.
pub fn credentials(docker_dir: &Path, server: &str) -> Result<Option<Credentials>, DockerFileError> {
    let file = docker_dir.join("config.json");
    let opened = match File::open(&file) {
        Ok(opened) => opened,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(DockerFileError::Unreadable { file, cause }),
    };
    let bad = |cause: String| DockerFileError::Credentials { server: server.to_owned(), cause };
    match docker_credential::get_credential_from_reader(BufReader::new(opened.take(FILE_MAX)), server) {
        Ok(DockerCredential::UsernamePassword(user, _)) if user.is_empty() => Ok(None),
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credentials::Password { user, password: Zeroizing::new(password) }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::Identity(Zeroizing::new(token)))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // Helpers say so on stdout when they have nothing; what they say otherwise may hold a secret.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found") =>
        {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(bad(format!("{helper} failed"))),
        Err(CredentialRetrievalError::ConfigReadError) => {
            Err(bad(format!("{} is no valid JSON", file.display())))
        }
        Err(other) => Err(bad(other.to_string())),
    }
}

/// Whether a value of `DOCKER_CONTENT_TRUST` asks for trust to be off. Docker reads what it cannot parse as on;
/// unset means on here, since checking is what touchmark is for.
#[must_use]
pub fn is_off(content_trust: Option<&str>) -> bool {
    matches!(content_trust, Some("0" | "f" | "F" | "false" | "FALSE" | "False"))
}

fn partner(file: &Path, extension: &str) -> Result<PathBuf, DockerFileError> {
    let partner = file.with_extension(extension);
    if partner.exists() {
        return Ok(partner);
    }
    let missing = partner.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Err(DockerFileError::HalfPair { present: file.to_owned(), missing })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, DockerFileError> {
    let bytes = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    all.ok()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| DockerFileError::NotPem { file: file.to_owned(), wanted: "certificate" })
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, DockerFileError> {
    let bytes = Zeroizing::new(read(file)?);
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| DockerFileError::NotPem { file: file.to_owned(), wanted: "private key" })
}

fn read(file: &Path) -> Result<Vec<u8>, DockerFileError> {
    let unreadable = |cause| DockerFileError::Unreadable { file: file.to_owned(), cause };
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
