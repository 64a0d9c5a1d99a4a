//! What `notary` and Docker signed, Touchmark reads: the reader alone, no daemon anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hsm_tests::ca::Ca;
use hsm_tests::cli::Ran;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::{Image, Pushed, push_index};
use hsm_tests::notary::Notary;
use hsm_tests::registry::{Login, PASSWORD, Registry, USER};

/// A registry with `icho/alpine`, tags `one`, `both` (an index) and `unsigned`; `notary` has signed the first two.
struct Stage {
    notary: Notary,
    registry: Registry,
    reader: Home,
    one: Pushed,
    both: Pushed,
}

impl Stage {
    fn set() -> Self {
        Self::set_with(Notary::start(&Ca::new()), Registry::start())
    }

    fn set_with(notary: Notary, registry: Registry) -> Self {
        let [mut signer, mut reader] = [Home::new(), Home::new()];
        signer.use_notary(&notary);
        reader.use_notary(&notary);
        let images = [Image::saying("one"), Image::saying_on("one", "arm64")];
        let one = images[0].push(&registry, "icho/alpine", "one");
        let both = push_index(&registry, "icho/alpine", "both", &images);
        Image::saying("unsigned").push(&registry, "icho/alpine", "unsigned");
        let stage = Self { notary, registry, reader, one, both };
        let sign = |tag: &str, pushed: &Pushed| {
            let (size, hash) = (pushed.size.to_string(), pushed.digest.replace("sha256:", ""));
            let addhash = signer.notary(&stage.notary).args(["addhash", &stage.name(), tag, &size]);
            addhash.args(["--sha256", &hash, "-p"]).ok();
        };
        signer.notary(&stage.notary).args(["init", &stage.name()]).ok();
        sign("one", &stage.one);
        sign("both", &stage.both);
        stage
    }

    fn name(&self) -> String {
        format!("{}/icho/alpine", self.registry.host())
    }

    fn image(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name())
    }

    fn touchmark(&self, args: &[&str]) -> Ran {
        self.reader.touchmark().args(args).run()
    }
}

#[test]
fn verify_prints_the_signed_digest_alone() {
    let stage = Stage::set();
    for (tag, pushed) in [("one", &stage.one), ("both", &stage.both)] {
        let verified = stage.touchmark(&["verify", &stage.image(tag)]).exits(0);
        assert_eq!(verified.stdout, format!("{}@{}\n", stage.name(), pushed.digest));
    }
    let any = format!("{}@{}", stage.name(), stage.one.digest);
    stage.touchmark(&["verify", "--any-tag", &any]).exits(0);
}

#[test]
fn the_answer_is_no_for_what_nobody_signed() {
    let stage = Stage::set();
    let unsigned = stage.image("unsigned");
    let no = |args: &[&str]| stage.touchmark(&[&["--format", "json"], args].concat()).exits(1);
    no(&["verify", &unsigned]).says("TAG_NOT_SIGNED");
    no(&["pull", &unsigned, "--to", "oci:pulled"]).says("TAG_NOT_SIGNED");
    no(&["verify", &format!("{}/icho/other:one", stage.registry.host())]).says("NO_TRUST_DATA");
    assert!(!stage.reader.path().join("pulled").exists(), "nothing of it is written");
}

#[test]
fn a_signed_image_is_pulled_into_an_oci_layout() {
    let stage = Stage::set();
    let layout = stage.reader.path().join("layout");
    let to = format!("oci:{}", layout.display());
    let pulled = stage.touchmark(&["pull", &stage.image("both"), "--to", &to]).exits(0);
    pulled.says(&format!("Pull (1 of 1): {}@{}", stage.image("both"), stage.both.digest));
    let blob = layout.join("blobs/sha256").join(stage.both.digest.replace("sha256:", ""));
    assert_eq!(std::fs::read(blob).unwrap().len(), stage.both.size);
}

#[test]
fn inspect_shows_tags_and_keys() {
    let stage = Stage::set();
    let shown = stage.touchmark(&["--format", "json", "inspect", &stage.name()]).exits(0);
    shown.says("both").says(&stage.one.digest.replace("sha256:", "")).says_nothing_of("unsigned");
}

#[test]
fn an_outage_is_said_and_the_cache_stays_as_it_was() {
    let stage = Stage::set();
    stage.notary.gate().close();
    let unreachable = stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(6);
    unreachable.says("TRUST_SERVER_UNREACHABLE").says(&stage.notary.host());
    stage.notary.gate().open();
    stage.touchmark(&["verify", &stage.image("one")]).exits(0);
}

#[test]
fn a_server_that_another_ca_vouches_for_is_not_asked() {
    let stage = Stage::set();
    stage.reader.trust_tls_of(&stage.notary.host(), &Ca::new().pem());
    let refused = stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(6);
    refused.says("TLS_UNTRUSTED");
}

#[test]
fn touchmark_and_notary_share_one_trust_directory() {
    let stage = Stage::set();
    stage.touchmark(&["verify", &stage.image("one")]).exits(0).says("first use");
    let lookup = || stage.reader.notary(&stage.notary).args(["lookup", &stage.name(), "one"]);
    lookup().ok().says(&stage.one.digest.replace("sha256:", ""));
    stage.touchmark(&["verify", &stage.image("one")]).exits(0).says_nothing_of("first use");
}

#[test]
fn a_root_that_is_not_the_pinned_one_is_refused() {
    let stage = Stage::set();
    let pin = |root: &str| stage.touchmark(&["trust", "pin", &stage.name(), "--root", root]).exits(0);
    pin(&"0".repeat(64));
    let refused = stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(1);
    refused.says("PIN_MISMATCH");

    let mut other = Home::new();
    other.use_notary(&stage.notary);
    let shown = other.touchmark().args(["--format", "json", "inspect", &stage.name()]).ok().json();
    let keys = shown["AdministrativeKeys"].as_array().unwrap();
    let root = keys.iter().find(|key| key["Name"] == "Root").unwrap()["Keys"][0]["ID"].as_str().unwrap();
    pin(root);
    stage.touchmark(&["verify", &stage.image("one")]).exits(0).says_nothing_of("first use");
}

#[test]
fn without_a_daemon_signing_says_so_and_reading_goes_on() {
    let stage = Stage::set();
    let socket = stage.reader.path().join("none.sock");
    let sign = ["--format", "json", "--socket", socket.to_str().unwrap(), "sign", &stage.image("one")];
    stage.touchmark(&sign).exits(3).says("DAEMON_UNREACHABLE");
    stage.touchmark(&["verify", &stage.image("one")]).exits(0);
}

#[test]
fn a_signed_image_is_pulled_into_the_engine_by_digest_and_tagged() {
    let Some(engine) = Engine::start() else { return };
    let mut stage = Stage::set();
    stage.reader.set("DOCKER_HOST", &engine.host());
    let docker = Docker::all().remove(0);
    let id_of = |name: &str| {
        let found =
            stage.reader.docker(&docker).args(["image", "inspect", "-f", "{{.RepoDigests}}", name]).run();
        (found.code() == Some(0)).then_some(found.stdout)
    };

    stage.touchmark(&["pull", &stage.image("unsigned")]).exits(1).says("not signed");
    assert_eq!(id_of(&stage.image("unsigned")), None);

    let pulled = stage.touchmark(&["pull", &stage.image("one")]).exits(0);
    let digest = format!("{}@{}", stage.name(), stage.one.digest);
    pulled.says(&format!("Pull (1 of 1): {}@{}", stage.image("one"), stage.one.digest));
    let pulled = stage.touchmark(&["pull", "--format", "json", "-a", &stage.name()]).exits(0);
    assert_eq!(pulled.json()["pulled"].as_array().unwrap().len(), 2);
    pulled.says_nothing_of("unsigned");
    assert!(id_of(&stage.image("one")).unwrap().contains(&digest));

    let plain = stage.reader.touchmark().args(["pull", &stage.image("unsigned")]);
    plain.env("DOCKER_CONTENT_TRUST", "0").ok().says("nothing is checked");
    assert!(id_of(&stage.image("unsigned")).is_some());
}

#[test]
fn run_hands_docker_the_digest_and_everything_after_it() {
    let stage = Stage::set();
    let bin = stage.reader.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/echo", bin.join("docker")).unwrap();
    let run = |tag: &str| {
        let run =
            stage.reader.touchmark().env("PATH", &bin).args(["run", "--docker=--rm", &stage.image(tag)]);
        run.args(["--", "cat", "-x"]).run()
    };
    let ran = run("one").exits(0);
    assert_eq!(ran.stdout, format!("run --rm {}@{} cat -x\n", stage.name(), stage.one.digest));
    assert_eq!(run("unsigned").exits(1).stdout, "");
}

#[test]
fn a_registry_with_a_login_gets_what_docker_login_left_and_only_over_tls() {
    let ca = Ca::new();
    let mut stage = Stage::set();
    let pull =
        |stage: &Stage, image: &str| stage.touchmark(&["--format", "json", "pull", image, "--to", "oci:x"]);

    for (registry, secure) in [
        (Registry::start_with(Some(&ca), Login::Basic), true),
        (Registry::start_with(None, Login::Basic), false),
    ] {
        let image = format!("{}/icho/alpine:one", registry.host());
        stage.reader.trust_tls_of(&registry.host(), &ca.pem());
        stage.reader.set("DOCKER_CONTENT_TRUST", "0");
        pull(&stage, &image).exits(6).says("UNAUTHORIZED");

        let auth =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{USER}:{PASSWORD}"));
        let config = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", registry.host());
        std::fs::write(stage.reader.docker_config().join("config.json"), config).unwrap();
        match secure {
            true => pull(&stage, &image).exits(2).says("TAG_NOT_FOUND"), // let in; there is just no such image
            false => pull(&stage, &image).exits(6).says("UNAUTHORIZED").says("plain http"),
        };
    }
}

#[test]
fn a_dockerfile_is_pinned_when_all_its_images_are_signed() {
    let stage = Stage::set();
    let file = stage.reader.path().join("Dockerfile");
    let name = file.to_str().unwrap();
    let text = |tag: &str| format!("FROM {} AS base\nFROM {}\n", stage.image("one"), stage.image(tag));

    std::fs::write(&file, text("unsigned")).unwrap();
    stage.touchmark(&["verify", "-f", name, "--write"]).exits(1).says(&stage.image("unsigned"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text("unsigned"));

    std::fs::write(&file, text("both")).unwrap();
    stage.touchmark(&["verify", "-f", name, "--write"]).exits(0);
    let (one, both) = (&stage.one.digest, &stage.both.digest);
    let wanted = format!("FROM {}@{one} AS base\nFROM {}@{both}\n", stage.image("one"), stage.image("both"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), wanted);
}

#[test]
fn a_root_that_notary_saw_first_is_known_and_another_is_refused_by_both() {
    let stage = Stage::set();
    stage.reader.notary(&stage.notary).args(["lookup", &stage.name(), "one"]).ok();
    stage.touchmark(&["verify", &stage.image("one")]).exits(0).says_nothing_of("first use");

    let mut other = Home::new();
    other.use_notary(&stage.notary);
    other.notary(&stage.notary).args(["delete", &stage.name(), "--remote"]).ok();
    other.notary(&stage.notary).args(["init", &stage.name(), "-p"]).ok();
    stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(1).says("ROOT_CHANGED");
    stage.reader.notary(&stage.notary).args(["lookup", &stage.name(), "one"]).run().fails();

    stage.touchmark(&["trust", "forget", &stage.name()]).exits(0);
    stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(1).says("TAG_NOT_SIGNED");
}

#[test]
fn the_pins_of_a_build_machine_decide() {
    let mut stage = Stage::set();
    let shown = stage.touchmark(&["inspect", "--format", "json", &stage.name()]).exits(0).json();
    let root = shown["AdministrativeKeys"][0]["Keys"][0]["ID"].as_str().unwrap().to_owned();
    stage.touchmark(&["trust", "ls"]).exits(0).says(&stage.name()).says(&root);
    stage.touchmark(&["trust", "forget", &stage.name()]).exits(0);

    let file = stage.reader.path().join("pins");
    stage.reader.set("TOUCHMARK_PINS", file.to_str().unwrap());
    stage.touchmark(&["verify", &stage.image("one")]).exits(2).says("pins");
    std::fs::write(&file, "first-use = \"refuse\"\n").unwrap();
    stage.touchmark(&["--format", "json", "verify", &stage.image("one")]).exits(1).says("PIN_MISMATCH");
    let prefix = format!("{}/*", stage.registry.host());
    std::fs::write(&file, format!("first-use = \"refuse\"\n[roots]\n\"{prefix}\" = [\"{root}\"]\n")).unwrap();
    stage.touchmark(&["verify", &stage.image("one")]).exits(0).says_nothing_of("first use");
}
