#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a guided tour: it talks, and what goes wrong ends it with its message"
)]
//! `make quickstart`: the main job once, with real components, each step explained in a line.
//!
//! Everything is below the folder given as the only argument. `KEEP=1` leaves the components running.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, shipped_folder};
use hsm_tests::daemon::Daemon;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::place::Place;
use hsm_tests::registry::{Login, Registry};

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: quickstart FOLDER"));
    prepare(&folder);
    let mut tour = Tour::start(&folder);
    tour.sign();
    tour.check();
    if let Some(engine) = &tour.engine {
        let docker = Docker::all().remove(0);
        tour.home.set("DOCKER_HOST", &engine.host());
        tour.docker(&docker);
    }
    tour.judge();
    if std::env::var_os("KEEP").is_some_and(|value| value == "1") {
        tour.keep(&folder);
    }
    println!("\nquickstart: OK");
}

/// An empty folder, short enough for the sockets in it.
fn prepare(folder: &Path) {
    let socket = folder.join("dev/touchmarkd.sock");
    let length = socket.as_os_str().len();
    assert!(
        length <= 107,
        "{} has {length} bytes; a Unix socket's path has at most 107: clone into a shorter folder",
        socket.display()
    );
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    }
}

/// Everything that runs, in the order in which it ends.
struct Tour {
    daemon: Daemon,
    engine: Option<Engine>,
    registry: Registry,
    notary: Notary,
    home: Home,
    image: String,
    unsigned: String,
}

impl Tour {
    fn start(folder: &Path) -> Self {
        say("A person's home folder of its own: your ~/.docker is not touched.");
        let mut home = Home::at(Place::at(&folder.join("home")));
        say("A real Notary server with its signer, on free loopback ports, TLS by a CA made just now.");
        let notary = Notary::start_in(Place::at(&folder.join("notary")), &Ca::new());
        home.use_notary(&notary);
        println!("    {}", notary.url());
        say("A real registry, on another.");
        let registry = Registry::start_in(Place::at(&folder.join("registry")), None, Login::None);
        println!("    {}", registry.url());
        say("A Docker Engine of its own, where one can be started.");
        let engine = engine(folder);
        say(
            "touchmarkd: makes a SoftHSM token, a root key that never leaves it, and the vault for tagging keys.",
        );
        println!("    $ touchmarkd run --dev {}", folder.join("dev").display());
        let daemon = Daemon::dev_in(Place::at(folder));
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        show("", &home.touchmark().arg("status")).exits(0);
        let [image, unsigned] =
            ["trusted", "unsigned"].map(|tag| format!("{}/icho/alpine:{tag}", registry.host()));
        Self { daemon, engine, registry, notary, home, image, unsigned }
    }

    fn sign(&mut self) {
        say(
            "Push an image and sign it. The first push makes the repository: the root key on the token signs once.",
        );
        let layout = self.home.path().join("image");
        Image::saying("signed by Touchmark").lay_out(&layout, "trusted");
        let push = self.home.touchmark().args(["push", &self.image, "--from"]);
        let pushed = show("", &push.arg(format!("oci:{}:trusted", layout.display()))).exits(0);
        pushed.says("Finished initializing").says("Successfully signed");
    }

    fn check(&self) {
        say("Verify: the digest that was signed, alone on stdout, for scripts. No daemon, no key needed.");
        show("", &self.home.touchmark().args(["verify", &self.image])).exits(0).says("@sha256:");
        say("What is signed there, by whom, until when.");
        show("", &self.home.touchmark().args(["inspect", &self.image])).exits(0);
        say("An image that nobody signed, in the same repository: refused.");
        Image::saying("signed by nobody").push(&self.registry, "icho/alpine", "unsigned");
        let pull = self.home.touchmark().args(["pull", &self.unsigned, "--to"]);
        show("", &pull.arg(format!("oci:{}", self.home.path().join("pulled").display()))).exits(1);
    }

    fn docker(&self, docker: &Docker) {
        let trusting = "DOCKER_CONTENT_TRUST=1 ";
        say("Docker's own client, which knows nothing of Touchmark, pulls the signed tag by its digest.");
        let pull = self.home.trusting_docker(docker).args(["pull", &self.image]);
        show(trusting, &pull).exits(0).says("Pull (1 of 1): ").says("@sha256:");
        say("It refuses the unsigned one.");
        let pull = self.home.trusting_docker(docker).args(["pull", &self.unsigned]);
        show(trusting, &pull).exits(1).says("No valid trust data");
        say("With trust off, a plain pull works as ever.");
        show("", &self.home.docker(docker).args(["pull", &self.unsigned])).exits(0);
    }

    fn judge(&self) {
        say("Notary's own client lists what is signed.");
        let gun = self.image.trim_end_matches(":trusted");
        show("", &self.home.notary(&self.notary).args(["list", gun])).exits(0).says("trusted");
    }

    /// Leaves everything running, and says how to talk to it and how to end it.
    fn keep(&mut self, folder: &Path) {
        let mut pids = self.notary.leave_running().to_vec();
        let engine = self.engine.as_mut().map(Engine::process);
        for process in [self.daemon.process(), self.registry.process()].into_iter().chain(engine) {
            process.leave_running();
            pids.push(process.pid());
        }
        let env = self.home.touchmark().exports(&shipped_folder());
        std::fs::write(folder.join("env"), env).expect("the file env");
        write_stop(&folder.join("stop"), folder, &pids);
        println!("\nStill running. To talk to it:\n    . {}", folder.join("env").display());
        println!("    touchmark status\n    touchmark inspect {}", self.image);
        println!("    DOCKER_CONTENT_TRUST=1 docker pull {}", self.image);
        println!("To end it:\n    {}", folder.join("stop").display());
    }
}

fn engine(folder: &Path) -> Option<Engine> {
    match Engine::start_in(Place::at(&folder.join("engine"))) {
        Ok(engine) => {
            println!("    {}", engine.host());
            Some(engine)
        }
        Err(why) => {
            println!("    None here: {why}\n    So the steps with Docker's client are left out.");
            None
        }
    }
}

fn say(what: &str) {
    println!("\n==> {what}");
}

/// Runs a command as a person would see it: the line, then all it prints, indented.
fn show(before: &str, cli: &Cli) -> Ran {
    println!("    $ {before}{}", cli.line());
    let ran = cli.clone().merged().run();
    for line in ran.stdout.lines() {
        println!("    {line}");
    }
    ran
}

/// A script that ends what still runs. A pid that has meanwhile become another program is left alone: ours
/// all work inside the folder.
fn write_stop(file: &Path, folder: &Path, pids: &[u32]) {
    use std::os::unix::fs::PermissionsExt;
    let pids = pids.iter().fold(String::new(), |mut text, pid| {
        write!(text, " {pid}").unwrap();
        text
    });
    let text = format!(
        "#!/bin/sh\n# Ends what `make quickstart KEEP=1` left running.\nfor pid in{pids}; do\n\
         \x20   case \"$(readlink /proc/$pid/cwd)/\" in '{0}'/*) kill \"$pid\"; tail --pid=\"$pid\" -f /dev/null ;; esac\ndone\n\
         # Below a chroot dockerd leaves its data folder mounted onto itself.\n\
         umount '{0}/engine/data' 2>/dev/null\ntrue\n",
        folder.display()
    );
    std::fs::write(file, text).expect("the file stop");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
        .expect("the file stop, executable");
}
