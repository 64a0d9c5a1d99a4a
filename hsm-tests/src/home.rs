//! A person on this machine: a home folder with Docker's settings, and the commands that this person types.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Cli, shipped, tool};
use crate::notary::Notary;
use crate::place::Place;

/// The passphrase of every key that Docker or `notary` makes here.
pub const PASSPHRASE: &str = "a passphrase of the tests";

/// How long the daemon may take to see what became of a token.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home folder of its own. Docker, `notary` and `touchmark` run with it share `.docker` and what is in it.
#[derive(Debug)]
pub struct Home {
    place: Place,
    variables: Vec<(String, String)>,
}

/// One of the machine's Docker CLIs that can do content trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    program: PathBuf,
    major: u32,
}

impl Home {
    /// A new, empty one below `/tmp`.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "makes a folder on disk: no default value")]
    pub fn new() -> Self {
        Self::at(Place::new())
    }

    /// One in this folder.
    #[must_use]
    pub fn at(place: Place) -> Self {
        std::fs::create_dir_all(place.join(".docker")).expect("the folder .docker");
        Self { place, variables: Vec::new() }
    }

    /// The home folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Docker's folder, `$DOCKER_CONFIG`.
    #[must_use]
    pub fn docker_config(&self) -> PathBuf {
        self.place.join(".docker")
    }

    /// The trust directory that Docker and Touchmark share.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.docker_config().join("trust")
    }

    /// A variable for every command from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Puts a CA certificate (PEM) where Docker and Touchmark look for it: `.docker/tls/HOST:PORT/ca.crt`.
    pub fn trust_tls_of(&self, host: &str, ca_pem: &str) {
        let folder = self.docker_config().join("tls").join(host);
        std::fs::create_dir_all(&folder).expect("a folder for the CA certificate");
        std::fs::write(folder.join("ca.crt"), ca_pem).expect("the CA certificate");
    }

    /// This Notary is the trust server of every command from now on, and its CA is trusted.
    pub fn use_notary(&mut self, notary: &Notary) {
        self.trust_tls_of(&notary.host(), notary.ca_pem());
        self.set("DOCKER_CONTENT_TRUST_SERVER", &notary.url());
    }

    /// A command of this person.
    #[must_use]
    pub fn cli(&self, program: &Path) -> Cli {
        let cli = Cli::new(program).folder(self.path()).env("HOME", self.path());
        let cli = cli.env("DOCKER_CONFIG", self.docker_config());
        self.variables.iter().fold(cli, |cli, (name, value)| cli.env(name, value))
    }

    /// The built `touchmark`.
    #[must_use]
    pub fn touchmark(&self) -> Cli {
        self.cli(&shipped("touchmark")).env("NO_COLOR", "1")
    }

    /// A token of the daemon, once it is in this state: `present`, `absent`, `mismatch`, `failed`.
    ///
    /// # Panics
    /// When it is not within half a minute.
    #[expect(clippy::must_use_candidate, reason = "waiting is enough for most")]
    pub fn token_that_is(&self, name: &str, presence: &str) -> Value {
        let since = Instant::now();
        loop {
            let shown = self.touchmark().args(["--format", "json", "token", "info", name]).ok().json();
            if shown["token"]["presence"] == presence {
                return shown["token"].clone();
            }
            assert!(since.elapsed() < PATIENCE, "token {name} is not {presence}: {shown}");
        }
    }

    /// A Docker CLI, content trust off. See [`Docker::all`].
    #[must_use]
    pub fn docker(&self, docker: &Docker) -> Cli {
        with_passphrases(self.cli(&docker.program), "DOCKER_CONTENT_TRUST")
    }

    /// A Docker CLI with `DOCKER_CONTENT_TRUST=1`.
    #[must_use]
    pub fn trusting_docker(&self, docker: &Docker) -> Cli {
        self.docker(docker).env("DOCKER_CONTENT_TRUST", "1")
    }

    /// The `notary` CLI on this Notary and on the trust directory that Docker uses.
    #[must_use]
    pub fn notary(&self, notary: &Notary) -> Cli {
        let ca = self.docker_config().join("tls").join(notary.host()).join("ca.crt");
        let cli = with_passphrases(self.cli(&tool("notary")), "NOTARY");
        cli.args(["-s", &notary.url()]).arg("--tlscacert").arg(ca).arg("-d").arg(self.trust())
    }
}

/// Docker knows ROOT and REPOSITORY, `notary` all but REPOSITORY; what a program does not know it ignores.
fn with_passphrases(cli: Cli, prefix: &str) -> Cli {
    ["ROOT", "REPOSITORY", "TARGETS", "SNAPSHOT", "DELEGATION"]
        .iter()
        .fold(cli, |cli, role| cli.env(&format!("{prefix}_{role}_PASSPHRASE"), PASSPHRASE))
}

impl Docker {
    /// Every Docker CLI of this machine that knows content trust (before version 29), the distribution's
    /// (`/usr/bin/docker`) first.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for program in ["/usr/bin/docker", "/usr/local/bin/docker"].map(PathBuf::from) {
            if let Some(docker) = Self::at(program)
                && docker.major < 29
                && all.iter().all(|have| have.major != docker.major)
            {
                all.push(docker);
            }
        }
        assert!(!all.is_empty(), "no Docker CLI with content trust; Debian's package docker.io has one");
        all
    }

    /// 20, 28, ...
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The program's file.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    fn at(program: PathBuf) -> Option<Self> {
        if !program.is_file() {
            return None;
        }
        let said = Cli::new(&program).arg("--version").ok().stdout;
        let number = said.strip_prefix("Docker version ").and_then(|rest| rest.split('.').next());
        let major = number.and_then(|number| number.parse().ok());
        Some(Self { program, major: major.unwrap_or_else(|| panic!("no version in: {said}")) })
    }
}
