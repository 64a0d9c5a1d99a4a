//! What every command is given: where things are, what was asked for, the time. Read once, passed down; nothing
//! below `main` looks at the environment or the clock.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use touchmark_proto::socket;
use touchmark_tuf::Instant;

use crate::args::Global;
use crate::checked::Checked;
use crate::config::Config;
use crate::error::Error;
use crate::http::Http;
use crate::image::Image;
use crate::notary::Notary;
use crate::output::Output;
use crate::reader::pins::Pins;
use crate::registry::Registry;
use crate::trust_dir::TrustDir;

/// The environment variables that touchmark reads, and nothing else of the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `HOME`
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`
    pub config_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`
    pub runtime_dir: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder, not the file.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_HOST`
    pub docker_host: Option<String>,
    /// `DOCKER_CONTENT_TRUST`
    pub content_trust: Option<String>,
    /// `DOCKER_CONTENT_TRUST_SERVER`
    pub trust_server: Option<String>,
    /// `TOUCHMARK_SOCKET`
    pub socket: Option<String>,
    /// `TOUCHMARK_PINS`
    pub pins: Option<PathBuf>,
    /// `NO_COLOR`
    pub no_color: Option<String>,
}

impl Environment {
    /// The environment of this process. An empty variable counts as unset.
    #[must_use]
    pub fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            home: path("HOME"),
            config_home: path("XDG_CONFIG_HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            docker_config: path("DOCKER_CONFIG"),
            docker_host: text("DOCKER_HOST"),
            content_trust: text("DOCKER_CONTENT_TRUST"),
            trust_server: text("DOCKER_CONTENT_TRUST_SERVER"),
            socket: text("TOUCHMARK_SOCKET"),
            pins: path("TOUCHMARK_PINS"),
            no_color: text("NO_COLOR"),
        }
    }

    /// The folder of Docker's `config.json`: `$DOCKER_CONFIG`, else `~/.docker`.
    #[must_use]
    pub fn docker_dir(&self) -> PathBuf {
        let home = || self.home.clone().unwrap_or_else(|| PathBuf::from("/")).join(".docker");
        self.docker_config.clone().unwrap_or_else(home)
    }

    /// The client's own configuration file, whether or not it exists.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        let home = || self.home.clone().unwrap_or_else(|| PathBuf::from("/")).join(".config");
        self.config_home.clone().unwrap_or_else(home).join("touchmark/touchmark.toml")
    }
}

/// The context of one command.
#[derive(Debug)]
pub struct Ctx {
    /// The only way to print.
    pub out: Output,
    /// The time of this command, read once.
    pub now: Instant,
    /// Where touchmarkd listens.
    pub socket: PathBuf,
    /// Where signed metadata is cached, in Docker's layout.
    pub trust_dir: TrustDir,
    /// The environment as it was at the start.
    pub environment: Environment,
    /// The client's own configuration.
    pub config: Config,
    /// HTTPS with Docker's TLS material and credentials.
    pub http: Http,
    /// The signatures that this command has found good.
    pub checked: Arc<Checked>,
    trust_server: Option<String>,
}

impl Ctx {
    /// Puts a context together from flags, environment and configuration file, in that order.
    ///
    /// # Errors
    /// The configuration file is wrong: `USAGE`, with file, line and reason.
    pub fn new(out: Output, global: Global, environment: Environment) -> Result<Self, Error> {
        let config = Config::load(&environment.config_file())?;
        let written = global.socket.or_else(|| environment.socket.clone());
        let trust_dir = global.trust_dir.unwrap_or_else(|| environment.docker_dir().join("trust"));
        Ok(Self {
            out,
            now: now(),
            socket: socket::choose(written.as_deref(), environment.runtime_dir.as_deref()),
            trust_dir: TrustDir::new(trust_dir),
            http: Http::new(environment.docker_dir()),
            checked: Arc::default(),
            trust_server: global.trust_server.or_else(|| environment.trust_server.clone()),
            config,
            environment,
        })
    }

    /// The trust server of an image: flag, environment, configuration file, Docker's own rule.
    ///
    /// # Errors
    /// The address is no `https://` URL: `USAGE`.
    pub fn notary(&self, image: &Image) -> Result<Notary, Error> {
        let server = self.config.trust_server(self.trust_server.as_deref(), image.host())?;
        Ok(Notary::new(self.http.clone(), server, image.gun().clone()))
    }

    /// The registry of an image.
    #[must_use]
    pub fn registry(&self, image: &Image) -> Registry {
        Registry::new(self.http.clone(), image.host().clone(), image.repository().to_owned())
    }

    /// The roots that were pinned: the file in `TOUCHMARK_PINS`, else `pins.toml` beside the configuration.
    ///
    /// # Errors
    /// The file is wrong, or the one named by the variable is not there: `USAGE`.
    pub fn pins(&self) -> Result<Pins, Error> {
        match &self.environment.pins {
            Some(file) => Pins::load(file),
            None => Pins::load_if_there(&self.environment.config_file().with_file_name("pins.toml")),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one reading of the clock of a command")]
fn now() -> Instant {
    Instant::from_system(SystemTime::now())
}
