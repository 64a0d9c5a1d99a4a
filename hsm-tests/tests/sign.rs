//! What is signed here, the real trust server publishes and the real `notary` believes; and whatever goes wrong on
//! the way says so by its exit code and costs no signature.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, shipped, tool};
use hsm_tests::daemon::Daemon;
use hsm_tests::front::{Front, Way};
use hsm_tests::home::Home;
use hsm_tests::images::{Image, Pushed, push_index};
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;
use hsm_tests::softhsm::{PIN, SoftHsm};
use hsm_tests::terminal::Terminal;

/// A daemon on dev state, a Notary, a registry, and a person who uses them.
struct World {
    ca: Arc<Ca>,
    _daemon: Daemon,
    notary: Notary,
    registry: Registry,
    home: Home,
}

impl World {
    fn new() -> Self {
        let ca = Arc::new(Ca::new());
        let (notary, registry, daemon) = (Notary::start(&ca), Registry::start(), Daemon::dev());
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { ca, _daemon: daemon, notary, registry, home }
    }

    /// The repository of a test: `localhost:PORT/team/NAME`.
    fn repository(&self, name: &str) -> String {
        format!("{}/team/{name}", self.registry.host())
    }

    fn push(&self, name: &str, tag: &str, text: &str) -> Pushed {
        Image::saying(text).push(&self.registry, &format!("team/{name}"), tag)
    }

    fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(args)
    }

    /// A way to the trust server that cuts each upload off.
    fn read_only(&self) -> Front {
        let front = Front::before(self.notary.url(), Arc::clone(&self.ca));
        front.rule(|request| if request.starts_with("POST") { Way::Cut } else { Way::Pass });
        self.home.trust_tls_of(&front.host(), &self.ca.pem());
        front
    }

    /// `notary list` as lines of tag, digest, size, role; as somebody who knows nothing yet.
    fn listed(&self, repository: &str) -> Vec<[String; 4]> {
        let mut judge = Home::new();
        judge.use_notary(&self.notary);
        let list = judge.notary(&self.notary).args(["list", repository]).ok().stdout;
        let rows =
            list.lines().filter(|line| line.split_whitespace().count() == 4 && !line.starts_with("NAME"));
        let words = rows.map(|row| row.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>());
        words
            .map(|row| row.try_into().unwrap())
            .filter(|row: &[String; 4]| !row[0].starts_with('-'))
            .collect()
    }

    fn tags(&self, repository: &str) -> Vec<String> {
        self.listed(repository).into_iter().map(|[tag, ..]| tag).collect()
    }
}

fn reason(ran: &Ran) -> String {
    let last = ran.stderr.lines().last().unwrap_or_default();
    let error: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}\n{ran}"));
    error["error"]["reason"].as_str().unwrap_or_else(|| panic!("no reason\n{ran}")).to_owned()
}

#[test]
fn a_signed_tag_is_believed_by_every_judge() {
    let world = World::new();
    let repository = world.repository("app");
    let image = world.push("app", "1.0", "hello");
    world.touchmark(&["init", &repository]).ok().says(&format!("Finished initializing \"{repository}\""));
    let tag = format!("{repository}:1.0");
    world.touchmark(&["sign", &tag]).ok().says(&format!("Successfully signed {tag}"));

    let hex = image.digest.strip_prefix("sha256:").unwrap().to_owned();
    let row = ["1.0".to_owned(), hex.clone(), image.size.to_string(), "targets".to_owned()];
    assert_eq!(world.listed(&repository), [row]);
    let mut judge = Home::new();
    judge.use_notary(&world.notary);
    judge.notary(&world.notary).args(["lookup", &repository, "1.0"]).ok().says(&hex);
    let verified = world.touchmark(&["verify", &tag]).ok();
    assert_eq!(verified.stdout.trim_end(), format!("{repository}@{}", image.digest));

    // The same again signs nothing anew.
    let rows = |world: &World| world.touchmark(&["--format", "json", "ledger", "show"]).ok().json();
    let before = rows(&world);
    world.touchmark(&["sign", &tag]).ok().says("Successfully signed");
    assert_eq!(rows(&world), before);

    // A moved tag, and a multi-arch index beside it, in one document.
    let moved = world.push("app", "1.0", "hello again");
    let images = [Image::saying_on("multi", "amd64"), Image::saying_on("multi", "arm64")];
    let index = push_index(&world.registry, "team/app", "multi", &images);
    world.touchmark(&["sign", &tag, &format!("{repository}:multi")]).ok();
    let listed = world.listed(&repository);
    let digests: Vec<_> = listed.iter().map(|row| (row[0].as_str(), format!("sha256:{}", row[1]))).collect();
    assert_eq!(digests, [("1.0", moved.digest), ("multi", index.digest)]);
    world.touchmark(&["audit", "verify"]).ok().says("unbroken");
}

#[test]
fn a_digest_is_signed_without_asking_the_registry() {
    let world = World::new();
    let repository = format!("{}/nowhere", world.repository("x"));
    world.touchmark(&["init", &repository]).ok();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let tag = format!("{repository}:7");
    world.touchmark(&["sign", &tag, "--digest", &digest, "--size", "523"]).ok();
    assert_eq!(world.listed(&repository)[0][1..3], ["ab".repeat(32), "523".to_owned()]);
}

#[test]
fn a_revoked_tag_is_gone_and_nothing_else() {
    let world = World::new();
    let repository = world.repository("app");
    world.touchmark(&["init", &repository]).ok();
    let tags: Vec<String> = ["1", "2", "3"].iter().map(|tag| format!("{repository}:{tag}")).collect();
    for tag in ["1", "2", "3"] {
        world.push("app", tag, tag);
    }
    world.home.touchmark().arg("sign").args(&tags).ok();
    world.touchmark(&["revoke", &tags[1]]).ok().says("Successfully revoked");
    assert_eq!(world.tags(&repository), ["1", "3"]);
    let again = world.touchmark(&["--format", "json", "revoke", &tags[1]]).run().exits(1);
    assert_eq!(reason(&again), "TAG_NOT_SIGNED");
    // Without a terminal nobody says yes.
    let asked = alone(&world.home, &["--format", "json", "revoke", "--all", &repository]).run().exits(2);
    assert_eq!(reason(&asked), "NO_TERMINAL");
    assert_eq!(world.tags(&repository), ["1", "3"]);
    world.touchmark(&["revoke", "--all", &repository, "--yes"]).ok();
    assert_eq!(world.tags(&repository), Vec::<String>::new());
    world.touchmark(&["delete", &repository, "--yes"]).ok();
    let gone = world.touchmark(&["--format", "json", "sign", &tags[0]]).run().exits(1);
    assert_eq!(reason(&gone), "NO_TRUST_DATA");
    world.touchmark(&["init", &repository]).ok();
    world.touchmark(&["sign", &tags[0]]).ok();
    assert_eq!(world.tags(&repository), ["1"]);
}

#[test]
fn many_at_once_all_get_through() {
    let world = World::new();
    let repository = world.repository("busy");
    world.touchmark(&["init", &repository]).ok();
    let tags = ["a", "b", "c", "d"];
    for tag in tags {
        world.push("busy", tag, tag);
    }
    let running: Vec<_> =
        tags.iter().map(|tag| world.touchmark(&["sign", &format!("{repository}:{tag}")]).spawn()).collect();
    for one in running {
        drop(one.wait().exits(0));
    }
    assert_eq!(world.tags(&repository), tags);
}

/// The layout that Docker gives a repository with signers: the signer's own role and `targets/releases`.
#[test]
fn a_signer_with_a_delegation_signs_in_every_role_of_the_key() {
    let world = World::new();
    let repository = world.repository("delegated");
    let mut owner = Home::new();
    owner.use_notary(&world.notary);
    let notary = |args: &[&str]| owner.notary(&world.notary).args(args).ok();
    notary(&["init", &repository, "-p"]);
    notary(&["key", "rotate", &repository, "snapshot", "-r"]);
    let id =
        world.touchmark(&["key", "create", "delegation", "alice", &repository]).ok().stdout.trim().to_owned();
    let public = owner.path().join("alice.pem");
    std::fs::write(&public, world.touchmark(&["key", "export", &id]).ok().stdout).unwrap();
    for role in ["targets/alice", "targets/releases"] {
        notary(&["delegation", "add", &repository, role, public.to_str().unwrap(), "--all-paths", "-p"]);
    }
    let image = world.push("delegated", "1", "one");
    world.push("delegated", "2", "two");
    let [one, two] = ["1", "2"].map(|tag| format!("{repository}:{tag}"));
    world.touchmark(&["sign", &one]).ok();
    world.touchmark(&["sign", &two]).ok();
    // `notary list` shows a tag once, so each role is asked for by itself.
    let tags_in = |role: &str| {
        let list = notary(&["list", &repository, "-r", role]).stdout;
        let rows =
            list.lines().map(|line| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row.len() == 4 && row[3] == role).map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    for role in ["targets/alice", "targets/releases"] {
        assert_eq!(tags_in(role), ["1", "2"], "{role}");
    }
    let verified = world.touchmark(&["verify", &one]).ok();
    assert_eq!(verified.stdout.trim_end(), format!("{repository}@{}", image.digest));
    world.touchmark(&["revoke", &one]).ok();
    for role in ["targets/alice", "targets/releases"] {
        assert_eq!(tags_in(role), ["2"], "{role}");
    }
}

#[test]
fn a_signature_that_could_not_be_sent_is_published_later() {
    let world = World::new();
    let repository = world.repository("cut");
    world.touchmark(&["init", &repository]).ok();
    let front = world.read_only();
    let cut_off = |tag: &str| {
        let args =
            ["--trust-server", &front.url(), "--format", "json", "sign", &format!("{repository}:{tag}")];
        world.touchmark(&args).run().exits(6)
    };
    let image = world.push("cut", "1", "one");
    let ran = cut_off("1");
    assert_eq!(reason(&ran), "TRUST_SERVER_UNREACHABLE");
    drop(ran.says("signed, but not seen published").says(&format!("touchmark publish {repository}")));
    assert_eq!(front.count("POST"), 1, "the upload was tried");
    assert_eq!(world.tags(&repository), Vec::<String>::new());

    let versions = |world: &World| {
        let ledger = world.touchmark(&["--format", "json", "ledger", "show", &repository]).ok().json();
        ledger["entries"].as_array().unwrap().len()
    };
    let signed = versions(&world);
    world.touchmark(&["publish", &repository]).ok().says("Published targets");
    assert_eq!(versions(&world), signed, "nothing was signed anew");
    assert_eq!(world.listed(&repository)[0][1], image.digest["sha256:".len()..]);
    world.touchmark(&["publish", &repository]).ok().says("Nothing to publish");

    // What was cut off is built upon by the next signature; and what others published in between stays.
    world.push("cut", "2", "two");
    world.push("cut", "3", "three");
    cut_off("2");
    world.touchmark(&["sign", &format!("{repository}:3")]).ok();
    assert_eq!(world.tags(&repository), ["1", "2", "3"]);
}

#[test]
fn an_initialisation_that_could_not_be_sent_is_finished_later() {
    let world = World::new();
    let repository = world.repository("late");
    let front = world.read_only();
    world.touchmark(&["--trust-server", &front.url(), "init", &repository]).run().exits(6);
    world.push("late", "1", "one");
    world.touchmark(&["sign", &format!("{repository}:1")]).ok();
    assert_eq!(world.tags(&repository), ["1"]);
}

#[test]
fn a_snapshot_key_in_the_vault_signs_every_publication() {
    let world = World::new();
    let repository = world.repository("own");
    world.touchmark(&["init", &repository, "--snapshot", "vault"]).ok();
    for tag in ["1", "2"] {
        world.push("own", tag, tag);
        world.touchmark(&["sign", &format!("{repository}:{tag}")]).ok();
    }
    assert_eq!(world.tags(&repository), ["1", "2"]);
    world.touchmark(&["refresh", "--all", &repository]).ok().says("Refreshed");
    assert_eq!(world.tags(&repository), ["1", "2"]);
}

#[test]
fn a_locked_vault_signs_nothing_until_it_is_opened() {
    let world = World::new();
    let repository = world.repository("app");
    world.touchmark(&["init", &repository]).ok();
    world.push("app", "1", "one");
    let tag = format!("{repository}:1");
    world.touchmark(&["lock"]).ok();
    let refused = world.touchmark(&["--format", "json", "sign", &tag]).run().exits(4);
    assert_eq!(reason(&refused), "VAULT_LOCKED");
    assert_eq!(world.tags(&repository), Vec::<String>::new());
    world.touchmark(&["unlock"]).ok().says("open");
    world.touchmark(&["sign", &tag]).ok();
    assert_eq!(world.tags(&repository), ["1"]);
}

/// A daemon without tokens whose vault opens by a passphrase.
fn passphrase_daemon() -> (Daemon, Home) {
    let daemon = Daemon::with_config(|folder, socket| {
        format!(
            "socket = {:?}\nstate = {:?}\n",
            socket.to_str().unwrap(),
            folder.join("state").to_str().unwrap()
        )
    });
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
    (daemon, home)
}

/// A daemon with one SoftHSM token whose PIN is asked for.
fn asking_daemon(hsm: &SoftHsm) -> Daemon {
    let environment: Vec<_> =
        hsm.environment().iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    Daemon::with_config(|folder, socket| {
        format!(
            "socket = {socket:?}\nstate = {state:?}\n[[token]]\nname = \"root\"\nkind = \"pkcs11\"\n\
             module = {module:?}\ntoken-label = \"asked\"\npin = \"ask\"\nenv = {{ {environment} }}\n",
            state = folder.join("state"),
            module = SoftHsm::module(),
            environment = environment.join(", "),
        )
    })
}

#[test]
fn one_line_of_a_pin_serves_a_whole_command_and_a_wrong_one_is_sent_once() {
    let world = World::new();
    let hsm = SoftHsm::with_token("asked");
    let daemon = asking_daemon(&hsm);
    let touchmark = |args: &[&str]| world.home.touchmark().arg("--socket").arg(daemon.socket()).args(args);
    let wrong = ["--format", "json", "vault", "init", "--token", "root", "--pin-stdin"];
    let refused = touchmark(&wrong).stdin("1234\n1235\n1236\n").run().exits(4);
    assert_eq!(reason(&refused), "WRONG_PIN");
    assert_eq!(refused.stderr.matches("needs-pin").count(), 1, "{refused}");
    touchmark(&["status"]).ok().says("touchmark vault init --token root");

    let line = format!("{PIN}\n");
    let with_pin = |args: &[&str]| touchmark(args).arg("--pin-stdin").stdin(line.clone()).ok();
    with_pin(&["vault", "init", "--token", "root"]);
    let root = with_pin(&["key", "create", "root", "--token", "root"]).stdout;
    let repository = world.repository("asked");
    with_pin(&["init", &repository, "--root", root.trim()]);
    world.push("asked", "1", "one");
    // Signing wants the vault's key only, which is open.
    touchmark(&["sign", &format!("{repository}:1")]).ok();
    assert_eq!(world.tags(&repository), ["1"]);
    touchmark(&["lock"]).ok();
    let nobody = alone(&world.home, &["--format", "json", "unlock", "--socket"]).arg(daemon.socket());
    assert_eq!(reason(&nobody.run().exits(2)), "NO_TERMINAL");
    with_pin(&["unlock"]);
    touchmark(&["audit", "verify"]).ok().says("unbroken");
}

/// Without a controlling terminal, wherever the test itself runs.
fn alone(home: &Home, args: &[&str]) -> Cli {
    home.cli(&tool("setsid")).arg("--wait").arg(shipped("touchmark")).args(args)
}

#[test]
fn a_passphrase_comes_from_a_descriptor_and_a_wrong_one_is_a_wrong_one() {
    let (_daemon, home) = passphrase_daemon();
    let touchmark = |args: &[&str]| home.touchmark().args(args);
    touchmark(&["status"]).ok().says("touchmark vault init --passphrase");
    let nobody = alone(&home, &["--format", "json", "vault", "init", "--passphrase"]).run().exits(2);
    assert_eq!(reason(&nobody), "NO_TERMINAL");
    drop(nobody.says("--pin-fd"));
    touchmark(&["vault", "init", "--passphrase", "--pin-stdin"]).stdin("correct horse\n").ok().says("open");
    touchmark(&["lock"]).ok();
    let wrong =
        touchmark(&["--format", "json", "unlock", "--pin-stdin"]).stdin("wrong horse\n").run().exits(4);
    assert_eq!(reason(&wrong), "WRONG_PIN");
    touchmark(&["status"]).ok().says("locked").says("touchmark unlock");
    touchmark(&["unlock", "--pin-stdin"]).stdin("correct horse\n").ok().says("open");
    assert_eq!(touchmark(&["--format", "json", "status"]).ok().json()["vault"]["state"], "open");

    // A sealed copy moves to another daemon, and opens there with the same passphrase only.
    let key = touchmark(&["key", "create", "targets", "localhost:5000/a", "--pin-stdin"]);
    let id = key.stdin("correct horse\n").ok().stdout.trim().to_owned();
    let backup = home.path().join("backup");
    touchmark(&["vault", "backup"]).arg(&backup).ok();
    drop(touchmark(&["vault", "backup"]).arg(&backup).run().exits(2).says("exists"));
    let (_other, there) = passphrase_daemon();
    there.touchmark().args(["vault", "restore"]).arg(&backup).ok().says("locked");
    let unlock = |words: &str| there.touchmark().args(["unlock", "--pin-stdin"]).stdin(words);
    drop(unlock("wrong horse\n").run().exits(4));
    unlock("correct horse\n").ok().says("open");
    there.touchmark().args(["--format", "json", "key", "ls"]).ok().says(&id);
}

#[test]
fn what_is_typed_is_not_shown_and_the_terminal_is_left_as_it_was() {
    let (_daemon, home) = passphrase_daemon();
    let touchmark = shipped("touchmark").display().to_string();
    // The shell must outlive the Ctrl-C that goes to both.
    let shell = |args: &str| {
        let line = format!("trap : INT; {touchmark} {args}; echo code=$?; stty -a");
        Terminal::start(&home.cli(&tool("sh")).args(["-c", &line]))
    };
    let is_restored = |shown: &str| shown.contains(" echo ") && !shown.contains("-echo ");

    let mut typed = shell("vault init --passphrase");
    for (prompt, line) in [
        ("New passphrase: ", "correct horse"),
        ("once more: ", "correct hoarse"),
        ("New passphrase: ", "correct horse"),
        ("once more: ", "correct horse"),
    ] {
        typed.wait_for(prompt);
        typed.type_line(line);
    }
    let (_, shown) = typed.end();
    assert!(shown.contains("code=0") && shown.contains("differ"), "{shown}");
    assert!(!shown.contains("horse") && !shown.contains("hoarse") && is_restored(&shown), "{shown}");

    home.touchmark().arg("lock").ok();
    let mut wrong = shell("unlock");
    for line in ["wrong horse", "correct horse"] {
        wrong.wait_for("Passphrase: ");
        wrong.type_line(line);
    }
    let (_, shown) = wrong.end();
    assert!(shown.contains("code=0") && shown.contains("open"), "{shown}");

    home.touchmark().arg("lock").ok();
    let mut withdrawn = shell("unlock");
    withdrawn.wait_for("Passphrase: ");
    withdrawn.type_line("corr\x03");
    let (_, shown) = withdrawn.end();
    assert!(shown.contains("code=130") && is_restored(&shown), "{shown}");
}

#[test]
fn whatever_is_missing_has_its_own_exit_code() {
    let world = World::new();
    let repository = world.repository("app");
    let tag = format!("{repository}:1");
    let json = |args: &[&str], code: i32| {
        let ran = world.touchmark(&[&["--format", "json"], args].concat()).run().exits(code);
        assert_eq!(ran.stdout, "", "{ran}");
        reason(&ran)
    };
    assert_eq!(json(&["sign", &tag], 2), "TAG_NOT_FOUND");
    assert_eq!(json(&["sign", &repository], 2), "USAGE");
    world.push("app", "1", "one");
    assert_eq!(json(&["sign", &tag], 1), "NO_TRUST_DATA");
    assert_eq!(json(&["--socket", "/nowhere/s", "sign", &tag], 3), "DAEMON_UNREACHABLE");
    assert_eq!(json(&["init", &repository, "--root", "ffffffff"], 2), "KEY_UNKNOWN");
    assert_eq!(json(&["token", "info", "nobody"], 2), "TOKEN_UNKNOWN");
    assert_eq!(json(&["sign", "localhost:1/team/app:1"], 6), "REGISTRY_UNREACHABLE");
    // Dev state is for this machine only.
    assert_eq!(json(&["--trust-server", "https://192.0.2.1", "sign", &tag], 5), "POLICY_REFUSED");
    world.touchmark(&["init", &repository]).ok();
    world.notary.gate().close();
    assert_eq!(json(&["sign", &tag], 6), "TRUST_SERVER_UNREACHABLE");
    world.notary.gate().open();
    world.touchmark(&["sign", &tag]).ok();
}

#[test]
fn the_doctor_names_nobody() {
    let world = World::new();
    let repository = world.repository("secret-project");
    let ran = world.touchmark(&["doctor", &format!("{repository}:1")]).run();
    let ran = ran.says("daemon").says("memlock").says("registry").says("notary");
    let host = world.registry.host();
    drop(
        ran.says_nothing_of("secret-project")
            .says_nothing_of(&host)
            .says_nothing_of(world.home.path().to_str().unwrap()),
    );
}
