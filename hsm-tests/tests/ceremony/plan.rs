//! Plans are made of what a real trust server has published, and say what they change.

use hsm_tests::ca::Ca;
use hsm_tests::faketime::FakeClock;
use hsm_tests::notary::Notary;
use hsm_tests::soak;
use serde_json::Value;
use touchmark::ceremony::plan::Plan;

use crate::stage::{Desk, Holder, SIGN, alone, count, refused};

const PASSPHRASE: &str = "correct horse";
const IMAGES: [&str; 3] = ["localhost:5000/team/a", "localhost:5000/team/b", "localhost:5000/team/c"];

/// Alice at her workstation: her root key, a vault that is open, and this trust server.
fn workstation(notary: &Notary) -> Holder {
    let mut alice = Holder::new("alice");
    alice.home.use_notary(notary);
    let vault = alice.home.touchmark().args(["vault", "init", "--passphrase", "--pin-stdin"]);
    vault.stdin(format!("{PASSPHRASE}\n")).ok();
    alice
}

#[test]
fn new_repositories_are_planned_signed_and_sealed() {
    let notary = Notary::start(&Ca::new());
    let (alice, desk) = (workstation(&notary), Desk::new());
    let list = desk.file("fleet");
    std::fs::write(&list, format!("# the shop\n{}\n", IMAGES.join("\n"))).unwrap();
    let list = list.to_str().unwrap();
    let key = alice.key_file(&desk, &["--list", list], &[]);
    alice.shim.forget();
    let out = desk.file("p.plan");
    let plan = |more: &[&str]| {
        let cli = alice.home.touchmark().args(["--format", "json", "ceremony", "plan", "--list", list]);
        cli.args(more).arg("--add-root").arg(&key).arg("--out").arg(&out)
    };
    let refused_all = plan(&[]).run();
    refused(&refused_all, 1, "NO_TRUST_DATA", "3 of 3 cannot be planned, so nothing was written");
    assert!(!out.exists());
    let made = plan(&["--create", "--title", "spring"]).ok().json();
    assert_eq!(made["repositories"].as_array().unwrap().len(), 3);
    assert_eq!(made["keys"][0]["label"], "alice");
    assert!(made["warnings"][0].as_str().unwrap().contains("one root key only"), "{made}");
    refused(&plan(&["--create"]).run(), 2, "USAGE", "is there already");
    let (read, _) = Plan::load(&out).unwrap();
    assert!(read.repositories.iter().all(|one| one.server == notary.url() && one.roots.is_empty()));
    assert_eq!(alice.shim.count(SIGN), 0, "a plan signs nothing");

    // Planned again: the tagging keys that were made are taken, not made anew.
    std::fs::rename(&out, desk.file("first.plan")).unwrap();
    plan(&["--create"]).ok();
    let keys = alice.home.touchmark().args(["--format", "json", "key", "ls"]).ok().json();
    let targets = keys["keys"].as_array().unwrap().iter().filter(|key| key["role"] == "targets");
    assert_eq!(targets.count(), 3);

    let transcript = desk.file("alice.transcript");
    alice.sign_in_earnest(&out, &transcript).ok();
    assert_eq!((count(&transcript, "signed"), count(&transcript, "sealed")), (3, 1));
}

#[test]
fn what_is_published_is_the_ground_of_the_next_root() {
    let notary = Notary::start(&Ca::new());
    let (alice, bob, desk) = (workstation(&notary), Holder::new("bob"), Desk::new());
    alice.run(&["init", IMAGES[0], "--root", &alice.key]).ok();
    let key = bob.key_file(&desk, &IMAGES, &[]);
    let plan = |name: &str, images: &[&str], more: &[&str]| {
        let cli = alice.home.touchmark().args(["--format", "json", "ceremony", "plan"]).args(images);
        cli.args(more).arg("--out").arg(desk.file(name))
    };
    let add = ["--add-root", key.to_str().unwrap()];
    let one = &IMAGES[..1];

    let made = plan("add.plan", one, &[&add[..], &["--threshold", "2"]].concat()).ok().json();
    let changes: Vec<&str> = made["repositories"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(changes[0].starts_with("root key bob (") && changes[0].ends_with(" comes in"), "{changes:?}");
    assert!(changes.contains(&"2 of 2 root keys must sign from now on, so far 1"), "{changes:?}");
    let (read, _) = Plan::load(&desk.file("add.plan")).unwrap();
    assert_eq!(read.repositories[0].roots.len(), 1);

    // One of several fails: it is named, and nothing is written.
    let ran = plan("none.plan", &IMAGES, &add).run();
    refused(&ran, 1, "NO_TRUST_DATA", "2 of 3 cannot be planned, so nothing was written");
    assert!(IMAGES[1..].iter().all(|image| ran.stderr.contains(image)), "{ran}");
    let refused_with = |more: &[&str], code, reason, says| {
        refused(&plan("none.plan", one, more).run(), code, reason, says);
    };
    refused_with(&["--create", add[0], add[1]], 2, "USAGE", "has trust data already");
    refused_with(&[], 2, "USAGE", "nothing would change about the root");
    refused_with(&["--threshold", "2"], 2, "USAGE", "2 root keys");
    refused_with(&["--remove-root", &alice.key], 2, "USAGE", "would have no root key left");
    refused_with(&["--remove-root", "00"], 2, "KEY_UNKNOWN", "is no root key of");
    refused_with(&["--add-root", "nobody"], 2, "KEY_UNKNOWN", "and there is no such file");
    refused_with(&["--rehearsal", add[0], add[1]], 5, "REHEARSAL_ONLY", "is in earnest");
    assert!(!desk.file("none.plan").exists());

    // A new expiry; another tagging key, made once; and both machines sign.
    plan("renew.plan", one, &["--renew"]).ok();
    let rotated = plan("targets.plan", one, &["--rotate-targets"]).ok().json();
    let lines = rotated["repositories"][0]["changes"].to_string();
    assert!(lines.contains("another tagging key") && lines.contains("signed anew"), "{lines}");
    let missing =
        alice.sign_in_earnest(&desk.file("add.plan"), &desk.file("a")).ok().json()["missing"].clone();
    assert!(missing[0].as_str().unwrap().starts_with("2 of "), "{missing}");
    bob.sign_in_earnest(&desk.file("add.plan"), &desk.file("b")).ok();
    // The other plans have the same version.
    let ran = alice.sign_in_earnest(&desk.file("renew.plan"), &desk.file("c")).run();
    refused(&ran, 5, "VERSION_REUSED", "an earlier plan was signed here");
}

#[test]
fn a_plan_is_shown_in_words_folded_and_in_full_with_its_fingerprint() {
    let fleet = crate::stage::fleet(5);
    let images: Vec<&str> = fleet.iter().map(String::as_str).collect();
    let (alice, desk, plan) = alone(&images);
    let show = |more: &[&str]| desk.home.touchmark().args(["ceremony", "show"]).arg(&plan).args(more).ok();
    let words = desk.touchmark(&["ceremony", "show"]).arg(&plan).ok().json()["fingerprint"].clone();
    let folded = show(&[]).says(words.as_str().unwrap()).says("REHEARSAL").says("5 repositories: ");
    folded.says_nothing_of("fleet/r4").says("signs 5 repositories").says(&crate::stage::fingerprint(&plan));
    show(&["--all"]).says("rehearsal.invalid/fleet/r4").says("targets is signed by the key");
    let drawn = show(&["--qr"]).stdout;
    let rows = drawn.lines().filter(|line| line.contains('\u{2588}') || line.contains('\u{2580}'));
    assert!(rows.count() > 12, "{drawn}");
    let out = desk.file("alice.transcript");
    alice.sign(&plan, &out).ok();
    let refused_one = desk.touchmark(&["ceremony", "show"]).arg(&out).run();
    refused(&refused_one, 2, "CEREMONY_INVALID", "is the transcript of one signer");
}

/// The whole road of a fleet, with what each step took. Seconds are demanded nowhere here: the machine says what it can.
#[test]
fn a_fleet_is_planned_and_signed_in_one_go() {
    let fleet = (1..=soak::rounds(12, 500)).map(|one| format!("localhost:5000/fleet/r{one}"));
    let fleet: Vec<String> = fleet.collect();
    let notary = Notary::start(&Ca::new());
    let (alice, desk) = (workstation(&notary), Desk::new());
    let list = desk.file("fleet");
    std::fs::write(&list, fleet.join("\n")).unwrap();
    let list = list.to_str().unwrap();
    let mut began = std::time::Instant::now();
    let mut took = |what: &str| {
        soak::say(&format!("{} repositories, {what}: {:.1} s", fleet.len(), began.elapsed().as_secs_f64()));
        began = std::time::Instant::now();
    };
    let key = alice.key_file(&desk, &["--list", list], &[]);
    took("certificates");
    let out = desk.file("p.plan");
    let cli =
        alice.home.touchmark().args(["--format", "json", "ceremony", "plan", "--create", "--list", list]);
    let made = cli.arg("--add-root").arg(&key).arg("--out").arg(&out).ok().json();
    took("plan");
    assert_eq!(made["keys"][0]["repositories"], Value::from(fleet.len()));
    let transcript = desk.file("alice.transcript");
    alice.sign_in_earnest(&out, &transcript).ok();
    took("sign");
    assert_eq!(count(&transcript, "signed"), fleet.len());
    let again = desk.touchmark(&["ceremony", "show"]).arg(&out).ok().json();
    took("show");
    assert_eq!(again["repositories"].as_array().unwrap().len(), fleet.len());
}

/// What has ended is what a new root is for: the published roots are taken as far as they verify, and that is said.
#[test]
fn a_repository_whose_trust_data_has_ended_can_be_planned() {
    let notary = Notary::start(&Ca::new());
    let (alice, desk) = (workstation(&notary), Desk::new());
    alice.run(&["init", IMAGES[0], "--root", &alice.key]).ok();
    let clock = FakeClock::new();
    clock.ahead_by(5 * 365);
    let out = desk.file("p.plan");
    let cli = alice.home.touchmark().args(["ceremony", "plan", IMAGES[0], "--renew", "--out"]).arg(&out);
    let cli = clock.variables().iter().fold(cli, |cli, (name, value)| cli.env(name, value));
    cli.ok().says("its roots are taken all the same, as far as they verify").says("root version 2");
    let (plan, _) = Plan::load(&out).unwrap();
    assert_eq!(plan.repositories[0].roots.len(), 1);
}

/// A second rehearsal rotates what the first one made, as if that had been published.
#[test]
fn a_rehearsal_goes_on_from_the_record_of_an_earlier_one() {
    let (alice, desk, plan) = alone(&["rehearsal.invalid/team/one"]);
    let (out, record) = (desk.file("alice.transcript"), desk.file("first.ceremony"));
    alice.sign(&plan, &out).ok();
    desk.touchmark(&["ceremony", "merge"]).args([&plan, &out]).arg("--out").arg(&record).ok();
    let bob = Holder::new("bob");
    let images = ["rehearsal.invalid/team/one"];
    let key = bob.key_file(&desk, &images, &["--rehearsal"]);
    let more = ["--rotate-targets", "--known", desk.file("alice.key").to_str().unwrap(), "--from"]
        .map(str::to_owned);
    let more: Vec<&str> = more.iter().map(String::as_str).chain([record.to_str().unwrap()]).collect();
    let next = desk.plan("next.plan", &images, &[&key], &more);
    let shown = desk.touchmark(&["ceremony", "show"]).arg(&next).ok();
    shown.says("root version 2").says("another tagging key");
    assert_eq!(alice.sign(&next, &desk.file("a")).ok().json()["missing"], Value::Array(Vec::new()));
    bob.sign(&next, &desk.file("b")).ok();
    let other = desk.touchmark(&[
        "ceremony",
        "plan",
        "--rehearsal",
        "rehearsal.invalid/team/two",
        "--renew",
        "--out",
    ]);
    let other = other.arg(desk.file("none")).arg("--from").arg(&record).run();
    refused(&other, 1, "NO_TRUST_DATA", "has no complete root of");
}
