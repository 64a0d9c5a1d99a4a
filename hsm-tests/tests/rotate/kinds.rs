//! The keys below the root: tagging, snapshot, timestamp. Tags are signed and read before and after.

use hsm_tests::engine::Engine;
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::softhsm::PIN;

use super::readers::{Readers, everybody};
use super::world::World;

#[test]
fn each_kind_of_key_is_rotated_and_every_reader_goes_along() {
    let world = World::new();
    let engine = Engine::start();
    let engine = engine.as_ref();
    let mut repository = world.repository("kinds", &[&world.keys[0]]);
    let old = Readers::new(&world, engine);
    old.believe(&world, &repository);
    let steps: [(&str, &[&str], &[&str]); 6] = [
        ("targets", &[], &["root", "targets"]),
        ("timestamp", &[], &["root"]),
        ("snapshot", &[], &["root"]),
        ("snapshot", &["--to", "vault"], &["root", "snapshot"]),
        ("targets", &[], &["root", "targets", "snapshot"]),
        ("snapshot", &["--to", "server"], &["root"]),
    ];
    for (at, (kind, args, published)) in steps.iter().enumerate() {
        let before = world.listed(&repository, kind);
        let rotated = world.rotate(kind, &repository.name, args).ok();
        assert_eq!(rotated.json()["published"], serde_json::json!(published), "{rotated}");
        assert_ne!(world.listed(&repository, kind), before, "{kind} {args:?}");
        assert_eq!(world.shape(&repository).0, at as u64 + 2);
        everybody(&world, None, &[], &repository);
        world.sign(&mut repository, &format!("after-{at}"));
        everybody(&world, None, &[], &repository);
    }
    // Those who have not read since the first root.
    everybody(&world, engine, &[&old], &repository);
    world.touchmark(&["audit", "verify"]).ok();
}

#[test]
fn a_repository_that_notary_made_is_rotated_by_its_imported_root_key() {
    let world = World::new();
    let name = format!("{}/team/theirs", world.registry.host());
    let mut owner = Home::new();
    owner.use_notary(&world.notary);
    let notary = |args: &[&str]| owner.notary(&world.notary).args(args).ok();
    notary(&["init", &name, "-p"]);
    notary(&["key", "rotate", &name, "snapshot", "-r"]);
    let pushed = world.push("theirs", "one");
    let (size, hash) = (pushed.size.to_string(), pushed.digest["sha256:".len()..].to_owned());
    notary(&["addhash", &name, "one", &size, "--sha256", &hash, "-p"]);
    let mut repository = super::world::Repository { name, pushed, tag: "one".to_owned() };
    let old = Readers::new(&world, None);
    old.believe(&world, &repository);
    for file in std::fs::read_dir(owner.trust().join("private")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains("role: root") {
            continue;
        }
        let import =
            world.home.touchmark().args(["key", "import", "--pin-stdin", "--token", "spare"]).arg(&path);
        import.stdin(format!("{PASSPHRASE}\n{PIN}\n")).ok();
    }
    // The first of our own tags needs a tagging key of our own; its certificate is renewed on the same key.
    world.rotate("targets", &repository.name, &[]).ok();
    world.sign(&mut repository, "two");
    everybody(&world, None, &[&old], &repository);
    world.rotate("root", &repository.name, &["--renew-certificates"]).ok();
    assert_eq!(world.shape(&repository), (4, 1, 1));
    let signatures = world.root(&repository, None).unwrap()["signatures"].as_array().unwrap().len();
    assert_eq!(signatures, 2, "the same key signs under both of its ids");
    everybody(&world, None, &[&old], &repository);
}
