//! What is not there, not allowed, not open or not asked for properly.

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::hostile::{Hostile, Reply};
use hsm_tests::images::Image;
use hsm_tests::registry::{Login, Registry};
use hsm_tests::soak;

use crate::world::{Refusal, World};

#[test]
fn what_is_not_there_is_named_with_a_next_step_and_nothing_changes() {
    let (world, app) = World::with("app");
    let [one, two, nope] = ["1", "2", "nope"].map(|tag| format!("{app}:{tag}"));
    let digest = format!("{app}@sha256:{}", "ab".repeat(32));
    Image::saying("3").lay_out(&world.home.path().join("layout"), "3");
    // Somebody else's repository, in which a key of this daemon means nothing.
    let theirs = world.repository("theirs");
    let mut owner = Home::new();
    owner.use_notary(&world.notary);
    owner.notary(&world.notary).args(["init", &theirs, "-p"]).ok();
    let theirs_1 = format!("{theirs}:1");
    world.push("theirs", "1");
    let ours = world.touchmark(&["key", "create", "targets", &theirs]).ok().stdout;

    let tag_2 = format!("the tag 2 of {app}");
    let dead = "https://localhost:1";
    let missing = world.repository("missing");
    let rows: &[(&[&str], i32, &str, &str, &str)] = &[
        (&["sign", &nope], 2, "TAG_NOT_FOUND", &nope, "touchmark push"),
        (&["verify", &two], 1, "TAG_NOT_SIGNED", &tag_2, "touchmark inspect"),
        (&["verify", &nope], 1, "TAG_NOT_SIGNED", "the tag nope of", "touchmark inspect"),
        (&["verify", &digest, "--any-tag"], 1, "TAG_NOT_SIGNED", "abab", "touchmark inspect"),
        (&["pull", &two, "--to", "oci:out"], 1, "TAG_NOT_SIGNED", &tag_2, "touchmark inspect"),
        (&["revoke", &nope], 1, "TAG_NOT_SIGNED", "nope", "touchmark inspect"),
        (&["verify", &missing], 1, "NO_TRUST_DATA", &missing, "--trust-server"),
        (&["publish", &missing], 1, "NO_TRUST_DATA", &missing, "touchmark init"),
        (&["refresh", &missing], 1, "NO_TRUST_DATA", &missing, "touchmark init"),
        (&["init", &app], 2, "USAGE", &app, "touchmark sign"),
        (&["sign", &theirs_1], 2, "KEY_UNKNOWN", &theirs, "touchmark key"),
        (&["sign", "localhost:1/a/b:1"], 6, "REGISTRY_UNREACHABLE", "localhost:1", "touchmark doctor"),
        (
            &["sign", "registry.invalid/a/b:1"],
            6,
            "REGISTRY_UNREACHABLE",
            "registry.invalid",
            "touchmark doctor",
        ),
        (
            &["push", "localhost:1/a/b:1", "--from", "oci:layout"],
            6,
            "REGISTRY_UNREACHABLE",
            "localhost:1",
            "touchmark",
        ),
        (&["--trust-server", dead, "sign", &two], 6, "TRUST_SERVER_UNREACHABLE", "localhost:1", "touchmark"),
        (
            &["--trust-server", dead, "publish", &app],
            6,
            "TRUST_SERVER_UNREACHABLE",
            "localhost:1",
            "touchmark",
        ),
        (
            &["--trust-server", dead, "revoke", &one],
            6,
            "TRUST_SERVER_UNREACHABLE",
            "localhost:1",
            "touchmark",
        ),
        (
            &["--trust-server", dead, "init", &missing],
            6,
            "TRUST_SERVER_UNREACHABLE",
            "localhost:1",
            "--trust-server",
        ),
        (
            &["--trust-server", dead, "verify", &missing],
            6,
            "TRUST_SERVER_UNREACHABLE",
            "localhost:1",
            "--trust-server",
        ),
        (
            &["--trust-server", "https://notary.invalid", "verify", &missing],
            6,
            "TRUST_SERVER_UNREACHABLE",
            "notary.invalid",
            "--trust-server",
        ),
        (
            &["--trust-server", "http://localhost:1", "verify", &one],
            2,
            "USAGE",
            "http://localhost:1",
            "https",
        ),
        (&["--socket", "/nowhere/s", "sign", &two], 3, "DAEMON_UNREACHABLE", "/nowhere/s", "touchmarkd"),
        (&["key", "export", "ffffffff"], 2, "KEY_UNKNOWN", "ffffffff", "touchmark key ls"),
    ];
    world.touchmark(&["verify", &one]).ok();
    let before = world.picture(&app);
    let mut wrong = Vec::new();
    for (args, code, reason, names, hint) in rows {
        let ran = world.touchmark(&["--format", "json"]).args(*args).run();
        let refusal = Refusal { code: *code, reason, names, hint };
        if std::panic::catch_unwind(|| refusal.is(&ran)).is_err() {
            wrong.push(format!("{args:?} {ran}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    for args in [
        &["key", "import", "nowhere"] as &[&str],
        &["verify", "-f", "nowhere"],
        &["push", &two, "--from", "oci:nowhere"],
    ] {
        drop(world.touchmark(args).run().exits(2).says("nowhere").says("No such file"));
    }
    assert_eq!(world.picture(&app), before);
    assert_eq!(world.tags(&theirs), [""; 0], "{ours} signs nothing there");
    assert!(!world.home.path().join("out").exists());
}

/// It takes until the deadline of a request, so the long form alone does it; `hostile` has the reader's side.
#[test]
fn a_server_that_never_answers_is_given_up_before_anything_is_signed() {
    if !soak::is_on() {
        return soak::say("SKIPPED: servers that never answer: make soak");
    }
    let (world, app) = World::with("app");
    let two = format!("{app}:2");
    let silent = Hostile::tls(&world.ca, |_| Reply::Silence);
    world.home.trust_tls_of(&silent.host(), &world.ca.pem());
    let (there, url) = (format!("{}/a/b:1", silent.host()), format!("https://{}", silent.host()));
    let before = world.picture(&app);
    let registry = world.touchmark(&["--format", "json", "sign", &there]).spawn();
    let notary = world.touchmark(&["--format", "json", "--trust-server", &url, "sign", &two]).spawn();
    let host = silent.host();
    let gone = Refusal { code: 6, reason: "REGISTRY_UNREACHABLE", names: &host, hint: "touchmark doctor" };
    gone.is(&registry.wait());
    Refusal { reason: "TRUST_SERVER_UNREACHABLE", ..gone }.is(&notary.wait());
    assert_eq!(world.picture(&app), before);
}

/// Docker does not check the certificate of a registry on loopback. Touchmark does.
#[test]
fn a_certificate_of_an_unknown_ca_ends_every_command_before_anything_is_signed() {
    let (world, app) = World::with("app");
    let [one, two] = ["1", "2"].map(|tag| format!("{app}:{tag}"));
    let strange = Registry::start_with(Some(&Ca::new()), Login::None);
    Image::saying("3").lay_out(&world.home.path().join("layout"), "3");
    let there = format!("{}/team/app:1", strange.host());
    // The same person on a machine that does not know the CA of the Notary server.
    let mut home = Home::new();
    home.set("DOCKER_CONTENT_TRUST_SERVER", &world.notary.url());
    home.set("TOUCHMARK_SOCKET", world.daemon.socket().to_str().unwrap());
    Image::saying("3").lay_out(&home.path().join("layout"), "3");
    let missing = world.repository("missing");
    let before = world.picture(&app);

    let notary = world.notary.host();
    let folder = |home: &Home, host: &str| {
        home.docker_config().join("tls").join(host).join("ca.crt").display().to_string()
    };
    let ca = folder(&home, &notary);
    let untrusted = Refusal { code: 6, reason: "TLS_UNTRUSTED", names: &notary, hint: &ca };
    for args in [
        &["sign", &two] as &[&str],
        &["publish", &app],
        &["revoke", &one],
        &["refresh", &app, "--all"],
        &["init", &missing],
        &["verify", &one],
        &["inspect", &app],
        &["pull", &one, "--to", "oci:out"],
    ] {
        untrusted.is(&home.touchmark().args(["--format", "json"]).args(args).run());
    }
    let ca = folder(&world.home, &strange.host());
    let untrusted = Refusal { code: 6, reason: "TLS_UNTRUSTED", names: &strange.host(), hint: &ca };
    for args in [&["sign", &there] as &[&str], &["push", &there, "--from", "oci:layout"]] {
        untrusted.is(&world.touchmark(&["--format", "json"]).args(args).run());
    }
    // A tag that is signed, whose image would come from there.
    let gun = there.strip_suffix(":1").unwrap();
    world.touchmark(&["init", gun]).ok();
    let digest = hsm_tests::images::digest(b"{}");
    world.touchmark(&["sign", &there, "--digest", &digest, "--size", "2"]).ok();
    untrusted.is(&world.touchmark(&["--format", "json", "pull", &there, "--to", "oci:out"]).run());
    assert_eq!(world.picture(&app), before);

    // The image gets there, its signature does not: that is said, and what to do about it.
    let three = format!("{app}:3");
    let partly = Refusal {
        code: 6,
        reason: "PARTLY_PUBLISHED",
        names: "is in the registry, its signature is not published",
        hint: "touchmark sign",
    };
    partly.is(&home.touchmark().args(["--format", "json", "push", &three, "--from", "oci:layout"]).run());
    assert_eq!(world.tags(&app), ["1"]);
    world.touchmark(&["sign", &three]).ok();
    assert_eq!(world.tags(&app), ["1", "3"]);
}

#[test]
fn a_locked_vault_and_a_policy_that_says_no_keep_everything_as_it_was() {
    let (world, app) = World::with("app");
    let two = format!("{app}:2");
    Image::saying("3").lay_out(&world.home.path().join("layout"), "3");
    world.touchmark(&["lock"]).ok();
    let before = world.picture(&app);
    let locked = Refusal { code: 4, reason: "VAULT_LOCKED", names: "", hint: "touchmark unlock" };
    for args in [&["sign", &two] as &[&str], &["revoke", &format!("{app}:1")], &["refresh", "--all", &app]] {
        locked.is(&world.touchmark(&["--format", "json"]).args(args).run());
    }
    assert_eq!(world.picture(&app), before);
    let three = format!("{app}:3");
    let locked = Refusal { names: "is in the registry, its signature is not published", ..locked };
    locked.is(&world.touchmark(&["--format", "json", "push", &three, "--from", "oci:layout"]).run());

    // A repository of other people, whose key a daemon holds that may sign versions and nothing else.
    let mut owner = Home::new();
    owner.use_notary(&world.notary);
    let theirs = world.repository("theirs");
    owner.notary(&world.notary).args(["init", &theirs, "-p"]).ok();
    let daemon = Daemon::with_config(|folder, socket| {
        let uid = rustix::process::getuid().as_raw();
        format!(
            "socket = {socket:?}\nstate = {:?}\n[[allow]]\nuser = {user:?}\nrepositories = [\"localhost:*/team/*\"]\n\
             tags = [\"v*\"]\nactions = [\"read\", \"sign\", \"unlock\", \"keys\"]\n",
            folder.join("state"),
            user = user_of(uid)
        )
    });
    let signer =
        |args: &[&str]| world.touchmark(&["--format", "json", "--socket"]).arg(daemon.socket()).args(args);
    signer(&["vault", "init", "--passphrase", "--pin-stdin"]).stdin("correct horse\n").ok();
    let import = signer(&["key", "import", "--pin-stdin"]).arg(owner.trust().join("private"));
    import.stdin(format!("{PASSPHRASE}\n").repeat(4)).ok();
    let sign = |tag: &str| {
        let digest = format!("sha256:{}", "ab".repeat(32));
        signer(&["sign", &format!("{theirs}:{tag}"), "--digest", &digest, "--size", "2"]).run()
    };
    sign("v1").exits(0);
    let ledger = || signer(&["ledger", "show", &theirs]).run().stdout;
    let (before, kept) = (ledger(), world.served(&theirs, "targets.json"));
    let no = Refusal { code: 5, reason: "NOT_ALLOWED", names: "latest", hint: "[[allow]]" };
    no.is(&sign("latest"));
    no.is(&sign("latest").exits(5));
    let revoke = Refusal { names: "revoke", ..no };
    revoke.is(&signer(&["revoke", &format!("{theirs}:v1")]).run());
    assert_eq!((ledger(), world.served(&theirs, "targets.json")), (before, kept));
}

fn user_of(uid: u32) -> String {
    let said = Cli::new(tool("getent")).args(["passwd", &uid.to_string()]).ok().stdout;
    said.split(':').next().unwrap().to_owned()
}

#[test]
fn without_a_terminal_what_would_be_asked_names_its_flag_and_a_bad_pin_is_said() {
    let (world, app) = World::with("app");
    let before = world.picture(&app);
    let alone = |args: &[&str]| {
        let cli = world.home.cli(&tool("setsid")).arg("--wait").arg(shipped("touchmark"));
        cli.args(["--format", "json"]).args(args)
    };
    let keys = world.touchmark(&["--format", "json", "key", "ls"]).ok().json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["role"] == "targets").unwrap();
    let id = key["id"].as_str().unwrap();
    for args in [&["revoke", "--all", &app] as &[&str], &["delete", &app], &["key", "rm", id]] {
        let asked = Refusal { code: 2, reason: "NO_TERMINAL", names: "", hint: "--yes" };
        asked.is(&alone(args).run());
    }
    assert_eq!(world.picture(&app), before);

    let daemon = Daemon::with_config(|folder, socket| {
        format!("socket = {socket:?}\nstate = {:?}\n", folder.join("state"))
    });
    let vault = |cli: Cli, args: &[&str]| cli.arg("--socket").arg(daemon.socket()).args(args);
    let init = ["vault", "init", "--passphrase"];
    let nobody = Refusal {
        code: 2,
        reason: "NO_TERMINAL",
        names: "assphrase is needed",
        hint: "--pin-fd N or --pin-stdin",
    };
    nobody.is(&vault(alone(&[]), &init).run());
    let json = || world.touchmark(&["--format", "json"]);
    let empty =
        Refusal { code: 4, reason: "PIN_REQUIRED", names: "passphrase", hint: "--pin-fd N or --pin-stdin" };
    for stdin in ["", "\n"] {
        empty.is(&vault(json(), &init).arg("--pin-stdin").stdin(stdin).run());
    }
    let closed = Refusal { code: 2, reason: "USAGE", names: "descriptor 9", hint: "--pin-fd" };
    closed.is(&vault(json(), &init).args(["--pin-fd", "9"]).run());
    let none = Refusal { code: 4, reason: "VAULT_MISSING", names: "vault", hint: "touchmark vault init" };
    none.is(&vault(json(), &["unlock"]).run());
    vault(json(), &init).arg("--pin-stdin").stdin("correct horse\n").ok();
    vault(json(), &["lock"]).ok();
    let wrong = Refusal { code: 4, reason: "WRONG_PIN", names: "passphrase", hint: "with the right one" };
    wrong.is(&vault(json(), &["unlock", "--pin-stdin"]).stdin("wrong horse\n").run());
    nobody.is(&vault(alone(&[]), &["unlock"]).run());
}
