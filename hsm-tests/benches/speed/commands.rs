//! Whole processes, from `fork` to their end, on the same servers: each program with a repository of its own that has
//! as many tags, and with warm caches. In all of them the server holds the snapshot key.

use std::process::Stdio;
use std::time::Instant;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, shipped, shipped_folder};
use hsm_tests::daemon::Daemon;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;

use crate::rounds::{Rounds, Spread, Turn, progress};
use crate::table::{Found, Table};

/// Tags that each repository has before the first round.
const TAGS: usize = 10;
const ROUNDS: usize = 11;

/// Servers, and a person for each program.
struct Stage {
    touchmark: Home,
    notary_user: Home,
    docker_user: Home,
    docker: Docker,
    image: String,
    size: String,
    notary: Notary,
    registry: Registry,
    engine: Option<Engine>,
    _daemon: Daemon,
}

/// Measures `sign` and `verify` against their peers.
pub(crate) fn measure(table: &mut Table) {
    let stage = Stage::set();
    stage.sign(table);
    stage.verify(table);
}

/// Measures what needs no server.
pub(crate) fn measure_alone(table: &mut Table) {
    let help = Cli::new(shipped("touchmark")).arg("--help");
    time(&help);
    let times: Vec<f64> = (0..30).map(|_| time(&help)).collect();
    table.figure("help", Spread::of(&times), "");
    let size = |name| std::fs::metadata(shipped_folder().join(name)).unwrap().len();
    let [daemon, client] = ["touchmarkd", "touchmark"].map(size).map(|bytes| bytes as f64 / 1e6);
    let from = format!("touchmarkd {daemon:.1}, touchmark {client:.1}");
    table.figure("size", Spread::of(&[daemon + client]), &from);
}

impl Stage {
    fn set() -> Self {
        progress("starting Notary, a registry, a Docker Engine and a daemon");
        let (notary, registry, daemon) =
            (Notary::start_in(hsm_tests::place::Place::new(), &Ca::new()), Registry::start(), Daemon::dev());
        let home = || {
            let mut home = Home::new();
            home.use_notary(&notary);
            home
        };
        let (mut touchmark, notary_user, mut docker_user) = (home(), home(), home());
        touchmark.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let engine = Engine::start();
        if let Some(engine) = &engine {
            docker_user.set("DOCKER_HOST", &engine.host());
        }
        let docker = Docker::all().remove(0);
        let image = Image::saying("bench");
        let pushed = image.pushed();
        let (image_digest, size) =
            (pushed.digest.trim_start_matches("sha256:").to_owned(), pushed.size.to_string());
        let mut stage = Self {
            touchmark,
            notary_user,
            docker_user,
            docker,
            image: image_digest,
            size,
            notary,
            registry,
            engine,
            _daemon: daemon,
        };
        stage.push_all(&image);
        stage.fill();
        stage
    }

    /// The image under every tag that will be signed: signing is measured, not pushing.
    fn push_all(&mut self, image: &Image) {
        progress("pushing the image under every tag");
        let archive = self.docker_user.path().join("image.tar");
        image.save(&archive, "bench:latest");
        if self.engine.is_some() {
            self.docker_user.docker(&self.docker).args(["load", "-i"]).arg(archive).ok();
        }
        for number in 0..TAGS + ROUNDS {
            let tag = tag(number);
            image.push(&self.registry, "bench/touchmark", &tag);
            if self.engine.is_some() {
                let name = format!("{}:{tag}", self.name("docker"));
                self.docker_user.docker(&self.docker).args(["tag", "bench:latest", &name]).ok();
                self.docker_user.docker(&self.docker).args(["push", &name]).ok();
            }
        }
    }

    /// Makes the repositories and gives them their first tags.
    fn fill(&mut self) {
        progress("signing the first tags");
        let [ours, theirs] = ["touchmark", "notary"].map(|name| self.name(name));
        self.touchmark.touchmark().args(["init", &ours]).ok();
        let tags = (0..TAGS).map(|number| format!("{ours}:{}", tag(number)));
        self.touchmark.touchmark().arg("sign").args(tags).ok();
        let notary = |args: &[&str]| self.notary_user.notary(&self.notary).args(args).ok();
        notary(&["init", &theirs, "-p"]);
        notary(&["key", "rotate", &theirs, "snapshot", "-r"]);
        for number in 0..TAGS {
            notary(&["addhash", &theirs, &tag(number), &self.size, "--sha256", &self.image]);
        }
        notary(&["publish", &theirs]);
        if self.engine.is_some() {
            // A plain `docker trust sign` would make signers' roles; a trusted push signs in `targets`, as the others.
            let first = format!("{}:{}", self.name("docker"), tag(0));
            self.docker_user.trusting_docker(&self.docker).args(["push", &first]).ok();
            for number in 1..TAGS {
                self.docker_sign(number).ok();
            }
        }
    }

    fn sign(&self, table: &mut Table) {
        let ours = |number| {
            self.touchmark.touchmark().args(["sign", &format!("{}:{}", self.name("touchmark"), tag(number))])
        };
        let notary = |number| {
            let addhash = self.notary_user.notary(&self.notary);
            addhash.args([
                "addhash",
                &self.name("notary"),
                &tag(number),
                &self.size,
                "--sha256",
                &self.image,
                "-p",
            ])
        };
        let mut contenders: Vec<(&'static str, Turn<'_>)> =
            vec![("touchmark", one_more(ours)), ("notary", one_more(notary))];
        if self.engine.is_some() {
            contenders.push(("docker", one_more(|number| self.docker_sign(number))));
        }
        let rounds = Rounds::run(ROUNDS, &mut contenders);
        table.times("sign-notary", &rounds, "touchmark", "notary");
        if self.engine.is_some() {
            table.times("sign-docker", &rounds, "touchmark", "docker");
        } else {
            table.add("sign-docker", Found::NotRun("no Docker Engine".to_owned()));
        }
    }

    fn verify(&self, table: &mut Table) {
        let ours = format!("{}:{}", self.name("touchmark"), tag(0));
        let ours = self.touchmark.touchmark().args(["verify", &ours]);
        let theirs = self.notary_user.notary(&self.notary).args(["lookup", &self.name("notary"), &tag(0)]);
        ours.ok().says(&self.image);
        theirs.ok().says(&self.image);
        let rounds = Rounds::run(
            2 * ROUNDS,
            &mut [("touchmark", Box::new(|| time(&ours))), ("notary", Box::new(|| time(&theirs)))],
        );
        table.times("verify", &rounds, "touchmark", "notary");
    }

    fn docker_sign(&self, number: usize) -> Cli {
        let name = format!("{}:{}", self.name("docker"), tag(number));
        self.docker_user.docker(&self.docker).args(["trust", "sign", &name])
    }

    fn name(&self, program: &str) -> String {
        format!("{}/bench/{program}", self.registry.host())
    }
}

fn tag(number: usize) -> String {
    format!("1.{number}")
}

/// A turn that signs the next tag.
fn one_more<'a>(command: impl Fn(usize) -> Cli + 'a) -> Turn<'a> {
    let mut number = TAGS;
    Box::new(move || {
        number += 1;
        time(&command(number - 1))
    })
}

/// Milliseconds from start to end. A command that fails ends the run.
fn time(cli: &Cli) -> f64 {
    let mut command = cli.command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap_or_else(|why| panic!("{}: {why}", cli.line()));
    let time = start.elapsed();
    assert!(status.success(), "{} has failed ({status})", cli.line());
    time.as_secs_f64() * 1000.0
}
