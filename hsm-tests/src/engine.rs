//! A Docker Engine of its own: Debian's dockerd with its own folders and socket, no network of its own.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cli::{Cli, tool};
use crate::images::Image;
use crate::place::Place;
use crate::process::Process;

/// Set to `1`, it allows a machine without a Docker Engine: what needs one is skipped, and said so.
pub const WITHOUT: &str = "TOUCHMARK_WITHOUT_ENGINE";

/// A running dockerd.
#[derive(Debug)]
pub struct Engine {
    process: Process,
    socket: PathBuf,
    place: Place,
}

impl Engine {
    /// Starts one. None only where the caller allowed it by [`WITHOUT`]; that is written to stderr, past the
    /// test runner's capture.
    #[must_use]
    pub fn start() -> Option<Self> {
        if std::env::var_os(WITHOUT).is_some_and(|value| value == "1") {
            let mut stderr = std::io::stderr().lock();
            writeln!(stderr, "SKIPPED: what needs a Docker Engine, because {WITHOUT}=1").ok();
            return None;
        }
        Some(Self::start_in(Place::new()).unwrap_or_else(|why| panic!("{why}\nOr set {WITHOUT}=1.")))
    }

    /// Starts one with everything in this place.
    ///
    /// # Errors
    /// Why dockerd did not become ready; it needs root, and a path short enough for its sockets.
    pub fn start_in(place: Place) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("dockerd needs root".to_owned());
        }
        let socket = place.join("docker.sock");
        let mut command = Command::new(tool("dockerd"));
        command.current_dir(place.path());
        command.args(["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
        command.arg("--data-root").arg(place.join("data")).arg("--exec-root").arg(place.join("exec"));
        command.arg("--pidfile").arg(place.join("pid")).arg("-H").arg(format!("unix://{}", socket.display()));
        std::fs::write(place.join("daemon.json"), "{}").expect("an empty configuration");
        command.arg("--config-file").arg(place.join("daemon.json"));
        let mut process = Process::start("dockerd", &mut command, &place.join("dockerd.log"));
        process.try_wait_for("serving its socket", || UnixStream::connect(&socket).is_ok())?;
        let engine = Self { process, socket, place };
        engine.try_out()?;
        Ok(engine)
    }

    /// `unix:///...`, as `DOCKER_HOST` takes it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Unpacks one layer: dockerd starts in places where it cannot do that, in a plain chroot for one.
    fn try_out(&self) -> Result<(), String> {
        let archive = self.place.join("probe.tar");
        Image::saying("probe").save(&archive, "probe:latest");
        let docker = Cli::new(tool("docker")).env("HOME", self.place.path()).env("DOCKER_HOST", self.host());
        let loaded = docker.clone().args(["load", "--input"]).arg(archive).run();
        if loaded.code() != Some(0) {
            return Err(format!("dockerd cannot unpack an image here: {}", loaded.stderr.trim()));
        }
        docker.args(["rmi", "probe:latest"]).ok();
        Ok(())
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // dockerd mounts its data folder onto itself, and below a chroot it leaves that behind.
        if self.process.end() {
            let umount =
                Command::new(tool("umount")).arg(self.place.join("data")).stderr(Stdio::null()).status();
            umount.ok(); // mostly there is nothing to do
        }
    }
}
