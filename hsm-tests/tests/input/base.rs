//! The documents that a new one would be made from: damaged, too old, replayed, overtaken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hsm_tests::cli::{Cli, tool};
use hsm_tests::faketime::FakeClock;
use hsm_tests::front::{Change, Way};
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::soak;

use crate::world::{Refusal, World};

/// A change of the text of a document.
fn text(change: impl Fn(String) -> String + Send + Sync + 'static) -> Change {
    Arc::new(move |body| change(String::from_utf8(body).unwrap()).into_bytes())
}

#[test]
fn damaged_trust_data_is_no_ground_to_read_or_to_sign_on() {
    let (world, app) = World::with("app");
    let signature = || {
        text(|body| {
            let at = body.rfind("\"sig\":\"").unwrap() + 7;
            let other = if body[at..].starts_with('A') { "B" } else { "A" };
            format!("{}{other}{}", &body[..at], &body[at + 1..])
        })
    };
    let invalid = ("TRUST_DATA_INVALID", 1);
    let rows: Vec<(&str, &str, Change, (&str, i32))> = vec![
        ("timestamp", "not JSON", text(|_| "<html>log in</html>".to_owned()), invalid),
        ("timestamp", "empty", text(|_| String::new()), invalid),
        ("timestamp", "cut off", text(|body| body[..body.len() / 2].to_owned()), invalid),
        (
            "timestamp",
            "a field twice",
            text(|body| body.replacen("\"version\":", "\"version\":9,\"version\":", 1)),
            invalid,
        ),
        (
            "timestamp",
            "a field in another case",
            text(|body| body.replacen("{\"signed\":{", "{\"signed\":{\"Version\":9,", 1)),
            invalid,
        ),
        ("timestamp", "oversized", text(|body| body + &" ".repeat(4 << 20)), ("TRUST_SERVER_UNREACHABLE", 6)),
        ("timestamp", "badly signed", signature(), ("SIGNATURE_INVALID", 1)),
        ("snapshot.", "badly signed", signature(), ("HASH_MISMATCH", 1)),
        ("targets.", "cut off", text(|body| body[..body.len() - 1].to_owned()), ("HASH_MISMATCH", 1)),
        ("root", "not JSON", text(|_| "null".to_owned()), invalid),
        ("root", "badly signed", signature(), ("SIGNATURE_INVALID", 1)),
    ];
    let before = world.picture(&app);
    let [one, two] = ["1", "2"].map(|tag| format!("{app}:{tag}"));
    for (role, defect, change, (reason, code)) in rows {
        let name = format!("/_trust/tuf/{role}");
        world.front.rule(move |request| {
            if request.starts_with("GET") && request.contains(&name) {
                Way::Change(Arc::clone(&change))
            } else {
                Way::Pass
            }
        });
        for args in [&["verify", &one] as &[&str], &["sign", &two], &["publish", &app]] {
            // Somebody who has nothing cached yet, so that each document is asked for.
            let folder = world.home.path().join("empty");
            let ran = world.touchmark(&["--format", "json", "--trust-dir"]).arg(&folder).args(args).run();
            soak::say(&format!("{role}: {defect}: {}", args[0]));
            Refusal { code, reason, names: "", hint: "" }.is(&ran);
            assert!(!folder.join("tuf").exists(), "something of it was kept: {ran}");
        }
    }
    assert_eq!(world.picture(&app), before);
}

#[test]
fn expired_trust_data_is_no_ground_to_read_or_to_sign_on() {
    let (world, app) = World::with("app");
    let before = world.picture(&app);
    let expired = Refusal { code: 1, reason: "EXPIRED", names: &app, hint: "touchmark refresh" };
    let later = FakeClock::new();
    later.ahead_by(12_500);
    for args in
        [&["verify", &format!("{app}:1")] as &[&str], &["sign", &format!("{app}:2")], &["publish", &app]]
    {
        // For this command alone.
        let cli = world.home.touchmark();
        let cli = later.variables().iter().fold(cli, |cli, (name, value)| cli.env(name, value));
        expired.is(&cli.args(["--format", "json"]).args(args).run());
    }
    assert_eq!(world.picture(&app), before);
}

/// What a server had at one moment, answered for ever after.
fn replay(world: &World, kept: &Arc<Mutex<BTreeMap<String, Vec<u8>>>>) {
    let kept = Arc::clone(kept);
    world.front.rule(move |request| {
        let name = request.rsplit('/').next().unwrap_or_default().to_owned();
        let kept = kept.lock().unwrap();
        match (request.starts_with("GET"), kept.get(&name).cloned()) {
            (true, Some(body)) => Way::Change(Arc::new(move |_| body.clone())),
            _ => Way::Pass,
        }
    });
}

#[test]
fn a_server_that_went_back_is_told_so_and_what_it_lost_comes_back_when_somebody_says_so() {
    let (world, app) = World::with("app");
    let old: BTreeMap<String, Vec<u8>> = ["root", "timestamp", "snapshot", "targets"]
        .iter()
        .map(|role| (format!("{role}.json"), world.served(&app, &format!("{role}.json"))))
        .collect();
    let named = |role: &str| {
        let file = &old[&format!("{role}.json")];
        let hex = hsm_tests::images::digest(file).replace("sha256:", "");
        (format!("{role}.{hex}.json"), file.clone())
    };
    let all: BTreeMap<_, _> = old.clone().into_iter().chain([named("snapshot"), named("targets")]).collect();
    for tag in ["2", "3"] {
        world.push("app", tag);
        world.touchmark(&["sign", &format!("{app}:{tag}")]).ok();
    }
    let before = world.picture(&app);
    replay(&world, &Arc::new(Mutex::new(all)));
    world.push("app", "4");
    let (four, fresh) = (format!("{app}:4"), world.home.path().join("fresh"));
    let json = || world.touchmark(&["--format", "json"]);
    // Whoever has read the newer one sees it at once.
    let back = Refusal { code: 1, reason: "ROLLBACK", names: &app, hint: "ask the publisher" };
    for args in [["verify", &format!("{app}:1")], ["sign", &four], ["publish", &app]] {
        back.is(&json().args(args).run());
    }
    // Whoever has not learns it from the daemon.
    let back = Refusal { hint: "touchmark publish", ..back };
    back.is(&json().args(["sign", &four, "--trust-dir"]).arg(&fresh).run());
    world.front.pass();
    assert_eq!(world.tags(&app), ["1", "2", "3"]);
    let after = world.picture(&app);
    assert_eq!((&after["ledger"], &after["server targets"]), (&before["ledger"], &before["server targets"]));
}

/// Daemon and server are read at the same time; what the daemon knows must be on the server that is built upon.
#[test]
fn what_was_published_while_the_server_was_read_is_read_again_and_is_no_lost_race() {
    let (world, app) = World::with("app");
    let old = world.served(&app, "timestamp.json");
    world.touchmark(&["sign", &format!("{app}:2")]).ok();
    world.push("app", "3");
    let was_read = AtomicBool::new(false);
    world.front.rule(move |request| {
        let old = old.clone();
        if request.ends_with("/timestamp.json") && !was_read.swap(true, Ordering::SeqCst) {
            return Way::Change(Arc::new(move |_| old.clone()));
        }
        Way::Pass
    });
    // Somebody who has nothing cached yet, so that the old one is no rollback.
    let fresh = world.home.path().join("fresh");
    let sign = world.touchmark(&["sign", &format!("{app}:3"), "--trust-dir"]).arg(fresh);
    drop(sign.ok().says("Successfully signed").says_nothing_of("Others published first"));
    assert_eq!(world.tags(&app), ["1", "2", "3"]);
}

/// A repository that `notary` made and whose targets key the daemon has too.
struct Shared {
    name: String,
    owner: Home,
}

impl Shared {
    fn in_world(world: &World) -> Self {
        let (name, mut owner) = (world.repository("shared"), Home::new());
        owner.use_notary(&world.notary);
        owner.notary(&world.notary).args(["init", &name, "-p"]).ok();
        owner.notary(&world.notary).args(["key", "rotate", &name, "snapshot", "-r"]).ok();
        let import = world.touchmark(&["key", "import", "--pin-stdin"]).arg(owner.trust().join("private"));
        import.stdin(format!("{PASSPHRASE}\n").repeat(4)).ok();
        Self { name, owner }
    }

    fn sign(&self, world: &World, tag: &str) -> Cli {
        let digest = format!("sha256:{}", "cd".repeat(32));
        let sign = world.touchmark(&["--format", "json", "sign", &format!("{}:{tag}", self.name)]);
        sign.args(["--digest", &digest, "--size", "523"])
    }
}

/// Each of two signers publishes when the other does not look.
#[test]
fn a_second_signer_is_built_upon_and_what_it_took_back_stays_gone() {
    let world = World::new();
    let shared = Shared::in_world(&world);
    let app = &shared.name;
    let sign = |tag: &str| shared.sign(&world, tag);
    let notary = |args: &[&str]| shared.owner.notary(&world.notary).args(args).ok();
    let addhash = |tag: &str| notary(&["addhash", app, tag, "523", "--sha256", &"cd".repeat(32), "-p"]);
    let cut = || world.front.rule(|request| if request.starts_with("POST") { Way::Cut } else { Way::Pass });

    sign("one").ok();
    addhash("theirs");
    sign("two").ok();
    assert_eq!(world.tags(app), ["one", "theirs", "two"]);

    // Signed here and cut off; there, the same version is published with another tag.
    cut();
    sign("three").run().exits(6);
    addhash("withdrawn");
    // Signed here on top of theirs, and cut off; there, the tag is taken back.
    sign("four").run().exits(6);
    notary(&["remove", app, "withdrawn", "-p"]);
    world.front.pass();
    let published = world.touchmark(&["--format", "json", "publish", app]).ok().json();
    assert_eq!(published["published"], serde_json::json!(["targets"]));
    assert_eq!(world.tags(app), ["four", "one", "theirs", "three", "two"]);
    world.touchmark(&["publish", app]).ok().says("Nothing to publish");
}

/// The Notary server takes any higher version. Were one left out, somebody's publication in between would be gone.
#[test]
fn what_waits_here_goes_out_before_more_is_signed_so_that_no_version_is_left_out() {
    let (world, app) = World::with("app");
    let version = || {
        let file: serde_json::Value = serde_json::from_slice(&world.served(&app, "targets.json")).unwrap();
        file["signed"]["version"].as_u64().unwrap()
    };
    let first = version();
    world.front.rule(|request| if request.starts_with("POST") { Way::Cut } else { Way::Pass });
    for tag in ["2", "3", "4"] {
        world.push("app", tag);
        world.touchmark(&["sign", &format!("{app}:{tag}")]).run().exits(6);
    }
    world.front.pass();
    world.push("app", "5");
    let signed = world.touchmark(&["--format", "json", "sign", &format!("{app}:5")]).ok().json();
    assert_eq!(signed["signed"][0]["published"], serde_json::json!(["targets"]));
    // What could not be sent was not built upon: 3 and 4 were never signed, and are told so by their exit codes.
    assert_eq!(world.tags(&app), ["1", "2", "5"]);
    for number in first..=version() {
        assert!(
            world.served(&app, &format!("{number}.targets.json")).starts_with(b"{\"signed\""),
            "{number} is left out"
        );
    }
}

/// A backup of the trust server was restored: versions that were published are gone.
#[test]
fn a_restored_server_gets_everything_back_and_whoever_published_meanwhile_loses_nothing() {
    let mut world = World::on_database();
    let shared = Shared::in_world(&world);
    let app = shared.name.clone();
    let version = |world: &World, role: &str| {
        let file: serde_json::Value =
            serde_json::from_slice(&world.served(&app, &format!("{role}.json"))).unwrap();
        file["signed"]["version"].as_u64().unwrap()
    };
    shared.sign(&world, "1").ok();
    let newer = ["targets", "snapshot", "timestamp"]
        .map(|role| format!("(role = '{role}' AND version > {})", version(&world, role)));
    let backup = format!("DELETE FROM notary.tuf_files WHERE {};\n", newer.join(" OR "));
    for tag in ["2", "3"] {
        shared.sign(&world, tag).ok();
    }
    let known = version(&world, "targets");
    world.touchmark(&["publish", &app]).ok();
    world.notary.restore(&backup);
    assert_eq!(world.tags(&app), ["1"]);

    // Whoever has read the newer ones says so, and neither reads nor signs.
    let back = Refusal { code: 1, reason: "ROLLBACK", names: &app, hint: "ask the publisher" };
    back.is(&shared.sign(&world, "4").run());
    // Whoever has not: while what the daemon has is on its way, somebody else publishes one of the lost versions.
    let (arrived, arrival) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (arrived, gone) = (Mutex::new(arrived), Mutex::new(gone));
    world.front.rule(move |request| {
        if request.starts_with("POST") && arrived.lock().unwrap().send(()).is_ok() {
            gone.lock().unwrap().recv().ok(); // only the first one is held
        }
        Way::Pass
    });
    let trust = world.home.path().join("fresh");
    let running = shared.sign(&world, "4").arg("--trust-dir").arg(&trust).spawn();
    arrival.recv().unwrap();
    let mut second = Home::at(hsm_tests::place::Place::at(&shared.owner.path().join("restored")));
    second.use_notary(&world.notary);
    std::fs::create_dir_all(second.trust()).unwrap();
    let copied = Cli::new(tool("cp")).arg("-r").arg(shared.owner.trust().join("private")).arg(second.trust());
    copied.ok();
    let hex = "ab".repeat(32);
    let addhash =
        second.notary(&world.notary).args(["addhash", &app, "meanwhile", "523", "--sha256", &hex, "-p"]);
    addhash.ok();
    assert!(version(&world, "targets") < known, "their version is one of the lost ones");
    drop(go);
    drop(running.wait().exits(0).says("Others published first"));
    assert_eq!(world.tags(&app), ["1", "2", "3", "4", "meanwhile"]);
}
