//! The real Notary: notary-server over TLS with its own notary-signer, both keeping everything in memory, or the
//! server in a database.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::ca::Ca;
use crate::cli::tool;
use crate::gate::Gate;
use crate::http::Request;
use crate::mariadb::MariaDb;
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;

/// A running Notary. Tests reach it through a [`Gate`], so an outage needs no restart, which would lose every
/// repository: Debian's notary-server has no storage on disk, unless a database server has it.
#[derive(Debug)]
pub struct Notary {
    gate: Option<Gate>,
    server: Process,
    signer: Process,
    ca: String,
    ports: [Port; 2],
    place: Place,
    database: Option<MariaDb>,
}

impl Notary {
    /// Starts both programs with certificates of this CA and waits until the server answers.
    #[must_use]
    pub fn start(ca: &Ca) -> Self {
        let mut notary = Self::start_in(Place::new(), ca);
        notary.gate = Some(Gate::before(notary.ports[1].number()));
        notary
    }

    /// The same on a database, so that the server can be killed and started again: see [`Notary::kill`].
    #[must_use]
    pub fn start_on_database(ca: &Ca) -> Self {
        let mut notary = Self::start_with(Place::new(), ca, Some(MariaDb::start()));
        notary.gate = Some(Gate::before(notary.ports[1].number()));
        notary
    }

    /// The same with everything in this place, and without a gate: it can outlive this process.
    #[must_use]
    pub fn start_in(place: Place, ca: &Ca) -> Self {
        Self::start_with(place, ca, None)
    }

    fn start_with(place: Place, ca: &Ca, database: Option<MariaDb>) -> Self {
        let ports = [Port::free(), Port::free()];
        let (signer_port, server_port) = (ports[0].number(), ports[1].number());
        let storage = match &database {
            Some(database) => json!({"backend": "mysql", "db_url": database.url()}),
            None => json!({"backend": "memory"}),
        };
        lay_out(place.path(), ca, signer_port, server_port, &storage);
        let mut signer = launch("notary-signer", place.path(), &["-logf", "logfmt"]);
        signer.wait_for_port(signer_port);
        let mut server = launch("notary-server", place.path(), &["-logf", "logfmt"]);
        let url = format!("https://localhost:{server_port}/v2/");
        server.wait_for("answering", || {
            Request { ca: Some(ca), ..Request::get(&url) }.send().is_ok_and(|answer| answer.status == 200)
        });
        Self { gate: None, server, signer, ca: ca.pem(), ports, place, database }
    }

    /// Kills the server (SIGKILL), and nobody else.
    ///
    /// # Panics
    /// Without a database, as everything would be lost.
    pub fn kill(&mut self) {
        assert!(self.database.is_some(), "start it with Notary::start_on_database");
        self.server.kill();
    }

    /// What a restored backup does: kills the server, changes its database, and starts it again.
    pub fn restore(&mut self, sql: &str) {
        self.kill();
        self.database.as_mut().expect("started on a database").run(sql);
        self.start_again();
    }

    /// Starts the server again after [`Notary::kill`], on what it had.
    pub fn start_again(&mut self) {
        self.server = launch("notary-server", self.place.path(), &["-logf", "logfmt"]);
        self.server.wait_for_port(self.ports[1].number());
    }

    /// `https://localhost:PORT`, as `DOCKER_CONTENT_TRUST_SERVER` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    /// `localhost:PORT`, the name of Docker's folder with the CA's certificate.
    #[must_use]
    pub fn host(&self) -> String {
        let port = self.gate.as_ref().map_or_else(|| self.ports[1].number(), Gate::port);
        format!("localhost:{port}")
    }

    /// The port of 127.0.0.1 that notary-signer listens on: gRPC over mutual TLS, with certificates of the CA.
    #[must_use]
    pub fn signer_port(&self) -> u16 {
        self.ports[0].number()
    }

    /// The certificate of the CA that vouches for the server, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The way to the server: `close` makes it unreachable (connection refused), `open` lets it be back with
    /// everything it had.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("only Notary::start puts a gate before the server")
    }

    /// The server's process: `pause` makes it hang.
    #[must_use]
    pub fn server(&self) -> &Process {
        &self.server
    }

    /// Lets both programs go on when this value is dropped; the pids.
    pub fn leave_running(&mut self) -> [u32; 2] {
        self.server.leave_running();
        self.signer.leave_running();
        [self.server.pid(), self.signer.pid()]
    }
}

fn launch(name: &str, folder: &Path, extra: &[&str]) -> Process {
    let mut command = Command::new(tool(name));
    command.current_dir(folder).arg("-config").arg(format!("{name}.json")).args(extra);
    Process::start(name, &mut command, &folder.join(format!("{name}.log")))
}

fn lay_out(folder: &Path, ca: &Ca, signer_port: u16, server_port: u16, storage: &Value) {
    ca.write(&folder.join("ca.crt"));
    for name in ["server", "signer", "client"] {
        drop(ca.issue().write(folder, name));
    }
    let logging = json!({"level": "info"});
    let signer = json!({
        "server": {"grpc_addr": format!("127.0.0.1:{signer_port}"), "tls_cert_file": "signer.crt",
                   "tls_key_file": "signer.key", "client_ca_file": "ca.crt"},
        "logging": logging, "storage": {"backend": "memory"},
    });
    let server = json!({
        "server": {"http_addr": format!("127.0.0.1:{server_port}"), "tls_cert_file": "server.crt",
                   "tls_key_file": "server.key"},
        "trust_service": {"type": "remote", "hostname": "localhost", "port": signer_port.to_string(),
                          "key_algorithm": "ecdsa", "tls_ca_file": "ca.crt", "tls_client_cert": "client.crt",
                          "tls_client_key": "client.key"},
        "logging": logging, "storage": storage,
    });
    let write = |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string());
    write("notary-signer.json", &signer).expect("the signer's configuration");
    write("notary-server.json", &server).expect("the server's configuration");
}
