//! The real registry (Distribution, Debian's docker-registry) on one loopback port.

use std::fmt::Write as _;
use std::process::Command;

use crate::ca::Ca;
use crate::cli::tool;
use crate::http::Request;
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;

/// The only user of a registry with a login.
pub const USER: &str = "dev";
/// That user's password.
pub const PASSWORD: &str = "touchmark";
/// `dev:touchmark`, bcrypt with the lowest cost: it protects nothing.
const HTPASSWD: &str = "dev:$2b$04$Y9tEglth7q9rp5V2yJFTxuUGmfgQDd7Qnj3yvEtEn84qQUh1oJhSO\n";

/// A running registry with its images in a temporary folder.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    port: Port,
    scheme: &'static str,
    _place: Place,
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Anybody.
    None,
    /// [`USER`] with [`PASSWORD`], by HTTP basic authentication.
    Basic,
}

impl Registry {
    /// Plain HTTP, open to all: Docker allows that on loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(Place::new(), None, Login::None)
    }

    /// Over TLS with a certificate of this CA, or plain; with a login or without.
    #[must_use]
    pub fn start_with(ca: Option<&Ca>, login: Login) -> Self {
        Self::start_in(Place::new(), ca, login)
    }

    /// The same with everything in this place.
    #[must_use]
    pub fn start_in(place: Place, ca: Option<&Ca>, login: Login) -> Self {
        let port = Port::free();
        std::fs::write(place.join("registry.yml"), configuration(&place, &port, ca, login)).unwrap();
        std::fs::write(place.join("htpasswd"), HTPASSWD).unwrap();
        let mut command = Command::new(tool("docker-registry"));
        command.current_dir(place.path()).args(["serve", "registry.yml"]);
        let mut process = Process::start("docker-registry", &mut command, &place.join("registry.log"));
        let scheme = if ca.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/v2/", port.number());
        process.wait_for("answering", || Request { ca, ..Request::get(&url) }.send().is_ok());
        Self { process, port, scheme, _place: place }
    }

    /// `localhost:PORT`: the first part of every image name in it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port.number())
    }

    /// `http://localhost:PORT` or `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.host())
    }

    /// The registry's process: `pause` makes it hang, `kill` makes it unreachable.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn configuration(place: &Place, port: &Port, ca: Option<&Ca>, login: Login) -> String {
    let mut text = format!(
        "version: 0.1\nlog: {{level: warn}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
        place.folder("images").display()
    );
    if login == Login::Basic {
        let file = place.join("htpasswd");
        writeln!(text, "auth: {{htpasswd: {{realm: touchmark, path: {}}}}}", file.display()).unwrap();
    }
    write!(text, "http:\n  addr: 127.0.0.1:{}\n  secret: none\n", port.number()).unwrap();
    if let Some(ca) = ca {
        let files = ca.issue().write(place.path(), "registry");
        let (certificate, key) = (files.certificate.display(), files.key.display());
        writeln!(text, "  tls: {{certificate: {certificate}, key: {key}}}").unwrap();
    }
    text
}
