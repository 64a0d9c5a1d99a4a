//! MariaDB for one Notary server: what it has survives SIGKILL. Open to all on loopback, and slim: no accounts, no
//! system tables.

use std::process::Command;

use crate::cli::tool;
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;

/// The tables of notary-server, named as its queries name them.
const TABLES: &str = "\
CREATE DATABASE IF NOT EXISTS notary;
CREATE TABLE IF NOT EXISTS notary.tuf_files (id INT AUTO_INCREMENT PRIMARY KEY, created_at DATETIME(6), \
updated_at DATETIME(6), deleted_at DATETIME(6), gun VARCHAR(255) NOT NULL, role VARCHAR(255) NOT NULL, \
version INT NOT NULL, sha256 CHAR(64), data LONGBLOB NOT NULL, UNIQUE (gun, role, version), INDEX (sha256)) \
ENGINE=InnoDB CHARACTER SET ascii;
CREATE TABLE IF NOT EXISTS notary.changefeed (id INT AUTO_INCREMENT PRIMARY KEY, created_at DATETIME(6), \
gun VARCHAR(255) NOT NULL, version INT NOT NULL, sha256 CHAR(64), category VARCHAR(20) NOT NULL) \
ENGINE=InnoDB CHARACTER SET ascii;
";

/// A running one with an empty database.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: Port,
    place: Place,
}

impl MariaDb {
    /// Starts it in a temporary folder and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        let (place, port) = (Place::new(), Port::free());
        let process = launch(&place, &port, TABLES);
        Self { process, port, place }
    }

    /// Stops it, and starts it again with these statements.
    pub fn run(&mut self, sql: &str) {
        self.process.stop();
        self.process = launch(&self.place, &self.port, sql);
    }

    /// The database as notary-server's configuration names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("root@tcp(127.0.0.1:{})/notary?parseTime=True", self.port.number())
    }
}

fn launch(place: &Place, port: &Port, sql: &str) -> Process {
    let statements = place.join("statements.sql");
    std::fs::write(&statements, sql).expect("the statements");
    let mut command = Command::new(tool("mariadbd"));
    command.args(["--no-defaults", "--skip-grant-tables", "--skip-networking=0", "--skip-name-resolve"]);
    command.args(["--bind-address=127.0.0.1", "--performance-schema=OFF", "--innodb-log-file-size=4M"]);
    command.arg(format!("--port={}", port.number())).arg(format!("--init-file={}", statements.display()));
    command.arg(format!("--datadir={}", place.folder("data").display()));
    command.arg(format!("--socket={}", place.join("s").display()));
    command.arg(format!("--pid-file={}", place.join("pid").display()));
    if rustix::process::getuid().is_root() {
        command.arg("--user=root"); // it has to be told that this is meant
    }
    let mut process = Process::start("mariadbd", &mut command, &place.join("mariadbd.log"));
    process.wait_for_port(port.number());
    process
}
