//! Docker's content-trust tutorial, command by command: Touchmark publishes, Docker's own CLI reads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran};
use hsm_tests::daemon::Daemon;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;

/// One publisher with Touchmark, one reader with Docker, nothing shared but the servers and the engine.
struct Stage<'a> {
    docker: &'a Docker,
    notary: Notary,
    _registry: Registry,
    _daemon: Daemon,
    publisher: Home,
    reader: Home,
    /// The repository's name with its registry.
    name: String,
}

impl<'a> Stage<'a> {
    fn set(engine: &Engine, docker: &'a Docker) -> Self {
        let (notary, registry, daemon) = (Notary::start(&Ca::new()), Registry::start(), Daemon::dev());
        let [mut publisher, mut reader] = [Home::new(), Home::new()];
        for home in [&mut publisher, &mut reader] {
            home.use_notary(&notary);
            home.set("DOCKER_HOST", &engine.host());
        }
        publisher.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let name = format!("{}/icho/alpine", registry.host());
        Self { docker, notary, _registry: registry, _daemon: daemon, publisher, reader, name }
    }

    fn image(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name)
    }

    /// `docker load`: the engine has an image of this name, another for each tag.
    fn load(&self, tag: &str) {
        let archive = self.publisher.path().join("image.tar");
        Image::saying(tag).save(&archive, &self.image(tag));
        self.plain(&["load", "-i", archive.to_str().unwrap()]).exits(0);
    }

    /// The reader's docker with trust on.
    fn trusting(&self, args: &[&str]) -> Ran {
        self.reader.trusting_docker(self.docker).args(args).run()
    }

    /// The reader's docker with trust off.
    fn plain(&self, args: &[&str]) -> Ran {
        self.reader.docker(self.docker).args(args).run()
    }

    fn touchmark(&self, args: &[&str]) -> Ran {
        self.publisher.touchmark().args(args).run()
    }

    fn forget(&self, images: &[&str]) {
        self.plain(&[&["rmi", "-f"], images].concat()).exits(0);
    }
}

#[test]
fn the_tutorial_holds_with_every_docker_cli() {
    let Some(engine) = Engine::start() else { return };
    for docker in Docker::all() {
        let stage = Stage::set(&engine, &docker);
        nothing_is_trusted_yet(&stage);
        the_publisher_pushes_and_signs(&stage);
        docker_pulls_what_is_signed(&stage);
        docker_and_touchmark_refuse_what_is_not(&stage);
        with_trust_off_everything_works_as_ever(&stage);
        docker_and_notary_show_who_signed(&stage);
        both_share_one_trust_directory(&stage);
        what_is_revoked_is_refused(&stage);
    }
}

fn nothing_is_trusted_yet(stage: &Stage<'_>) {
    let image = stage.image("trusted");
    stage.trusting(&["pull", &image]).exits(1).says("remote trust data does not exist");
}

fn the_publisher_pushes_and_signs(stage: &Stage<'_>) {
    for tag in ["trusted", "second", "unsigned"] {
        stage.load(tag);
    }
    let first = stage.touchmark(&["push", &stage.image("trusted")]).exits(0);
    first.says("Finished initializing").says("Successfully signed");
    let second = stage.touchmark(&["push", &stage.image("second")]).exits(0);
    second.says("Successfully signed").says_nothing_of("Finished initializing");
    stage.plain(&["push", &stage.image("unsigned")]).exits(0);
    stage.forget(&[&stage.image("trusted"), &stage.image("second"), &stage.image("unsigned")]);
}

fn docker_pulls_what_is_signed(stage: &Stage<'_>) {
    let image = stage.image("trusted");
    let verified = stage.touchmark(&["verify", &image]).exits(0);
    let by_digest = verified.stdout.trim_end();
    let digest =
        by_digest.strip_prefix(&format!("{}@", stage.name)).expect("name@sha256:... alone on stdout");

    let pulled = stage.trusting(&["pull", &image]).exits(0);

    pulled.says(&format!("Pull (1 of 1): {image}@{digest}")).says(&format!("Tagging {by_digest} as {image}"));
    stage.forget(&[&image]);
    stage.trusting(&["pull", by_digest]).exits(0);
    let all = stage.trusting(&["pull", "-a", &stage.name]).exits(0);
    all.says("Pull (2 of 2): ").says_nothing_of("unsigned");
    from(stage, "trusted").exits(0);
}

fn docker_and_touchmark_refuse_what_is_not(stage: &Stage<'_>) {
    let image = stage.image("unsigned");
    stage.trusting(&["pull", &image]).exits(1).says("No valid trust data for unsigned");
    stage.trusting(&["run", &image]).exits(125).says("No valid trust data for unsigned");
    from(stage, "unsigned").fails().says("No valid trust data for unsigned");
    let pull = stage.touchmark(&["--format", "json", "pull", &image]).exits(1).says("TAG_NOT_SIGNED");
    pull.says("unsigned");
    stage.plain(&["image", "inspect", &image]).fails();
}

fn with_trust_off_everything_works_as_ever(stage: &Stage<'_>) {
    let image = stage.image("unsigned");
    stage.trusting(&["pull", "--disable-content-trust", &image]).exits(0);
    stage.forget(&[&image]);
    stage.plain(&["pull", &image]).exits(0);
    stage.forget(&[&image]);
    stage.touchmark(&["pull", "--disable-content-trust", &image]).exits(0);
}

fn docker_and_notary_show_who_signed(stage: &Stage<'_>) {
    let shown = stage.trusting(&["trust", "inspect", &stage.name]).exits(0).json();
    let tags = shown[0]["SignedTags"].as_array().unwrap();
    let tags: Vec<&str> = tags.iter().map(|tag| tag["SignedTag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["second", "trusted"]);
    assert_eq!(shown[0]["SignedTags"][0]["Signers"][0], "Repo Admin");
    let list = stage.reader.notary(&stage.notary).args(["list", &stage.name]).ok();
    list.says("trusted").says("second").says_nothing_of("unsigned");
}

/// Docker has met this root; so `touchmark` with the same folder does not meet it for the first time.
fn both_share_one_trust_directory(stage: &Stage<'_>) {
    let touchmark = |home: &Home| -> Cli { home.touchmark().args(["-v", "verify", &stage.image("trusted")]) };
    touchmark(&stage.reader).ok().says_nothing_of("first use");
    let mut newcomer = Home::new();
    newcomer.use_notary(&stage.notary);
    touchmark(&newcomer).ok().says("first use");
    let docker = newcomer.trusting_docker(stage.docker).args(["trust", "inspect", &stage.name]);
    docker.ok().says("SignedTag");
}

fn what_is_revoked_is_refused(stage: &Stage<'_>) {
    let second = stage.image("second");
    stage.touchmark(&["revoke", &second]).exits(0);
    stage.trusting(&["pull", &second]).exits(1).says("No valid trust data for second");
    stage.touchmark(&["verify", &second]).exits(1);
    stage.trusting(&["pull", &stage.image("trusted")]).exits(0);
}

/// `docker build` of a Dockerfile that starts from the tag. The builder that knows content trust is the old one.
fn from(stage: &Stage<'_>, tag: &str) -> Ran {
    let folder = stage.reader.path().join("build");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), format!("FROM {}\nLABEL built=yes\n", stage.image(tag)))
        .unwrap();
    let build = stage.reader.trusting_docker(stage.docker).env("DOCKER_BUILDKIT", "0");
    build.args(["build", "-t", "built"]).arg(folder).run()
}
