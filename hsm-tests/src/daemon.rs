//! The shipped `touchmarkd`, as a person or a service manager starts it.

mod card;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

pub use card::{PinFrom, with_card};

use crate::cli::{Cli, Ran, shipped};
use crate::config;
use crate::faketime::FakeClock;
use crate::pcscd::Pcscd;
use crate::place::Place;
use crate::process::Process;

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    cli: Cli,
    process: Process,
    socket: PathBuf,
    place: Place,
}

impl Daemon {
    /// `touchmarkd run --dev` in a temporary folder, ready.
    #[must_use]
    pub fn dev() -> Self {
        Self::dev_in(Place::new())
    }

    /// `touchmarkd run --dev DIR` with DIR the folder `dev` in this place, ready.
    #[must_use]
    pub fn dev_in(place: Place) -> Self {
        let folder = place.folder("dev");
        let cli = program(&place).args(["run", "--dev"]).arg(&folder);
        Self::started(cli, folder.join("touchmarkd.sock"), place)
    }

    /// The same by another clock.
    #[must_use]
    pub fn dev_by(clock: &FakeClock) -> Self {
        let place = Place::new();
        let folder = place.folder("dev");
        let cli = program(&place).args(["run", "--dev"]).arg(&folder);
        let cli = clock.variables().iter().fold(cli, |cli, (name, value)| cli.env(name, value));
        Self::started(cli, folder.join("touchmarkd.sock"), place)
    }

    /// `touchmarkd run --config FILE`, ready. `config` makes the file's text from the folder and the path of
    /// the socket.
    #[must_use]
    pub fn with_config(config: impl FnOnce(&Path, &Path) -> String) -> Self {
        Self::configured(config, |cli, _| cli)
    }

    /// The same with this in its environment.
    #[must_use]
    pub fn in_environment(
        variables: &BTreeMap<String, String>,
        config: impl FnOnce(&Path, &Path) -> String,
    ) -> Self {
        Self::configured(config, |cli, _| {
            variables.iter().fold(cli, |cli, (name, value)| cli.env(name, value))
        })
    }

    /// The same for YubiKeys, by name and serial, in the readers of this pcscd.
    #[must_use]
    pub fn with_yubikeys(pcscd: &Pcscd, yubikeys: &[(&str, u32)]) -> Self {
        let tokens: String = yubikeys.iter().map(|(name, serial)| config::yubikey(name, *serial)).collect();
        Self::in_environment(&pcscd.environment(), |folder, socket| {
            config::places(folder, socket) + &tokens + &config::allow(config::EVERYTHING)
        })
    }

    /// The same, made for being looked into: root can read its locked memory (`--memory mlock`), it logs all that it
    /// can, and its temporary files are in the folder `tmp` beside the rest.
    #[must_use]
    pub fn of_glass(config: impl FnOnce(&Path, &Path) -> String) -> Self {
        Self::configured(config, |cli, place| {
            let cli = cli.env("TOUCHMARKD_LOG", "trace").env("RUST_LOG", "trace");
            cli.env("TMPDIR", place.folder("tmp")).args(["--memory", "mlock"])
        })
    }

    /// The same on a machine without any network.
    #[must_use]
    pub fn offline(
        variables: &BTreeMap<String, String>,
        config: impl FnOnce(&Path, &Path) -> String,
    ) -> Self {
        Self::configured(config, |cli, _| {
            variables.iter().fold(cli, |cli, (name, value)| cli.env(name, value)).offline()
        })
    }

    fn configured(
        config: impl FnOnce(&Path, &Path) -> String,
        with: impl FnOnce(Cli, &Place) -> Cli,
    ) -> Self {
        let place = Place::new();
        let (file, run) = (place.join("touchmarkd.toml"), place.folder("run"));
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&run, private).expect("a folder for its owner alone");
        let socket = run.join("touchmarkd.sock");
        std::fs::write(&file, config(place.path(), &socket)).expect("the daemon's configuration");
        let cli = with(program(&place).args(["run", "--config"]).arg(file), &place);
        Self::started(cli, socket, place)
    }

    /// Runs `touchmarkd check --config` on this text to its end.
    #[must_use]
    pub fn check(config: &str) -> Ran {
        let place = Place::new();
        std::fs::write(place.join("touchmarkd.toml"), config).expect("the daemon's configuration");
        program(&place).args(["check", "--config"]).arg(place.join("touchmarkd.toml")).run()
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The folder with everything of it: `dev`, or the configuration, and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    /// Its process, for signals, its pid and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it with SIGTERM.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    /// Starts it again in the same folder with the same arguments, and waits until it is ready.
    pub fn start_again(&mut self) {
        assert!(!self.process.is_running(), "the daemon still runs");
        self.process = launch(&self.cli, &self.socket, &self.place);
    }

    /// The same for a daemon that may refuse to start.
    ///
    /// # Errors
    /// That it ended, with the last lines of its log.
    pub fn try_start_again(&mut self) -> Result<(), String> {
        assert!(!self.process.is_running(), "the daemon still runs");
        self.process = spawn(&self.cli, &self.place);
        wait(&mut self.process, &self.socket)
    }

    /// The same, ready when `ready` says so, which is asked without a pause.
    pub fn start_again_until(&mut self, mut ready: impl FnMut(&Path) -> bool) {
        assert!(!self.process.is_running(), "the daemon still runs");
        self.process = spawn(&self.cli, &self.place);
        while !ready(&self.socket) {
            assert!(self.process.is_running(), "the daemon ended; its log ends:\n{}", self.process.tail());
        }
    }

    fn started(cli: Cli, socket: PathBuf, place: Place) -> Self {
        let process = launch(&cli, &socket, &place);
        Self { cli, process, socket, place }
    }
}

fn program(place: &Place) -> Cli {
    let home = place.folder("home");
    Cli::new(shipped("touchmarkd")).env("HOME", home).folder(place.path())
}

/// Ready means that the socket serves.
fn launch(cli: &Cli, socket: &Path, place: &Place) -> Process {
    let mut process = spawn(cli, place);
    wait(&mut process, socket).unwrap_or_else(|why| panic!("{why}"));
    process
}

fn spawn(cli: &Cli, place: &Place) -> Process {
    Process::start("touchmarkd", &mut cli.command(), &place.join("touchmarkd.log"))
}

fn wait(process: &mut Process, socket: &Path) -> Result<(), String> {
    process.try_wait_for(&format!("serving {}", socket.display()), || UnixStream::connect(socket).is_ok())
}
