//! The registry of one image: what a tag means there, manifests and blobs by digest, every byte checked. Knows no
//! trust documents.
mod manifest;
mod upload;

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use sha2::{Digest as _, Sha256};
use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{TargetName, shown};
use url::Url;

pub use self::manifest::{Descriptor, Kind, Manifest};
use crate::error::Error;
use crate::http::{Deadline, Http, HttpError, Peer, Request, TOTAL};
use crate::image::Host;

/// The cap that registries put on manifests, in bytes.
const MANIFEST_MAX: u64 = 4 << 20;
/// A blob may take as long as it likes, but not so long without a byte.
const STALL: Duration = Duration::from_secs(30);

/// One repository of a registry.
#[derive(Clone, Debug)]
pub struct Registry {
    http: Http,
    host: Host,
    repository: String,
    scheme: OnceLock<&'static str>,
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By a tag: whatever the registry has there now.
    Tag(TargetName),
    /// By its digest: these bytes or none.
    Digest(Sha256Digest),
}

/// Why the registry was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such thing in the repository.
    #[error("{image} is not in the registry")]
    NotFound {
        /// The name with tag or digest.
        image: String,
    },
    /// Bytes came that are not the ones asked for. A retry does not help.
    #[error(
        "the registry sent other bytes for {what} than asked for: sha256:{got} instead of sha256:{wanted}"
    )]
    Mismatch {
        /// Manifest or blob.
        what: String,
        /// The digest asked for.
        wanted: Sha256Digest,
        /// The digest of what came.
        got: Sha256Digest,
    },
    /// A blob is longer or shorter than its manifest says.
    #[error("the registry sent {got} bytes for {what}, not {wanted}")]
    Length {
        /// The blob.
        what: String,
        /// Bytes expected.
        wanted: u64,
        /// Bytes that came, at least.
        got: u64,
    },
    /// Not a manifest that can be signed or pulled.
    #[error("{image}: {why}")]
    Unsupported {
        /// The name with tag or digest.
        image: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not allowed.
    #[error("the registry does not allow reading {image}: {status}")]
    Forbidden {
        /// The name with tag or digest.
        image: String,
        /// Whose credentials were used.
        account: Host,
        /// The status.
        status: StatusCode,
    },
    /// An answer that says nothing. A retry may help.
    #[error("the registry {host} answered {status} for {image}")]
    Status {
        /// The registry.
        host: Host,
        /// The name with tag or digest.
        image: String,
        /// The status.
        status: StatusCode,
    },
    /// A push that the registry does not take.
    #[error("the registry {host} does not take {image}: {status} {why}")]
    NotTaken {
        /// The registry.
        host: Host,
        /// The name with tag or digest.
        image: String,
        /// The status.
        status: StatusCode,
        /// The registry's own words, at most 500 characters.
        why: String,
    },
    /// What is to be sent cannot be read.
    #[error("cannot read {what}: {cause}")]
    Read {
        /// The blob.
        what: String,
        /// Why.
        cause: std::io::Error,
    },
    /// What came cannot be kept.
    #[error("cannot write {what}: {cause}")]
    Write {
        /// The blob.
        what: String,
        /// Why.
        cause: std::io::Error,
    },
    /// No answer, or none that HTTP allows.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Registry {
    /// The repository `repository` (its path) at `host`.
    #[must_use]
    pub fn new(http: Http, host: Host, repository: String) -> Self {
        Self { http, host, repository, scheme: OnceLock::new() }
    }

    /// The manifest or index under a tag or digest; its digest is computed here, over the bytes as they came.
    ///
    /// # Errors
    /// Not there, not a manifest, other bytes than asked for, no answer.
    pub async fn manifest(&self, reference: &Reference) -> Result<Manifest, RegistryError> {
        let (name, image) = match reference {
            Reference::Tag(tag) => (tag.to_string(), format!("{}:{tag}", self.name())),
            Reference::Digest(digest) => (digest.to_oci(), format!("{}@{}", self.name(), digest.to_oci())),
        };
        let deadline = Deadline::after(TOTAL);
        let scheme = self.scheme(deadline).await?;
        let mut request = self.request(scheme, &format!("manifests/{name}"), deadline)?;
        request.headers.insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPTED));
        let answer = self.http.fetch(&request, MANIFEST_MAX).await?;
        self.check_status(answer.status, &image)?;
        let digest = Sha256Digest::of(&answer.body);
        if let Reference::Digest(wanted) = reference
            && *wanted != digest
        {
            return Err(RegistryError::Mismatch { what: image, wanted: *wanted, got: digest });
        }
        let media_type =
            answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Manifest::read(answer.body, digest, media_type)
            .map_err(|why| RegistryError::Unsupported { image, why })
    }

    /// Writes a blob to `sink`, telling `progress` how many bytes came. What was written counts only if this
    /// succeeds.
    ///
    /// # Errors
    /// Not there, other bytes or another length than the descriptor says, no answer, `sink` fails.
    pub async fn blob(
        &self,
        blob: &Descriptor,
        sink: &mut (impl Write + Send),
        progress: impl Fn(u64),
    ) -> Result<(), RegistryError> {
        let what = format!("{}@{}", self.name(), blob.digest.to_oci());
        let scheme = self.scheme(Deadline::after(TOTAL)).await?;
        let mut request =
            self.request(scheme, &format!("blobs/{}", blob.digest.to_oci()), Deadline::after(TOTAL))?;
        request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut incoming = self.http.open(&request).await?;
        self.check_status(incoming.status(), &what)?;
        let (mut hash, mut got) = (Sha256::new(), 0_u64);
        while let Some(chunk) = incoming.chunk(Deadline::after(STALL)).await? {
            got = got.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if got > blob.size {
                return Err(RegistryError::Length { what, wanted: blob.size, got });
            }
            hash.update(&chunk);
            sink.write_all(&chunk).map_err(|cause| RegistryError::Write { what: what.clone(), cause })?;
            progress(got);
        }
        let digest = Sha256Digest::from_bytes(hash.finalize().into());
        match (got == blob.size, digest == blob.digest) {
            (true, true) => Ok(()),
            (false, _) => Err(RegistryError::Length { what, wanted: blob.size, got }),
            (true, false) => Err(RegistryError::Mismatch { what, wanted: blob.digest, got: digest }),
        }
    }

    /// `https`, or `http` for a registry on this machine that does not speak TLS, as Docker does.
    async fn scheme(&self, deadline: Deadline) -> Result<&'static str, RegistryError> {
        if let Some(known) = self.scheme.get() {
            return Ok(known);
        }
        let scheme =
            if self.host.is_loopback() && !self.speaks_tls(deadline).await? { "http" } else { "https" };
        Ok(self.scheme.get_or_init(|| scheme))
    }

    async fn speaks_tls(&self, deadline: Deadline) -> Result<bool, RegistryError> {
        let url = self.url("https", "/v2/")?;
        let ping = Request::get(url, self.host.clone(), self.scope(), deadline);
        match self.http.open(&ping).await {
            Err(HttpError::NotTls { .. } | HttpError::Connect { .. } | HttpError::Broken { .. }) => Ok(false),
            // What the registry thinks of us comes later.
            Ok(_) | Err(HttpError::Unauthorized { .. }) => Ok(true),
            Err(other) => Err(other.into()),
        }
    }

    fn request(&self, scheme: &str, path: &str, deadline: Deadline) -> Result<Request, HttpError> {
        let url = self.url(scheme, &format!("/v2/{}/{path}", self.repository))?;
        Ok(Request::get(url, self.host.clone(), self.scope(), deadline))
    }

    fn url(&self, scheme: &str, path: &str) -> Result<Url, HttpError> {
        Url::parse(&format!("{scheme}://{}{path}", self.host.endpoint()))
            .map_err(|cause| HttpError::Nonsense { host: self.host.to_string(), what: cause.to_string() })
    }

    fn scope(&self) -> String {
        format!("repository:{}:pull", self.repository)
    }

    fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    fn check_status(&self, status: StatusCode, image: &str) -> Result<(), RegistryError> {
        let image = image.to_owned();
        match status.as_u16() {
            200 => Ok(()),
            404 => Err(RegistryError::NotFound { image }),
            401 | 403 => Err(RegistryError::Forbidden { image, account: self.host.clone(), status }),
            _ => Err(RegistryError::Status { host: self.host.clone(), image, status }),
        }
    }
}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        let message = shown(&error.to_string()).to_string();
        match error {
            RegistryError::Http(cause) => cause.into_error(Peer::Registry),
            RegistryError::NotFound { .. } => {
                Self::new(Reason::TagNotFound, message).hint("push it first, or check the name")
            }
            RegistryError::Mismatch { .. } | RegistryError::Length { .. } => {
                Self::new(Reason::HashMismatch, message)
            }
            RegistryError::Unsupported { .. } => Self::usage(message),
            RegistryError::Forbidden { account, .. } => {
                let login = if account.is_hub() { String::new() } else { format!(" {account}") };
                Self::new(Reason::Unauthorized, message).hint(format!("docker login{login}"))
            }
            RegistryError::Status { .. } | RegistryError::NotTaken { .. } => {
                Self::new(Reason::RegistryUnreachable, message)
            }
            RegistryError::Write { .. } | RegistryError::Read { .. } => Self::usage(message),
        }
    }
}

#[cfg(test)]
mod tests;
