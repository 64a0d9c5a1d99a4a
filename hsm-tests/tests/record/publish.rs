//! What was merged goes to the real Notary: through failures and kills, once each, read back as others read it.

use hsm_tests::faketime::FakeClock;
use hsm_tests::front::Way;
use rustix::process::Signal;
use serde_json::Value;
use touchmark::ceremony::keyholder::KeyFile;

use crate::stage::{count, entries, refused};
use crate::world::{IMAGES, World};

#[test]
fn publishing_goes_on_after_a_failure_and_after_a_kill_half_way() {
    let (world, record) = World::merged();
    let is_web = |line: &str| line.starts_with("POST") && line.contains("/team/web/");
    world.front.rule(move |line| if is_web(line) { Way::Cut } else { Way::Pass });
    let partly = world.publish(&record).run();
    refused(&partly, 6, "PARTLY_PUBLISHED", "1 of 2 repositories are not published");
    let told = partly.json()["repositories"].clone();
    assert_eq!((&told[0]["published"], &told[1]["published"]), (&Value::Bool(true), &Value::Bool(false)));
    for client in ["fresh_client", "old_client"] {
        assert_eq!(told[0][client], "root 2, targets 1", "{told}");
    }
    assert_eq!((count(&record, "published"), count(&record, "failed")), (1, 1));

    // The server takes it, and nobody is there to hear of it.
    world.front.rule(move |line| if is_web(line) { Way::Swallow } else { Way::Pass });
    let running = world.publish(&record).spawn();
    world.front.wait_for("POST /v2/localhost:5000/team/web/", "/");
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code(), None);
    world.front.pass();
    world.publish(&record).ok();
    assert_eq!(world.front.count("POST"), 0, "the server had both");
    assert_eq!(entries(&record).last().unwrap()["published"], 2);

    // By what the server has now, and by copies of it, without a network.
    let asked = world.verify(&record).ok().json();
    assert_eq!(asked["repositories"][1]["compared"], "same", "{asked}");
    let roots = IMAGES.map(|image| world.root(image, "root.json"));
    world.notary.gate().close();
    let offline = |file: &std::path::Path| {
        let cli = world.verify(file);
        roots.iter().fold(cli, |cli, root| cli.arg("--root").arg(root))
    };
    let whole = offline(&record).ok().json();
    assert_eq!(whole["repositories"][0]["compared"], "same", "{whole}");
    let share = world.desk.file("bob.transcript");
    assert_eq!(offline(&share).ok().json()["compared"], 2);
    // Whoever has copies of some roots alone is told of the others, and no script takes that for a yes.
    for (file, compared) in [(&record, "/repositories/0/compared"), (&share, "/compared")] {
        let some = world.verify(file).arg("--root").arg(&roots[0]).run();
        refused(&some, 1, "CEREMONY_INCOMPLETE", "no published root of localhost:5000/team/web is there");
        let expected = if file == &record { Value::from("same") } else { Value::from(1) };
        assert_eq!(some.json().pointer(compared), Some(&expected), "{some}");
    }
    let text = std::fs::read_to_string(&record).unwrap();
    let changed = world.desk.file("changed.ceremony");
    std::fs::write(&changed, text.replacen("\\\"yes\\\"", "\\\"no!\\\"", 1)).unwrap();
    let found = offline(&changed).run();
    refused(&found, 1, "SIGNATURE_INVALID", "entry 3 does not follow entry 2");
    assert_eq!((&found.json()["whole"], &found.json()["entry"]), (&Value::Bool(false), &Value::from(3)));
}

#[test]
fn a_repository_that_has_moved_on_is_told_and_the_others_are_published() {
    let (world, record) = World::merged();
    world.alice.home.touchmark().args(["delete", IMAGES[0], "--yes"]).ok();
    let partly = world.publish(&record).run();
    refused(&partly, 6, "PARTLY_PUBLISHED", "1 of 2");
    let told = partly.json()["repositories"].clone();
    assert_eq!(
        (&told[0]["reason"], &told[1]["published"]),
        (&Value::from("PLAN_OUTDATED"), &Value::Bool(true))
    );
    // Of what is not there nobody can say that it was as the record says.
    let roots = [world.root(IMAGES[1], "root.json"), world.root(IMAGES[1], "1.root.json")];
    let verify = world.verify(&record).arg("--root").arg(&roots[0]).run();
    refused(&verify, 1, "CEREMONY_INCOMPLETE", "no published root of localhost:5000/team/app is there");
    let verify = verify.json();
    let compared = |at: usize| verify["repositories"][at]["compared"].clone();
    assert_eq!((compared(0), compared(1)), (Value::from("not-given"), Value::from("same")));
    let old = world.verify(&record).arg("--root").arg(&roots[1]).run();
    refused(&old, 1, "SIGNATURE_INVALID", "is not published");
}

/// Notary would take it, and then nobody could read the repository any more.
#[test]
fn a_root_that_expired_after_it_was_signed_is_not_sent() {
    let (world, record) = World::merged();
    let before = std::fs::read(&record).unwrap();
    world.front.pass();
    let clock = FakeClock::new();
    clock.ahead_by(11 * 365);
    let publish = world.publish(&record);
    let later = clock.variables().iter().fold(publish, |cli, (name, value)| cli.env(name, value));
    refused(&later.run(), 1, "EXPIRED", "no reader takes the new root of localhost:5000/team/app");
    assert_eq!((world.front.count("POST"), world.front.count("GET")), (0, 0));
    assert_eq!(std::fs::read(&record).unwrap(), before);
    world.publish(&record).ok();
}

/// With the certificates that `ceremony key --renew` brings from where the token is.
#[test]
fn new_certificates_for_the_same_root_key_come_by_a_ceremony() {
    let world = World::set();
    let (alice, desk) = (&world.alice, &world.desk);
    let key = alice.key_file(desk, &IMAGES, &["--renew"]);
    let [plan, record] = ["new.plan", "new.ceremony"].map(|name| desk.file(name));
    let args = ["ceremony", "plan", "--renew-certificates", "--known"];
    desk.touchmark(&args).arg(&key).args(IMAGES).arg("--out").arg(&plan).ok();
    let shown = desk.home.touchmark().args(["ceremony", "show"]).arg(&plan).ok();
    drop(shown.says("root key alice (").says("gets a new certificate"));
    let share = desk.file("new.transcript");
    alice.sign_in_earnest(&plan, &share).ok();
    desk.touchmark(&["ceremony", "merge"]).arg(&plan).arg(&share).arg("--out").arg(&record).ok();
    let told = world.publish(&record).ok().json()["repositories"].clone();
    assert_eq!(
        (&told[0]["fresh_client"], &told[1]["old_client"]),
        (&told[1]["fresh_client"], &told[0]["old_client"])
    );
    assert_eq!(told[0]["old_client"], "root 2, targets 1", "{told}");
    assert_eq!(world.verify(&record).ok().json()["repositories"][1]["compared"], "same");
    let file = KeyFile::load(&key).unwrap();
    for image in IMAGES {
        let listed = |name| listed(&world.root(image, name));
        let new = file.certificate(&image.parse().unwrap()).unwrap().id().to_string();
        assert_eq!(listed("2.root.json"), [new]);
        assert_ne!(listed("1.root.json"), listed("2.root.json"));
    }
}

/// The ids of the root keys in a root file.
fn listed(root: &std::path::Path) -> Vec<String> {
    let root: Value = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
    serde_json::from_value(root["signed"]["roles"]["root"]["keyids"].clone()).unwrap()
}

/// Its tags are signed by the daemon of whoever publishes: nobody was there with a network when the root was signed.
#[test]
fn a_new_repository_comes_with_its_first_targets() {
    let world = World::set();
    let image = "localhost:5000/team/new";
    let (plan, share, record) =
        ["new.plan", "new.transcript", "new.ceremony"].map(|name| world.desk.file(name)).into();
    let args = ["ceremony", "plan", "--create", image, "--add-root", &world.alice.key];
    world.alice.run(&args).arg("--out").arg(&plan).ok();
    world.alice.sign_in_earnest(&plan, &share).ok();
    world.desk.touchmark(&["ceremony", "merge"]).arg(&plan).arg(&share).arg("--out").arg(&record).ok();
    // Without that daemon it cannot be published, and nothing of it is sent.
    let nobody = world.publish(&record).run();
    refused(&nobody, 3, "DAEMON_UNREACHABLE", "touchmarkd");
    assert_eq!(count(&record, "published"), 0);
    let told = world.alice.run(&["ceremony", "publish", "--yes"]).arg(&record).ok().json();
    assert_eq!(told["repositories"][0]["fresh_client"], "root 1, targets 1", "{told}");
    assert_eq!(told["repositories"][0]["old_client"], "none: the repository is new");
    assert_eq!(world.verify(&record).ok().json()["repositories"][0]["compared"], "same");
}
