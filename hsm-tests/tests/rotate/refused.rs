//! What is not done, and what to type instead. Nothing is signed for it.

use hsm_tests::cli::{shipped, tool};

use super::world::{World, reason};

#[test]
fn wishes_that_do_not_fit_are_refused_before_anything_is_signed() {
    let world = World::new();
    let [a, b, _] = &world.keys;
    let repository = world.repository("wishes", &[a]);
    let name = repository.name.as_str();
    let before = world.touchmark(&["audit", "export"]).ok().stdout.lines().count();
    let refused = |what: &str, args: &[&str], code: i32, wanted: &str, hint: &str| {
        let ran = world.rotate(what, name, args).run().exits(code);
        assert_eq!(reason(&ran), wanted, "{ran}");
        drop(ran.says(hint));
    };
    refused("root", &[], 2, "USAGE", "--renew");
    refused("root", &["--remove-root", a], 2, "USAGE", "--add-root");
    refused("root", &["--threshold", "2"], 2, "USAGE", "at most 1");
    refused("root", &["--add-root", a], 2, "USAGE", "already");
    refused("root", &["--remove-root", b], 2, "KEY_UNKNOWN", &a[..]);
    refused("root", &["--add-root", "ffffffffffff"], 2, "KEY_UNKNOWN", "touchmark key ls");
    let elsewhere = format!("{}/team/nowhere", world.registry.host());
    let nothing = world.rotate("targets", &elsewhere, &[]).run().exits(1);
    assert_eq!(reason(&nothing), "NO_TRUST_DATA");
    let one = world.rotate("targets", &repository.image(), &[]).run().exits(2);
    assert_eq!(reason(&one), "USAGE");
    // Nobody is there to say yes.
    let alone = world.home.cli(&tool("setsid")).arg("--wait").arg(shipped("touchmark"));
    let asked = alone.args(["--format", "json", "rotate", "targets", name]).run().exits(2);
    assert_eq!(reason(&asked), "NO_TERMINAL");
    drop(asked.says("--yes").says("another tagging key"));
    assert_eq!(world.touchmark(&["audit", "export"]).ok().stdout.lines().count(), before);
    assert_eq!(world.shape(&repository), (1, 1, 1));
}

#[test]
fn keys_of_other_people_are_named_with_the_plan_that_asks_them() {
    let (theirs, ours) = (World::new(), World::new());
    let repository = theirs.repository("others", &[&theirs.keys[0]]);
    let args = ["rotate", "root", &repository.name, "--add-root", &ours.keys[0], "--yes"];
    let server = theirs.notary.url();
    ours.home.trust_tls_of(&theirs.notary.host(), theirs.notary.ca_pem());
    let ran = ours.touchmark(&[&["--trust-server", &server], &args[..]].concat()).run().exits(2);
    assert_eq!(reason(&ran), "KEY_UNKNOWN");
    drop(ran.says(&theirs.keys[0]).says(&format!(
        "touchmark ceremony plan {} --add-root {} --out FILE",
        repository.name, ours.keys[0]
    )));
}

#[test]
fn what_is_made_up_for_rehearsals_is_published_nowhere() {
    let world = World::new();
    let made_up = "rehearsal.invalid/team/app";
    let server = world.notary.url();
    for command in [&["init"][..], &["publish"], &["rotate", "targets", "--yes"]] {
        let refused = world.touchmark(&[command, &[made_up, "--trust-server", &server]].concat()).run();
        assert_eq!(reason(&refused.exits(5)), "REHEARSAL_ONLY", "{command:?}");
    }
}
