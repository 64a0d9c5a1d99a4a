//! Several root keys: how many have to sign, and that every reader goes along when that changes.

use hsm_tests::engine::Engine;
use hsm_tests::soak;

use super::readers::{Readers, everybody};
use super::world::{World, reason};

/// What is typed after `rotate root IMAGE`, and what the root is then: its version, root keys and threshold.
type Step<'a> = (&'a [&'a str], (u64, usize, u64));

#[test]
fn every_reader_follows_every_change_of_the_threshold_also_from_far_behind() {
    let world = World::new();
    let engine = Engine::start();
    let engine = engine.as_ref();
    let [a, b, c] = &world.keys;
    let repository = world.repository("keys", &[a, b]);
    let oldest = Readers::new(&world, engine);
    everybody(&world, engine, &[&oldest], &repository);
    assert_eq!(world.shape(&repository), (1, 2, 1));

    // In the long form everybody reads between all of these steps; in the short one after them.
    let each = soak::rounds(0, 1) > 0;
    let last = Readers::new(&world, engine);
    last.believe(&world, &repository);
    let steps: [Step<'_>; 7] = [
        (&["--threshold", "2"], (2, 2, 2)),
        (&["--add-root", c], (3, 3, 2)),
        (&["--threshold", "3"], (4, 3, 3)),
        (&["--renew"], (5, 3, 3)),
        (&["--threshold", "1", "--remove-root", a], (6, 2, 1)),
        (&["--renew-certificates"], (7, 2, 1)),
        (&["--remove-root", &b[..12], "--add-root", a, "--threshold", "2"], (8, 2, 2)),
    ];
    for (at, (args, shape)) in steps.iter().enumerate() {
        let rotated = world.rotate("root", &repository.name, args).ok();
        assert_eq!(rotated.json()["published"], serde_json::json!(["root"]), "{rotated}");
        assert_eq!(world.shape(&repository), *shape, "{args:?}");
        // Two root keys of three, all three of three, and the last one are always looked at.
        if each || matches!(at, 1 | 2) {
            everybody(&world, engine, &[&last], &repository);
        }
    }
    everybody(&world, engine, &[&last, &oldest], &repository);
    let mut repository = repository;
    world.sign(&mut repository, "two");
    everybody(&world, engine, &[&last, &oldest], &repository);
    world.touchmark(&["audit", "verify"]).ok();
}

/// What is signed for version 2 of a root that wants two keys, with one of its signatures taken away.
#[test]
fn a_root_with_one_signature_of_two_is_taken_by_nobody() {
    let world = World::new();
    let [a, b, _] = &world.keys;
    let repository = world.repository("two", &[a, b]);
    world.rotate("root", &repository.name, &["--threshold", "2"]).ok();
    let front = world.read_only();
    let renew = ["--trust-server", &front.url(), "--renew"];
    let cut = world.rotate("root", &repository.name, &renew).run().exits(6);
    assert_eq!(reason(&cut), "TRUST_SERVER_UNREACHABLE");
    assert_eq!(world.shape(&repository), (2, 2, 2));

    let whole = super::begun::waiting_root(&world, &repository);
    let mut file: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(file["signatures"].as_array().unwrap().len(), 2);
    file["signatures"].as_array_mut().unwrap().pop();
    let text = String::from_utf8(whole.clone()).unwrap();
    let signed = text.split_once("\"signatures\":").unwrap().0;
    let short = format!("{signed}\"signatures\":{}}}", file["signatures"]);
    let refused = world.post(&repository, "root", short.as_bytes());
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(refused.status == 400 && said.contains("INVALID_UPDATE"), "{} {said}", refused.status);
    assert_eq!(world.shape(&repository), (2, 2, 2));
    // The same with both is taken.
    let taken = world.post(&repository, "root", &whole);
    assert_eq!(taken.status, 200, "{}", String::from_utf8_lossy(&taken.body));
    assert_eq!(world.shape(&repository), (3, 2, 2));
    everybody(&world, None, &[], &repository);
    let nothing = world.touchmark(&["publish", &repository.name]).ok().json();
    assert_eq!(nothing["published"], serde_json::json!([]));
}

#[test]
fn the_spare_alone_rotates_the_lost_key_out() {
    let world = World::new();
    let [a, b, c] = &world.keys;
    let repository = world.repository("lost", &[a, b]);
    let old = Readers::new(&world, None);
    old.believe(&world, &repository);
    world.first.pull_out();
    world.home.token_that_is("first", "absent");
    // Either key could sign this; the one that is there does.
    world.rotate("root", &repository.name, &["--add-root", c]).ok().says_nothing_of("on the token first");
    let rotated = world.rotate("root", &repository.name, &["--remove-root", a]).ok();
    assert_eq!(world.shape(&repository), (3, 2, 1), "{rotated}");
    everybody(&world, None, &[&old], &repository);
    world.first.put_back();
    // The lost key counts for nothing any more.
    let unknown = world.rotate("root", &repository.name, &["--remove-root", a]).run().exits(2);
    assert_eq!(reason(&unknown), "KEY_UNKNOWN");
}
