//! Three keyholders, three places: a repository made by two YubiKeys, then one of them exchanged for a token in software.

use hsm_tests::cli::can_be_offline;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::Image;
use hsm_tests::piv::AttestationCa;
use hsm_tests::registry::Registry;

use crate::keyholder::Keyholder;
use crate::stage::Stage;

/// Somebody who only reads, with Docker and with `notary`.
struct Reader<'a> {
    home: Home,
    engine: &'a Engine,
}

impl<'a> Reader<'a> {
    fn new(stage: &Stage, engine: &'a Engine) -> Self {
        let mut home = Home::new();
        home.use_notary(&stage.notary);
        home.set("DOCKER_HOST", &engine.host());
        Self { home, engine }
    }

    /// Every Docker CLI of this machine pulls the image by its tag, and `notary` lists it.
    fn believes(&self, stage: &Stage, name: &str, tag: &str) {
        let image = format!("{name}:{tag}");
        for docker in Docker::all() {
            self.home.docker(&docker).args(["rmi", "-f", &image]).ok();
            self.home.trusting_docker(&docker).args(["pull", &image]).ok().says("Pull (1 of 1): ");
        }
        self.home.notary(&stage.notary).args(["list", name]).ok().says(tag);
        let _ = self.engine;
    }
}

#[test]
fn two_yubikeys_and_a_token_in_software_make_and_rotate_a_root_and_docker_and_notary_believe_it() {
    if !can_be_offline() {
        return;
    }
    let Some(engine) = Engine::start() else { return };
    let mut stage = Stage::set();
    stage.planner.set("DOCKER_HOST", &engine.host());
    let registry = Registry::start();
    let name = format!("{}/icho/alpine", registry.host());
    let guns = [name.clone()];
    let authority = AttestationCa::new();
    let alice = Keyholder::with_yubikey("alice", 12_345_678, &authority);
    let bob = Keyholder::with_yubikey("bob", 12_345_679, &authority);
    let carol = Keyholder::with_softhsm("carol");

    // A new repository whose root two must sign.
    let keys = [&alice, &bob].map(|holder| holder.introduces(stage.stick(), &guns));
    let create = ["--create", "--add-root", &keys[0], "--add-root", &keys[1], "--threshold", "2", &name];
    let (plan, words) = stage.plans("first.plan", &create);
    let transcripts = [&alice, &bob].map(|holder| {
        let before = holder.card().unwrap().touches_wanted();
        let transcript = holder.signs(&plan, &words);
        assert_eq!(holder.card().unwrap().touches_wanted() - before, 2, "the root, and the transcript");
        transcript
    });
    let merge = ["ceremony", "merge", &plan, &transcripts[0], "--out", &stage.on_stick("half")];
    stage.touchmark(&merge).run().exits(1).says("signatures are missing").says("1 more of bob");
    let first = stage.publishes(&plan, &transcripts);

    let image = |tag: &str| format!("{name}:{tag}");
    let push = |tag: &str| {
        let archive = stage.planner.path().join("image.tar");
        Image::saying(tag).save(&archive, &image(tag));
        stage.planner.docker(&Docker::all().remove(0)).args(["load", "-i"]).arg(&archive).ok();
        stage.touchmark(&["push", &image(tag)]).ok().says("Successfully signed");
    };
    push("v1");
    let old_reader = Reader::new(&stage, &engine);
    old_reader.believes(&stage, &name, "v1");

    // Bob leaves, Carol comes: both of the old ones sign, and both of the new ones.
    let key = carol.introduces(stage.stick(), &guns);
    let change = ["--add-root", &key, "--remove-root", &bob.key, "--rotate-targets", &name];
    let (plan, words) = stage.plans("second.plan", &change);
    let transcripts = [&alice, &bob, &carol].map(|holder| holder.signs(&plan, &words));
    let second = stage.publishes(&plan, &transcripts);
    old_reader.believes(&stage, &name, "v1");
    push("v2");
    old_reader.believes(&stage, &name, "v2");
    Reader::new(&stage, &engine).believes(&stage, &name, "v2");

    // Years later, with nothing but the record and the published root.
    let auditor = Home::new();
    let root = stage.root_of(&old_reader.home, &name).to_str().unwrap().to_owned();
    let verify = ["ceremony", "verify", &second, "--root", &root, "--report", "report.html"];
    auditor.touchmark().args(verify).offline().ok();
    let page = std::fs::read_to_string(auditor.path().join("report.html")).unwrap();
    for told in ["12345678", "12345679", &alice.key[..12], &carol.key[..12], &words] {
        assert!(page.contains(told), "{told} is not on the page");
    }
    // The first one's root has been replaced since: the trust server still has it.
    stage.touchmark(&["ceremony", "verify", &first]).ok();
}

#[test]
fn where_a_ceremony_signs_there_is_no_network() {
    if !can_be_offline() {
        return;
    }
    let devices =
        hsm_tests::cli::Cli::new(hsm_tests::cli::tool("cat")).arg("/proc/net/dev").offline().ok().stdout;
    let names: Vec<&str> =
        devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(names, ["lo"], "{devices}");
    let routes =
        hsm_tests::cli::Cli::new(hsm_tests::cli::tool("cat")).arg("/proc/net/route").offline().ok().stdout;
    assert_eq!(routes.lines().nth(1), None, "{routes}");
}
