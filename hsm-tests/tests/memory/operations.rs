//! Everything that a daemon is asked for, one after the other, with a look into its memory after each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Stdio};

use hsm_tests::images::Image;
use hsm_tests::{scan, soak};
use rustix::process::{Pid, Signal, kill_process};

use crate::left;
use crate::load::Seat;
use crate::stage::Stage;

/// What `openssl` does to make a key file as Docker does.
pub(crate) const ENCRYPTED: [&str; 6] = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"];

/// A vault made, opened, closed, moved; by token and by passphrase.
pub(crate) fn ways_to_open_it(stage: &mut Stage) {
    let [pin, spare] = stage.pins.clone();
    let wrong_pin = stage.word("a wrong PIN");
    stage.is_closed_and_clean("start");
    stage.given(&[&wrong_pin], &["vault", "init", "--token", "root"]).exits(4);
    stage.is_closed_and_clean("vault init with a wrong PIN");
    stage.given(&[&pin], &["vault", "init", "--token", "root"]).exits(0).says("open");
    stage.is_open_and_clean("vault init");
    lock(stage);
    stage.given(&[&wrong_pin], &["unlock"]).exits(4);
    stage.is_closed_and_clean("unlock with a wrong PIN");
    stage.given(&[&pin], &["unlock"]).exits(0).says("open");
    assert_eq!(
        stage.helpers().len(),
        0,
        "the helper that opened the vault has ended, and all helpers with it"
    );
    stage.is_open_and_clean("unlock by a token");

    let first = stage.word("the first passphrase");
    stage.given(&[&first], &["vault", "passphrase"]).exits(0);
    stage.is_open_and_clean("vault passphrase");
    let second = stage.word("the second passphrase");
    stage.given(&[&second], &["vault", "passphrase"]).exits(0);
    stage.is_open_and_clean("vault passphrase, another one");
    stage.given(&[&spare], &["vault", "token", "add", "spare"]).exits(0);
    stage.is_open_and_clean("vault token add");
    stage.touchmark(&["vault", "token", "rm", "root"]).exits(0);
    stage.is_open_and_clean("vault token rm");
    stage.touchmark(&["vault", "token", "rm", "spare"]).exits(0);
    lock(stage);
    let wrong = stage.word("a wrong passphrase");
    for (words, what) in [(&wrong, "a wrong passphrase"), (&first, "a passphrase that was changed")] {
        stage.given(&[words], &["unlock"]).exits(4);
        stage.is_closed_and_clean(&format!("unlock with {what}"));
    }
    stage.given(&[&second], &["unlock"]).exits(0).says("open");
    stage.is_open_and_clean("unlock by a passphrase");
    stage.given(&[&pin], &["vault", "token", "add", "root"]).exits(0);
    stage.is_open_and_clean("vault token add, the one that was removed");
    let copy = stage.home.path().join("vault.backup");
    stage.touchmark(&["vault", "backup", copy.to_str().unwrap()]).exits(0);
    stage.is_open_and_clean("vault backup");
    stage.touchmark(&["vault", "restore", copy.to_str().unwrap()]).fails();
    stage.is_open_and_clean("vault restore, refused");
}

/// Keys brought in, made and removed.
pub(crate) fn keys(stage: &mut Stage) {
    let (targets, other) = (stage.repository("mine"), stage.repository("other"));
    let import = |file: &std::path::Path, role: &str, repository: &str| {
        let path = file.to_str().unwrap().to_owned();
        ["key", "import", &path, "--role", role, "--repository", repository].map(str::to_owned).to_vec()
    };
    let passphrase = stage.word("the passphrase of a key file");
    let wrong = stage.word("a wrong passphrase of a key file");
    for (name, openssl, role) in [
        ("a SEC 1 file", ["ec"].as_slice(), "targets"),
        ("a PKCS 8 file", &["pkcs8", "-topk8", "-nocrypt"], "snapshot"),
        ("a file of Docker", &ENCRYPTED, "alice"),
        ("a file of 2015", &["ec", "-aes256"], "bob"),
    ] {
        let key = stage.key(&format!("the key of {name}"));
        let file = stage.key_file(&name.replace(' ', "-"), &key, openssl, &passphrase);
        let args = import(&file, role, &targets);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if matches!(role, "alice" | "bob") {
            stage.given(&[&wrong], &args).exits(4);
            stage.is_open_and_clean(&format!("key import of {name} with a wrong passphrase"));
        }
        stage.given(&[&passphrase], &args).exits(0);
        std::fs::remove_file(&file).unwrap();
        stage.is_open_and_clean(&format!("key import of {name}"));
    }
    let broken = stage.home.path().join("broken.pem");
    let never = stage.key("a key of a broken file");
    let text = crate::secrets::pem(&never).replace("-----END EC", "-----END RC");
    std::fs::write(&broken, text).unwrap();
    let args = import(&broken, "targets", &targets);
    stage.given(&[], &args.iter().map(String::as_str).collect::<Vec<_>>()).fails();
    std::fs::remove_file(&broken).unwrap();
    stage.is_open_and_clean("key import of a broken file");

    let made = stage.touchmark(&["key", "create", "targets", &other]).exits(0).stdout;
    stage.is_open_and_clean("key create targets");
    stage.touchmark(&["key", "create", "delegation", "carol", &other]).exits(0);
    stage.is_open_and_clean("key create delegation");
    stage.touchmark(&["key", "export", made.trim()]).exits(0).says("PUBLIC KEY");
    stage.touchmark(&["key", "rm", made.trim(), "--yes"]).exits(0);
    stage.is_open_and_clean("key rm");
    lock(stage);
    let pin = stage.pins[0].clone();
    stage.given(&[&pin], &["unlock", "root"]).exits(0);
    stage.is_open_and_clean("unlock with keys of every kind");
}

/// A root key from a file onto a token: from the client through the daemon into the token's helper. Its id.
pub(crate) fn root_key_onto_a_token(stage: &mut Stage) -> String {
    let (key, passphrase) = (stage.key("the root key"), stage.word("the passphrase of the root key"));
    let wrong = stage.word("a wrong passphrase of the root key");
    let file = stage.key_file("root.key", &key, &ENCRYPTED, &passphrase);
    let args = ["key", "import", file.to_str().unwrap(), "--role", "root"];
    stage.given(&[&passphrase], &args).exits(2).says("--token");
    stage.is_open_and_clean("root key import without a token");
    let args = [args.as_slice(), &["--token", "root", "--format", "json"]].concat();
    let pin = stage.pins[0].clone();
    stage.given(&[&wrong, &pin], &args).exits(4);
    stage.is_open_and_clean("root key import with a wrong passphrase");
    let imported = stage.given(&[&passphrase, &pin], &args).exits(0).json();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(stage.helpers().len(), 0, "the helper that saw the key has ended");
    stage.is_open_and_clean("root key import");
    let key = &imported["imported"][0];
    assert_eq!((&key["role"], &key["token"]), (&"root".into(), &"root".into()), "{imported}");
    let list = ["--token-label", "root", "--login", "--pin", &pin, "--list-objects", "--type", "privkey"];
    stage.hsm.pkcs11_tool(&list).says("touchmark root");
    key["id"].as_str().unwrap().to_owned()
}

/// Everything that signs, and what a client reads.
pub(crate) fn signatures(stage: &mut Stage, root: &str) {
    let repository = stage.repository("mine");
    let pin = stage.pins[0].clone();
    stage.given(&[&pin], &["init", &repository, "--root", root, "--snapshot", "vault"]).exits(0);
    stage.is_open_and_clean("init");
    for tag in ["one", "two"] {
        Image::saying(tag).push(&stage.registry, "icho/mine", tag);
    }
    let [one, two] = ["one", "two"].map(|tag| format!("{repository}:{tag}"));
    stage.touchmark(&["sign", &one]).exits(0).says("Successfully signed");
    stage.is_open_and_clean("sign");
    let many: Vec<_> = (0..50).map(|number| format!("many-{number}")).collect();
    many.iter().for_each(|tag| drop(Image::saying("many").push(&stage.registry, "icho/mine", tag)));
    let many: Vec<_> = many.iter().map(|tag| format!("{repository}:{tag}")).collect();
    let many: Vec<_> = ["sign"].into_iter().chain(many.iter().map(String::as_str)).collect();
    stage.touchmark(&many).exits(0);
    stage.is_open_and_clean("sign fifty tags");
    stage.touchmark(&["revoke", &one]).exits(0);
    stage.is_open_and_clean("revoke");
    stage.touchmark(&["refresh", &repository, "--all"]).exits(0);
    stage.is_open_and_clean("refresh");
    with_a_delegation(stage);

    stage.touchmark(&["sign", &format!("{repository}:none")]).fails();
    stage.is_open_and_clean("sign a tag that is not there");
    let elsewhere = format!("{}/else/where", stage.registry.host());
    stage.touchmark(&["key", "create", "targets", &elsewhere]).exits(5);
    stage.is_open_and_clean("a request that policy refuses");
    lock(stage);
    stage.touchmark(&["sign", &two]).exits(4).says("locked");
    stage.is_closed_and_clean("sign with the vault locked");
    stage.given(&[&pin], &["unlock", "root"]).exits(0);
    for args in [
        ["status"].as_slice(),
        &["token", "ls"],
        &["token", "info", "root"],
        &["key", "ls"],
        &["ledger", "show", &repository],
        &["audit", "verify"],
        &["audit", "export"],
        &["doctor"],
    ] {
        let ran = stage.touchmark(args);
        assert!(ran.code() == Some(0) || args == ["doctor"], "{ran}");
    }
    stage.is_open_and_clean("everything that is only shown");
    let watch = stage.home.touchmark().args(["status", "--watch"]).spawn();
    stage.is_open_and_clean("status while it is watched");
    watch.signal(Signal::INT);
    drop(watch.wait());
}

/// A signer's own key, made in the vault, in a repository whose delegation `notary` publishes.
fn with_a_delegation(stage: &mut Stage) {
    let repository = stage.repository("delegated");
    stage.touchmark(&["key", "create", "delegation", "dave", &repository]).exits(0);
    let keys = stage.touchmark(&["key", "ls", "--format", "json"]).exits(0).json();
    let dave = keys["keys"].as_array().unwrap().iter().find(|key| key["role"] == "targets/dave").unwrap();
    let public = stage.home.path().join("dave.pem");
    let text = stage.touchmark(&["key", "export", dave["id"].as_str().unwrap()]).exits(0).stdout;
    std::fs::write(&public, text).unwrap();
    let notary = |args: &[&str]| stage.home.notary(&stage.notary).args(args).ok();
    notary(&["init", &repository, "-p"]);
    notary(&["key", "rotate", &repository, "snapshot", "-r"]);
    let public = public.to_str().unwrap();
    notary(&["delegation", "add", &repository, "targets/dave", public, "--all-paths", "-p"]);
    Image::saying("dave").push(&stage.registry, "icho/delegated", "one");
    stage.touchmark(&["sign", &format!("{repository}:one")]).exits(0);
    stage.is_open_and_clean("sign with a delegation's key");
}

/// Callers that go away half way, and secrets that nobody asked for.
pub(crate) fn broken_off(stage: &mut Stage) {
    let pin = stage.pins[1].clone();
    let unlock = ["--format", "json", "unlock", "spare", "--pin-stdin"];
    let (mut client, _keyboard) = asked(stage, &unlock);
    client.kill().unwrap();
    client.wait().unwrap();
    stage.is_open_and_clean("a client killed while the PIN is asked for");

    // Half way: the daemon has the PIN, and the token does not answer.
    let (mut client, mut keyboard) = asked(stage, &unlock);
    left::told_nothing(client.id(), &stage.needles(), "a client");
    let helpers = stage.helpers();
    assert!(!helpers.is_empty(), "the token has been looked at");
    helpers.iter().for_each(|pid| signal(*pid, Signal::STOP));
    writeln!(keyboard, "{pin}").unwrap();
    stage.until_a_word_is_held("PIN of spare", 1);
    client.kill().unwrap();
    client.wait().unwrap();
    helpers.iter().for_each(|pid| signal(*pid, Signal::CONT));
    stage.until_a_word_is_held("PIN of spare", 0);
    stage.is_open_and_clean("a client killed after it gave the PIN");
    // A helper keeps the PIN for as long as the login, which a token may lose; its module may have another copy.
    for pid in stage.helpers() {
        let found = scan::process(pid, &stage.needles()).exposed;
        assert!(
            found.iter().all(|hit| hit.needle == "PIN of spare"),
            "a helper that is logged in: {found:?}"
        );
        soak::say(&format!(
            "MEASURED: a helper that is logged in holds its own PIN {} times, and nothing else",
            found.len()
        ));
    }

    let stray = stage.word("a secret that nobody asked for");
    for (length, what) in
        [(stray.len(), "of an unknown handle"), (60_000, "that says to be longer than it is")]
    {
        let mut stream = UnixStream::connect(stage.daemon.socket()).unwrap();
        let length = u16::try_from(length).unwrap().to_be_bytes();
        stream.write_all(&[b"TMSECRET".as_slice(), &[7; 16], &length, stray.as_bytes()].concat()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut status = Vec::new();
        stream.read_to_end(&mut status).unwrap();
        assert_eq!(status, [1], "nobody waits under this handle");
        stage.is_open_and_clean(&format!("a secret {what}"));
    }
    let mut stream = UnixStream::connect(stage.daemon.socket()).unwrap();
    stream.write_all(stray.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).ok(); // cut off, or told in HTTP/2 what it is
    drop(stream);
}

/// Two repositories whose keys all come from files, tags signed in both: for each request, the seats it is for.
pub(crate) fn repositories_with_known_keys(stage: &mut Stage) -> Vec<Seat> {
    let pin = stage.pins[0].clone();
    stage.given(&[&pin], &["vault", "init", "--token", "root"]).exits(0);
    stage.given(&[&pin], &["key", "create", "root", "--token", "root"]).exits(0);
    let mut seats = Vec::new();
    for (name, roles, holder) in [
        ("one", ["targets"].as_slice(), "server"),
        ("two", &["targets", "snapshot"], "vault"),
        ("three", &["targets"], "server"),
        ("four", &["targets"], "server"),
    ] {
        let gun = stage.repository(name);
        let mut of_this = Vec::new();
        for role in roles {
            let label = format!("the {role} key of {name}");
            let (key, passphrase) = (stage.key(&label), stage.word(&format!("the passphrase of {label}")));
            let file = stage.key_file("key.pem", &key, &ENCRYPTED, &passphrase);
            let args = ["key", "import", file.to_str().unwrap(), "--role", role, "--repository", &gun];
            let made = stage.given(&[&passphrase], &[args.as_slice(), &["--format", "json"]].concat());
            let key_id = made.exits(0).json()["imported"][0]["id"].as_str().unwrap().to_owned();
            std::fs::remove_file(file).unwrap();
            of_this.push(Seat { gun: gun.clone(), role, key_id, key, label });
        }
        stage.given(&[&pin], &["init", &gun, "--snapshot", holder]).exits(0);
        Image::saying(name).push(&stage.registry, &format!("icho/{name}"), "tag");
        stage.touchmark(&["sign", &format!("{gun}:tag")]).exits(0);
        // A snapshot lists the targets, which then stay as they are.
        seats.extend(of_this.pop());
    }
    seats
}

fn lock(stage: &mut Stage) {
    stage.touchmark(&["lock"]).exits(0);
    assert_eq!(stage.helpers().len(), 0, "no helper outlives a lock");
    stage.is_closed_and_clean("lock");
}

/// A client that was asked for a secret and has none yet.
fn asked(stage: &Stage, args: &[&str]) -> (Child, ChildStdin) {
    let mut command = stage.home.touchmark().args(args).command();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut said = BufReader::new(client.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("needs-pin")), "the client is asked for a secret");
    let keyboard = client.stdin.take().unwrap();
    (client, keyboard)
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}
