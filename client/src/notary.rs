//! The trust server's HTTP API for one repository: files by role, by digest, by version; publishing; its keys. Only
//! carries bytes, verifies nothing.
mod multipart;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{Gun, RoleName, Version, shown};

use crate::config::ServerUrl;
use crate::error::Error;
use crate::http::{Answer, Deadline, Http, HttpError, Peer, Request, TOTAL};
use crate::image::Host;

/// More than any answer that is no trust document, in bytes.
const SMALL: u64 = 64 * 1024;

/// A trust server, as far as one repository goes.
#[derive(Clone, Debug)]
pub struct Notary {
    http: Http,
    server: ServerUrl,
    gun: Gun,
}

/// Why the server gave no file, or took none.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// 404 for the root: it has no trust data of the repository.
    #[error("{gun} has no trust data on {server}: nobody signs it there")]
    NoTrustData {
        /// The server.
        server: String,
        /// The repository.
        gun: Gun,
    },
    /// 404: it has no such file.
    #[error("{server} has no {what} for {gun}")]
    NotFound {
        /// The server.
        server: String,
        /// The repository.
        gun: Gun,
        /// The file asked for, or "trust data".
        what: String,
    },
    /// 400 with Notary's error body. `VERSION`: somebody else published first; a retry on the newer base helps.
    #[error("{server} rejected the update: {code}: {message}")]
    Rejected {
        /// The server.
        server: String,
        /// Notary's code: `VERSION`, `INVALID_UPDATE`, `INVALID_ROLE`...
        code: String,
        /// Notary's words, with the detail's where it has some; escaped.
        message: String,
    },
    /// 401 or 403 after logging in as well as possible.
    #[error("{server} does not allow it: {status}")]
    Forbidden {
        /// The server.
        server: String,
        /// The registry whose credentials were used.
        account: Host,
        /// The status.
        status: StatusCode,
    },
    /// 5xx and whatever else: a retry may help later.
    #[error("{server} answered {status}{detail}")]
    Status {
        /// The server.
        server: String,
        /// The status.
        status: StatusCode,
        /// What its error body says, escaped.
        detail: String,
    },
    /// No answer at all, or none that HTTP allows.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Which version of a role's file.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// The current one.
    Current,
    /// The one with this digest.
    Digest(Sha256Digest),
    /// The one with this version.
    Version(Version),
}

impl Notary {
    /// The repository `gun` on `server`.
    #[must_use]
    pub fn new(http: Http, server: ServerUrl, gun: Gun) -> Self {
        Self { http, server, gun }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The repository.
    #[must_use]
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// One file, at most `cap` bytes.
    ///
    /// # Errors
    /// Not there, no answer, or a wrong one.
    pub async fn file(
        &self,
        role: &RoleName,
        which: Which,
        cap: usize,
        deadline: Deadline,
    ) -> Result<Vec<u8>, NotaryError> {
        let name = match which {
            Which::Current => format!("{role}.json"),
            Which::Digest(digest) => format!("{role}.{digest}.json"),
            Which::Version(version) => format!("{version}.{role}.json"),
        };
        let request = self.request(Method::GET, &name, "pull", deadline);
        let answer = self.http.fetch(&request, u64::try_from(cap).unwrap_or(u64::MAX)).await?;
        match self.accept(answer, &name) {
            Err(NotaryError::NotFound { server, gun, .. })
                if *role == RoleName::Root && matches!(which, Which::Current) =>
            {
                Err(NotaryError::NoTrustData { server, gun })
            }
            other => other.map(Vec::from),
        }
    }

    /// Publishes files, all or none: root, targets and delegations in any order, the snapshot where its key is not
    /// the server's. The server's answer says nothing about readability: read back and verify.
    ///
    /// # Errors
    /// [`NotaryError::Rejected`] with code `VERSION` when somebody else was first.
    pub async fn publish(&self, files: Vec<(RoleName, Vec<u8>)>) -> Result<(), NotaryError> {
        let form = multipart::encode(&files);
        let mut request = self.request(Method::POST, "", "push,pull", Deadline::after(TOTAL));
        if let Ok(value) = HeaderValue::from_str(&form.content_type) {
            request.headers.insert(CONTENT_TYPE, value);
        }
        request.body = Bytes::from(form.body);
        let answer = self.http.fetch(&request, SMALL).await?;
        self.accept(answer, "trust data").map(drop)
    }

    /// The public key that the server signs timestamps with: Notary's JSON key object. Each call before the first
    /// publish makes the server make a key: ask once.
    ///
    /// # Errors
    /// Not allowed, no answer, or a wrong one.
    pub async fn timestamp_key(&self) -> Result<Vec<u8>, NotaryError> {
        self.key(&RoleName::Timestamp, Method::GET).await
    }

    /// The public key that the server signs snapshots with; as [`Notary::timestamp_key`].
    ///
    /// # Errors
    /// Not allowed, no answer, or a wrong one.
    pub async fn snapshot_key(&self) -> Result<Vec<u8>, NotaryError> {
        self.key(&RoleName::Snapshot, Method::GET).await
    }

    /// A new key of the server for `role` (timestamp or snapshot), pending until a root lists it.
    ///
    /// # Errors
    /// Not allowed, no answer, or a wrong one.
    pub async fn new_key(&self, role: &RoleName) -> Result<Vec<u8>, NotaryError> {
        self.key(role, Method::POST).await
    }

    /// Deletes the repository's whole trust data. The server says yes also when there was none.
    ///
    /// # Errors
    /// Not allowed, or no answer.
    pub async fn delete(&self) -> Result<(), NotaryError> {
        let request = self.request(Method::DELETE, "", "*", Deadline::after(TOTAL));
        let answer = self.http.fetch(&request, SMALL).await?;
        self.accept(answer, "trust data").map(drop)
    }

    async fn key(&self, role: &RoleName, method: Method) -> Result<Vec<u8>, NotaryError> {
        let name = format!("{role}.key");
        let actions = if method == Method::GET { "push,pull" } else { "*" };
        let request = self.request(method, &name, actions, Deadline::after(TOTAL));
        let answer = self.http.fetch(&request, SMALL).await?;
        self.accept(answer, &name).map(Vec::from)
    }

    fn request(&self, method: Method, name: &str, actions: &str, deadline: Deadline) -> Request {
        let url = self.server.join(&format!("v2/{}/_trust/tuf/{name}", self.gun));
        let scope = format!("repository:{}:{actions}", self.gun);
        Request { method, ..Request::get(url, self.account(), scope, deadline) }
    }

    /// The registry whose login counts here too.
    fn account(&self) -> Host {
        let host = self.gun.as_str().split('/').next().unwrap_or_default();
        host.parse().unwrap_or_else(|_| Host::hub())
    }

    fn accept(&self, answer: Answer, what: &str) -> Result<Bytes, NotaryError> {
        let server = self.server.to_string();
        match answer.status.as_u16() {
            200..=299 => Ok(answer.body),
            401 | 403 => {
                Err(NotaryError::Forbidden { server, account: self.account(), status: answer.status })
            }
            404 => Err(NotaryError::NotFound { server, gun: self.gun.clone(), what: what.to_owned() }),
            400..=499 => match problem(&answer.body) {
                Some((code, message)) => Err(NotaryError::Rejected { server, code, message }),
                None => Err(NotaryError::Status { server, status: answer.status, detail: String::new() }),
            },
            _ => {
                let detail = problem(&answer.body).map(|(code, message)| format!(": {code}: {message}"));
                Err(NotaryError::Status { server, status: answer.status, detail: detail.unwrap_or_default() })
            }
        }
    }
}

impl NotaryError {
    /// Whether the server just was not there (no connection, 5xx), so that the cache may stand in for it.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Http(cause) => cause.is_absence(),
            Self::Status { status, .. } => status.is_server_error(),
            Self::NoTrustData { .. }
            | Self::NotFound { .. }
            | Self::Rejected { .. }
            | Self::Forbidden { .. } => false,
        }
    }

    /// Whether a request got through, as far as anybody here knows.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Http(HttpError::Broken { .. } | HttpError::Timeout { .. }))
    }

    /// Whether somebody else published first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Rejected { code, .. } if code == "VERSION")
    }
}

impl From<NotaryError> for Error {
    fn from(error: NotaryError) -> Self {
        let message = error.to_string();
        match error {
            NotaryError::Http(cause) => cause.into_error(Peer::TrustServer),
            NotaryError::NoTrustData { .. } | NotaryError::NotFound { .. } => {
                Self::new(Reason::NoTrustData, message)
                    .hint("check the name, --trust-server and DOCKER_CONTENT_TRUST_SERVER")
            }
            NotaryError::Rejected { code, .. } if code == "VERSION" => {
                Self::new(Reason::PublishConflict, message).hint("somebody else published; try again")
            }
            NotaryError::Forbidden { account, .. } => {
                let login = if account.is_hub() { String::new() } else { format!(" {account}") };
                Self::new(Reason::Unauthorized, message).hint(format!("docker login{login}"))
            }
            NotaryError::Rejected { .. } | NotaryError::Status { .. } => {
                Self::new(Reason::TrustServerUnreachable, message).hint("touchmark doctor IMAGE")
            }
        }
    }
}

/// Code and words of Notary's `{"errors":[{"code","message","detail"}]}`.
pub(crate) fn problem(body: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        detail: Value,
    }
    let first = serde_json::from_slice::<Body>(body).ok()?.errors.into_iter().next()?;
    // INVALID_UPDATE says what is wrong only inside: {"Name":"ErrBadRoot","Error":{"Msg":"..."}}.
    let detail = match &first.detail {
        Value::String(text) => Some(text.as_str()),
        detail => detail.pointer("/Error/Msg").and_then(Value::as_str),
    };
    let message = match detail {
        Some(detail) => format!("{} ({})", shown(&first.message), shown(detail)),
        None => shown(&first.message).to_string(),
    };
    Some((shown(&first.code).to_string(), message))
}

#[cfg(test)]
mod tests;
