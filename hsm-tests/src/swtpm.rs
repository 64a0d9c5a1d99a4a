//! A TPM 2.0 in software (swtpm) and the PKCS#11 module that real TPMs are used with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::cli::{Cli, Ran, tool};
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;

/// Where Debian's package, and others, put the module.
const MODULES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1",
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib64/pkcs11/libtpm2_pkcs11.so",
];

/// A running TPM with an empty store. Dropped, it is ended by its own pid.
#[derive(Debug)]
pub struct SwTpm {
    // Fields are dropped in this order: the program before its ports and its folder.
    tpm: Mutex<Option<Process>>,
    ports: [Port; 2],
    place: Place,
}

impl SwTpm {
    /// Starts a new TPM; its store has one empty slot.
    #[must_use]
    pub fn start() -> Self {
        let this = Self { tpm: Mutex::default(), ports: Port::pair(), place: Place::new() };
        this.place.folder("store");
        this.put_back();
        this
    }

    /// Ends the program: the machine has no TPM any more.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pull_out(&self) {
        let tpm = self.tpm.lock().expect("nobody panicked").take();
        tpm.expect("a running TPM").stop();
    }

    /// Starts the program again, with the state that it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn put_back(&self) {
        let state = self.place.folder("tpm");
        let [server, control] = self.ports.each_ref().map(Port::number);
        let mut command = Command::new(tool("swtpm"));
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.arg("--tpmstate").arg(format!("dir={}", state.display()));
        command.args(["--server", &format!("type=tcp,port={server},bindaddr=127.0.0.1,disconnect")]);
        command.args(["--ctrl", &format!("type=tcp,port={control},bindaddr=127.0.0.1")]);
        let mut tpm = Process::start("swtpm", &mut command, &self.place.join("swtpm.log"));
        // It serves one connection at a time: only look, do not connect.
        tpm.wait_for("listening", || listens(server) && listens(control));
        *self.tpm.lock().expect("nobody panicked") = Some(tpm);
    }

    /// The module.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn module() -> PathBuf {
        let found = MODULES.iter().map(Path::new).find(|file| file.is_file());
        found.unwrap_or_else(|| panic!("tpm2-pkcs11 is not installed: none of {MODULES:?}")).to_owned()
    }

    /// What the module reads from the environment.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let [server, _] = &self.ports;
        let tcti = format!("swtpm:host=127.0.0.1,port={}", server.number());
        let store = self.place.join("store").display().to_string();
        let variables = [
            ("TPM2_PKCS11_STORE", store),
            ("TPM2_PKCS11_TCTI", tcti),
            ("TPM2_PKCS11_BACKEND", "esysdb".to_owned()),
            ("TSS2_LOG", "all+NONE".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// `pkcs11-tool` of OpenSC on this module.
    pub fn pkcs11_tool(&self, args: &[&str]) -> Ran {
        let environment = self.environment().into_iter();
        let cli = environment.fold(Cli::new(tool("pkcs11-tool")), |cli, (name, value)| cli.env(&name, value));
        cli.arg("--module").arg(Self::module()).args(args).ok()
    }
}

/// Whether something listens on 127.0.0.1 at this port, by the kernel's own table (proc(5), `tcp`).
fn listens(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of TCP sockets");
    let local = format!("0100007F:{port:04X}");
    table.lines().map(str::split_whitespace).any(|mut words| {
        let (address, state) = (words.nth(1), words.nth(1));
        address == Some(&local) && state == Some("0A")
    })
}
