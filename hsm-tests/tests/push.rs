//! `push` signs what the registry received: from an OCI layout, a docker-archive, the engine, one image or many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hsm_tests::ca::Ca;
use hsm_tests::cli::Ran;
use hsm_tests::daemon::Daemon;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::http::Request;
use hsm_tests::images::{Image, Pushed, lay_out_index};
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;

/// A publisher with a daemon, a registry and a Notary.
struct Stage {
    notary: Notary,
    registry: Registry,
    daemon: Daemon,
    home: Home,
    name: String,
}

impl Stage {
    fn set() -> Self {
        let (notary, registry, daemon) = (Notary::start(&Ca::new()), Registry::start(), Daemon::dev());
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let name = format!("{}/team/app", registry.host());
        Self { notary, registry, daemon, home, name }
    }

    fn touchmark(&self, args: &[&str]) -> Ran {
        self.home.touchmark().args(args).run()
    }

    fn image(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name)
    }

    /// The digest of the bytes that the registry serves under a tag; None if there are none.
    fn registry_serves(&self, tag: &str) -> Option<String> {
        let url = format!("{}/v2/team/app/manifests/{tag}", self.registry.url());
        let kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json";
        let answer = Request { headers: &[("Accept", kinds)], ..Request::get(&url) }.send().unwrap();
        (answer.status == 200).then(|| hsm_tests::images::digest(&answer.body))
    }

    fn registry_has(&self, tag: &str) -> String {
        self.registry_serves(tag).unwrap_or_else(|| panic!("the registry has no {tag}"))
    }

    /// Verified by touchmark, listed by `notary`, both with this digest.
    fn is_signed(&self, tag: &str, pushed: &Pushed) {
        let verified = self.touchmark(&["verify", &self.image(tag)]).exits(0);
        assert_eq!(verified.stdout, format!("{}@{}\n", self.name, pushed.digest));
        let looked_up = self.home.notary(&self.notary).args(["lookup", &self.name, tag]).ok();
        let hex = pushed.digest.strip_prefix("sha256:").unwrap();
        looked_up.says(hex).says(&format!(" {}", pushed.size));
    }

    fn layout(&self, name: &str) -> std::path::PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

#[test]
fn an_oci_layout_is_pushed_and_signed_as_it_is() {
    let stage = Stage::set();
    let image = Image::saying("from a layout");
    image.lay_out(&stage.layout("layout"), "1.0");

    let first = stage.touchmark(&["push", &stage.image("one"), "--from", "oci:layout"]).exits(0);
    first
        .says(&format!("Finished initializing \"{}\"", stage.name))
        .says(&format!("Successfully signed {}:one", stage.name));
    let again = stage.touchmark(&["push", &stage.image("two"), "--from", "oci:layout:1.0"]).exits(0);
    again.says_nothing_of("Finished initializing");

    for tag in ["one", "two"] {
        assert_eq!(stage.registry_has(tag), image.pushed().digest);
        stage.is_signed(tag, &image.pushed());
    }
    let folder = stage.home.path().join("pulled");
    stage.touchmark(&["pull", &stage.image("one"), "--to", &format!("oci:{}", folder.display())]).exits(0);
    let manifest = folder.join("blobs/sha256").join(image.pushed().digest.trim_start_matches("sha256:"));
    assert_eq!(std::fs::read(manifest).unwrap(), image.manifest());
}

#[test]
fn a_multi_arch_index_is_signed_as_an_index() {
    let stage = Stage::set();
    let images = [Image::saying_on("amd64", "amd64"), Image::saying_on("arm64", "arm64")];
    let index = lay_out_index(&stage.layout("many"), "1.0", &images);

    stage.touchmark(&["push", &stage.image("many"), "--from", "oci:many"]).exits(0);

    assert_eq!(stage.registry_has("many"), index.digest);
    stage.is_signed("many", &index);
}

#[test]
fn a_docker_archive_is_signed_by_the_manifest_that_was_made_of_it() {
    let stage = Stage::set();
    let archive = stage.home.path().join("saved.tar");
    Image::saying("saved").save(&archive, "whatever:it-was");

    let from = format!("docker-archive:{}", archive.display());
    let pushed =
        stage.touchmark(&["--format", "json", "push", &stage.image("saved"), "--from", &from]).exits(0);

    let said = pushed.json();
    let (digest, size) = (&said["pushed"][0]["digest"], &said["pushed"][0]["size"]);
    assert_eq!(stage.registry_has("saved"), digest.as_str().unwrap());
    let pushed = Pushed {
        digest: digest.as_str().unwrap().to_owned(),
        size: usize::try_from(size.as_u64().unwrap()).unwrap(),
    };
    stage.is_signed("saved", &pushed);
    // Docker unpacks the layers that we compressed.
    let Some(engine) = Engine::start() else { return };
    let docker = stage.home.trusting_docker(&Docker::all()[0]).env("DOCKER_HOST", engine.host());
    docker.args(["pull", &stage.image("saved")]).ok();
}

#[test]
fn the_engine_pushes_and_what_the_registry_got_is_signed() {
    let Some(engine) = Engine::start() else { return };
    let mut stage = Stage::set();
    stage.home.set("DOCKER_HOST", &engine.host());
    let docker = &Docker::all()[0];
    for tag in ["a", "b"] {
        let archive = stage.home.path().join("image.tar");
        Image::saying(tag).save(&archive, &stage.image(tag));
        stage.home.docker(docker).args(["load", "-i"]).arg(archive).ok();
    }

    stage.touchmark(&["push", &stage.image("a")]).exits(0);
    let a = stage.registry_has("a");
    stage.touchmark(&["push", "-a", &stage.name]).exits(0).says(":a").says(":b");

    for (tag, digest) in [("a", a), ("b", stage.registry_has("b"))] {
        let verified = stage.touchmark(&["verify", &stage.image(tag)]).exits(0);
        assert_eq!(verified.stdout, format!("{}@{digest}\n", stage.name));
    }
    stage.touchmark(&["push", &stage.image("never-built")]).exits(2).says("never-built");
}

#[test]
fn a_push_that_cannot_be_signed_says_what_is_where() {
    let stage = Stage::set();
    let image = Image::saying("half way");
    image.lay_out(&stage.layout("layout"), "1.0");
    stage.touchmark(&["push", &stage.image("first"), "--from", "oci:layout"]).exits(0);

    stage.notary.gate().close();
    let half =
        stage.touchmark(&["--format", "json", "push", &stage.image("half"), "--from", "oci:layout"]).exits(6);
    half.says("PARTLY_PUBLISHED").says(&image.pushed().digest).says("touchmark sign");
    assert_eq!(stage.registry_has("half"), image.pushed().digest);
    stage.notary.gate().open();
    stage.touchmark(&["verify", &stage.image("half")]).exits(1);
    stage.touchmark(&["sign", &stage.image("half")]).exits(0);
    stage.is_signed("half", &image.pushed());
}

#[test]
fn nothing_is_pushed_when_nothing_could_sign_it() {
    let mut stage = Stage::set();
    Image::saying("unsigned").lay_out(&stage.layout("layout"), "1.0");
    stage.daemon.stop();
    stage.touchmark(&["push", &stage.image("x"), "--from", "oci:layout"]).exits(3).says("touchmarkd");
    stage.touchmark(&["verify", &stage.image("x")]).exits(1).says("trust data");
    assert_eq!(stage.registry_serves("x"), None);

    let plain = ["push", &stage.image("x"), "--from", "oci:layout", "--disable-content-trust"];
    stage.touchmark(&plain).exits(0).says("content trust is off");
    assert_eq!(stage.registry_has("x"), Image::saying("unsigned").pushed().digest);
    stage.touchmark(&["verify", &stage.image("x")]).exits(1);
}

#[test]
fn sources_that_are_none_are_refused_before_anything_is_sent() {
    let stage = Stage::set();
    for (from, wanted) in [
        ("oci:nowhere", "nowhere"),
        ("docker-archive:nowhere.tar", "nowhere.tar"),
        ("tarball:x", "--from engine"),
    ] {
        stage.touchmark(&["push", &stage.image("x"), "--from", from]).exits(2).says(wanted);
    }
}
