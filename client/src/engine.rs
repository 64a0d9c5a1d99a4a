//! The Docker Engine behind its Unix socket. It is told digests; what it holds is not trusted to say what is signed.
mod push;

use std::path::{Path, PathBuf};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt as _;
use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{TargetName, shown};

use crate::config::docker::{self, Credentials};
use crate::context::Environment;
use crate::error::Error;
use crate::image::{Host, Image};
use crate::output::Output;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Of one request without an answer, in seconds; a pull sends progress all the time.
const TIMEOUT: u64 = 120;

/// A connected engine.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
}

impl Engine {
    /// Connects to `DOCKER_HOST` (`unix://` only), else the default socket, and asks for its version.
    ///
    /// # Errors
    /// `ENGINE_UNREACHABLE`.
    pub async fn connect(environment: &Environment) -> Result<Self, Error> {
        let socket = socket(environment)?;
        let unreachable = |cause: bollard::errors::Error| {
            Error::new(
                Reason::EngineUnreachable,
                format!("no Docker Engine at {}: {}", socket.display(), shown(&cause.to_string())),
            )
            .hint("start dockerd, set DOCKER_HOST=unix:///PATH, or use an OCI layout (oci:DIR)")
        };
        if !Path::new(&socket).exists() {
            let message = format!("no Docker Engine at {}: there is no such socket", socket.display());
            return Err(Error::new(Reason::EngineUnreachable, message)
                .hint("start dockerd, set DOCKER_HOST=unix:///PATH, or use an OCI layout (oci:DIR)"));
        }
        let docker = Docker::connect_with_unix(&socket.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION)
            .map_err(unreachable)?;
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        Ok(Self { docker })
    }

    /// The connection, for what has no method here.
    #[must_use]
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Pulls by digest. The engine checks the bytes against it.
    ///
    /// # Errors
    /// The engine, or the registry behind it, says no.
    pub async fn pull(
        &self,
        out: &Output,
        image: &Image,
        what: &str,
        credentials: Option<DockerCredentials>,
    ) -> Result<(), Error> {
        let options = CreateImageOptionsBuilder::new().from_image(image.gun().as_str()).tag(what).build();
        let mut events = self.docker.create_image(Some(options), None, credentials);
        while let Some(event) = events.next().await {
            let event = event.map_err(|cause| failed(&format!("pulling {}", image.familiar()), &cause))?;
            if let Some(detail) = event.error_detail {
                let why = detail.message.unwrap_or_default();
                let message = format!("the engine could not pull {}: {}", image.familiar(), shown(&why));
                return Err(Error::new(Reason::RegistryUnreachable, message));
            }
            if event.progress_detail.is_none_or(|progress| progress.total.is_none())
                && let Some(status) = event.status
            {
                let id = event.id.map(|id| format!("{}: ", shown(&id))).unwrap_or_default();
                out.say(&format!("{id}{}", shown(&status)));
            }
        }
        Ok(())
    }

    /// Gives the image with `digest` the name that was asked for.
    ///
    /// # Errors
    /// The engine says no.
    pub async fn tag(&self, image: &Image, digest: &Sha256Digest, tag: &TargetName) -> Result<(), Error> {
        let options = TagImageOptionsBuilder::new().repo(image.gun().as_str()).tag(tag.as_str()).build();
        let source = format!("{}@{}", image.gun(), digest.to_oci());
        let tagged = self.docker.tag_image(&source, Some(options)).await;
        tagged.map_err(|cause| failed(&format!("tagging {}", image.familiar()), &cause))
    }
}

/// What `docker login` left for a registry, as the engine wants it. May run a credential helper: blocking.
///
/// # Errors
/// Docker's `config.json` or a helper cannot be used.
pub fn credentials(docker_dir: &Path, host: &Host) -> Result<Option<DockerCredentials>, Error> {
    let server = host.credentials_key();
    let found = docker::credentials(docker_dir, server)
        .map_err(|cause| Error::new(Reason::Unauthorized, cause.to_string()).hint("docker login"))?;
    Ok(found.map(|found| {
        let empty =
            DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
        match found {
            Credentials::Password { user, password } => {
                DockerCredentials { username: Some(user), password: Some(password.to_string()), ..empty }
            }
            Credentials::Identity(token) => {
                DockerCredentials { identitytoken: Some(token.to_string()), ..empty }
            }
        }
    }))
}

fn socket(environment: &Environment) -> Result<PathBuf, Error> {
    match environment.docker_host.as_deref() {
        None => Ok(PathBuf::from(DEFAULT_SOCKET)),
        Some(host) => host.strip_prefix("unix://").map(PathBuf::from).ok_or_else(|| {
            let message = format!("DOCKER_HOST is '{}', and only unix:// is supported", shown(host));
            Error::new(Reason::EngineUnreachable, message).hint("set DOCKER_HOST=unix:///var/run/docker.sock")
        }),
    }
}

fn failed(what: &str, cause: &bollard::errors::Error) -> Error {
    use bollard::errors::Error as Engine;
    let reason = match cause {
        Engine::DockerResponseServerError { .. } | Engine::DockerStreamError { .. } => {
            Reason::RegistryUnreachable
        }
        _ => Reason::EngineUnreachable,
    };
    Error::new(reason, format!("{what}: the engine says: {}", shown(&cause.to_string())))
}
