//! What can go wrong between here and a server, and how a person is told.
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use touchmark_proto::reason::Reason;

use crate::config::docker::{DockerFileError, tls_folder};
use crate::error::Error;
use crate::image::Host;

/// Why there is no (usable) answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection. A retry may help.
    #[error("cannot connect to {host}: {cause}")]
    Connect {
        /// The server.
        host: String,
        /// Why.
        cause: String,
    },
    /// The connection broke. A retry may help.
    #[error("the connection to {host} broke: {cause}")]
    Broken {
        /// The server.
        host: String,
        /// Why.
        cause: String,
    },
    /// Too slow. A retry may help.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The server.
        host: String,
    },
    /// The server speaks something else than TLS.
    #[error("{host} does not speak TLS")]
    NotTls {
        /// The server.
        host: String,
    },
    /// The server's certificate does not verify. A retry helps once its CA is known.
    #[error("the certificate of {host} is not trusted: {cause}")]
    Untrusted {
        /// The server.
        host: String,
        /// Why.
        cause: String,
        /// Where its CA would be looked for.
        folder: PathBuf,
    },
    /// The server wants another client certificate.
    #[error("{host} refused the TLS connection: {cause}")]
    Refused {
        /// The server.
        host: String,
        /// Its alert.
        cause: String,
        /// Where the client certificate would be looked for.
        folder: PathBuf,
    },
    /// The answer is longer than it may be.
    #[error("the answer of {host} is longer than the {limit} bytes that it may have")]
    TooLarge {
        /// The server.
        host: String,
        /// The cap in bytes.
        limit: u64,
    },
    /// 401 in spite of what was shown.
    #[error("{host} wants {}", if *login == Login::Anonymous { "a login" } else { "another login" })]
    Unauthorized {
        /// The server.
        host: String,
        /// Whose credentials were looked for.
        account: Host,
        /// What was shown.
        login: Login,
    },
    /// Something would have gone over an unencrypted connection.
    #[error("{host} is reached over plain http, and credentials do not go that way")]
    Plain {
        /// The server.
        host: String,
    },
    /// A redirect that is not followed.
    #[error("a redirect of {host} {why}")]
    Redirect {
        /// The server.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server's answer makes no sense.
    #[error("{host} gave a wrong answer: {what}")]
    Nonsense {
        /// The server.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// Docker's files are of no use.
    #[error(transparent)]
    Files(#[from] DockerFileError),
}

/// What was shown to a server that wants to know who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing yet.
    NotTried,
    /// A token for nobody in particular.
    Anonymous,
    /// What `docker login` left.
    Known,
}

/// Who was asked; decides the reason and the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A registry.
    Registry,
    /// A trust server.
    TrustServer,
}

impl Peer {
    fn unreachable(self) -> Reason {
        match self {
            Self::Registry => Reason::RegistryUnreachable,
            Self::TrustServer => Reason::TrustServerUnreachable,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::TrustServer => "trust server",
        }
    }
}

impl HttpError {
    /// Whether the server just was not there, so that trust data in the cache may stand in for it. Anything that
    /// could be the work of somebody in between does not count.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken { .. } | Self::Timeout { .. })
    }

    /// For a person: reason, sentence, next step.
    #[must_use]
    pub fn into_error(self, peer: Peer) -> Error {
        let message = format!("{}: {self}", peer.name());
        match &self {
            Self::Untrusted { folder, .. } => Error::new(Reason::TlsUntrusted, message)
                .hint(format!("put the certificate of its CA into {}", folder.join("ca.crt").display())),
            Self::Refused { folder, .. } => Error::new(Reason::TlsUntrusted, message).hint(format!(
                "if it wants a client certificate: put it into {} as client.cert and client.key",
                folder.display()
            )),
            Self::Unauthorized { account, .. } => {
                let server = if account.is_hub() { String::new() } else { format!(" {account}") };
                Error::new(Reason::Unauthorized, message).hint(format!("docker login{server}"))
            }
            Self::Plain { .. } => Error::new(Reason::Unauthorized, message).hint("serve it over https"),
            Self::Files(DockerFileError::Credentials { .. }) => {
                Error::new(Reason::Unauthorized, message).hint("docker login")
            }
            Self::Files(_) => Error::usage(self.to_string()),
            Self::NotTls { .. } => Error::new(peer.unreachable(), message).hint(match peer {
                Peer::TrustServer => {
                    "is that a trust server? set --trust-server or DOCKER_CONTENT_TRUST_SERVER"
                }
                Peer::Registry => "registries other than localhost must speak https",
            }),
            Self::Connect { .. } if peer == Peer::TrustServer => Error::new(peer.unreachable(), message)
                .hint(
                    "set --trust-server or DOCKER_CONTENT_TRUST_SERVER to the Notary server of this registry",
                ),
            _ => Error::new(peer.unreachable(), message).hint("touchmark doctor IMAGE"),
        }
    }

    pub(super) fn from_reqwest(cause: &reqwest::Error, host: String, docker_dir: &Path) -> Self {
        let folder = tls_folder(docker_dir, &host);
        match rustls_error(cause) {
            Some(rustls::Error::InvalidCertificate(why)) => {
                Self::Untrusted { host, cause: why.to_string(), folder }
            }
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls { host },
            Some(rustls::Error::AlertReceived(alert)) => {
                Self::Refused { host, cause: format!("{alert:?}"), folder }
            }
            Some(other) => Self::Connect { host, cause: other.to_string() },
            None if cause.is_timeout() => Self::Timeout { host },
            None if cause.is_connect() => Self::Connect { host, cause: root_cause(cause) },
            None => Self::Broken { host, cause: root_cause(cause) },
        }
    }
}

/// The innermost cause's text: the outer ones repeat the URL.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = inner(innermost) {
        innermost = next;
    }
    innermost.to_string()
}

fn rustls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        current = inner(error);
    }
    None
}

/// What an error wraps. `io::Error::source` leaves out the very error it holds.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}
