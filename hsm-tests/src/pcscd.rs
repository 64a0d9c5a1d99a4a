//! pcscd, the service for smart cards, one for each test that wants one, and readers of its own to put cards into.
//!
//! A pcscd listens at one place alone, below `/run`, which is written into the program. So each test has a copy of the
//! program into which another place is written, and programs find it by [`Pcscd::environment`]: it needs no root, tests
//! run side by side, and the machine's own pcscd is left alone. The copy also finds no drivers, so a real card in this
//! machine is not touched; `vpcd` is named to it. What `vpcd` does not offer is to listen on 127.0.0.1 alone: while a test
//! runs, who reaches this machine by network may put a card into its readers.

mod holder;
mod reader;
mod signer;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use holder::{Hold, Holder};
pub use reader::Reader;
pub use signer::Signer;

use crate::cli::{Cli, tool};
use crate::piv::PivCard;
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;

/// Says to libpcsclite where its service is, once for each process.
const SOCKET: &str = "PCSCLITE_CSOCK_NAME";
/// A reader's name that no program is looking for.
pub const NOBODYS: &str = "Virtual PCD";
/// A name that Yubico's own PKCS#11 module, and with it `notary`, takes for a YubiKey.
pub const YUBICOS: &str = "Yubico YubiKey Virtual";
/// Two paths in the program: where it listens, and where it looks for drivers.
const RUN: &str = "/run/pcscd";
const DRIVERS: &str = "/usr/lib/pcsc/drivers";
/// A folder that is not there, and whose name is as long.
const NO_DRIVERS: &str = "/nowhere/no-drivers/x";
/// The driver for cards in software.
const VPCD: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// A running pcscd with two readers. Dropped, it is ended by its own pid.
#[derive(Debug)]
pub struct Pcscd {
    // Fields are dropped in this order: the cards before the program, and that before its ports and its folder.
    readers: [Reader; 2],
    process: Option<Process>,
    ports: [Port; 2],
    place: Place,
}

impl Pcscd {
    /// Starts one; its readers are `NAME 00 00` and `NAME 00 01`, without a card.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::start_in(Place::new(), name)
    }

    /// The same, with this card in the first reader.
    #[must_use]
    pub fn with_card(name: &str, card: PivCard) -> Self {
        let pcscd = Self::start(name);
        pcscd.reader().insert(card);
        pcscd
    }

    fn start_in(place: Place, name: &str) -> Self {
        let ports = Port::pair();
        copy_program(&place);
        let vpcd = place.join("libifdvpcd.so");
        std::fs::copy(VPCD, &vpcd)
            .unwrap_or_else(|why| panic!("vsmartcard-vpcd is not installed: {VPCD}: {why}"));
        let port = ports[0].number();
        let lines = format!(
            "FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{port}\nLIBPATH {}\nCHANNELID {port}\n",
            vpcd.display()
        );
        std::fs::write(place.folder("readers").join("vpcd"), lines).expect("pcscd's list of readers");
        let readers = [0, 1].map(|at| {
            let name = format!("{name} 00 0{at}");
            Reader::at(ports[at].number(), name, log_in(&place))
        });
        let mut pcscd = Self { readers, process: None, ports, place };
        pcscd.start_again();
        pcscd
    }

    /// Kills it (SIGKILL). The cards stay where they are.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.process.take().expect("a running pcscd").kill();
        self.readers.iter().for_each(Reader::service_dies);
    }

    /// Starts it again after [`Pcscd::kill`], and waits until it has found the cards.
    pub fn start_again(&mut self) {
        let mut command = Command::new(self.place.join("pcscd"));
        command.args(["-f", "--info", "-c"]).arg(self.place.join("readers"));
        let log = log_in(&self.place);
        std::fs::write(&log, "").expect("a new log");
        let mut process = Process::start("pcscd", &mut command, &log);
        let socket = self.socket();
        process.wait_for("listening", || UnixStream::connect(&socket).is_ok());
        self.process = Some(process);
        self.readers.iter().for_each(Reader::service_lives);
    }

    /// The first reader.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.readers[0]
    }

    /// Both readers.
    #[must_use]
    pub fn readers(&self) -> &[Reader; 2] {
        &self.readers
    }

    /// Where its readers listen, on every address of this machine.
    #[must_use]
    pub fn ports(&self) -> [u16; 2] {
        self.ports.each_ref().map(Port::number)
    }

    /// What a program needs in its environment to find it.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        [(SOCKET.to_owned(), self.socket().display().to_string())].into()
    }

    /// A program that finds it.
    #[must_use]
    pub fn cli(&self, program: &str) -> Cli {
        Cli::new(tool(program)).env(SOCKET, self.socket())
    }

    /// The service itself, for signals.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running pcscd").pid()
    }

    fn socket(&self) -> PathBuf {
        socket_in(self.place.path())
    }
}

/// The installed program, at home in this folder. A child writes it: a program that this process has open for writing,
/// and with it every child that another thread is just starting, cannot be run.
fn copy_program(place: &Place) {
    let run = place.path().to_str().expect("a path of ASCII");
    assert_eq!((run.len(), NO_DRIVERS.len()), (RUN.len(), DRIVERS.len()), "paths of the same length");
    let (program, copy) = (tool("pcscd"), place.join("pcscd"));
    let edit = format!("s,{RUN},{run},g; s,{DRIVERS},{NO_DRIVERS},g");
    let script = r#"sed -e "$1" "$2" > "$3" && chmod 755 "$3" && grep -qF "$4" "$3" && grep -qF "$5" "$3""#;
    let sh = Cli::new(tool("sh")).env("LC_ALL", "C").args(["-c", script, "sh", &edit]).arg(program).arg(copy);
    sh.args([run, NO_DRIVERS]).ok();
}

/// Where the readers look up what it has noticed.
fn log_in(place: &Place) -> PathBuf {
    place.join("pcscd.log")
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("pcscd.comm")
}

/// Runs a test that is a client of pcscd itself: in a process of its own, as libpcsclite asks the environment once,
/// when the process starts. `body` is the whole test, written in its function; it gets a pcscd without cards.
///
/// # Panics
/// When the test fails there.
pub fn apart<F: FnOnce(Pcscd)>(body: F) {
    if let Some(socket) = std::env::var_os(SOCKET) {
        let folder = Path::new(&socket).parent().expect("a socket in a folder");
        return body(Pcscd::start_in(Place::at(folder), NOBODYS));
    }
    let closure = std::any::type_name::<F>(); // program::module::test::{{closure}}
    let test = closure.split_once("::").and_then(|(_, rest)| rest.rsplit_once("::")).expect("a test").0;
    let place = Place::new();
    let this = std::env::current_exe().expect("the running program's own file");
    let mut cli = Cli::new(this).args([test, "--exact", "--nocapture"]).env(SOCKET, socket_in(place.path()));
    for kept in ["TOUCHMARK_SOAK", "TOUCHMARK_BIN_DIR", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(kept) {
            cli = cli.env(kept, value);
        }
    }
    let ran = cli.ok().says("1 passed");
    crate::soak::say(&ran.stderr);
}
