//! Eight signers of one repository at once, on two daemons and with `notary` beside them, while the Notary server is
//! killed in between: every tag gets there, and whoever was stopped says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::http::Request;
use hsm_tests::notary::Notary;
use hsm_tests::soak;
use serde_json::Value;

const SIGNERS: usize = 8;
const REPOSITORY: &str = "localhost:5000/team/shared";

/// A repository that `notary` made, whose targets key two daemons have as well.
struct Stage {
    ca: Ca,
    notary: Notary,
    owner: Home,
    person: Home,
    daemons: [Daemon; 2],
}

/// What becomes of the Notary server in a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lives,
    Killed,
}

impl Stage {
    fn set() -> Self {
        let ca = Ca::new();
        let notary = Notary::start_on_database(&ca);
        let [mut owner, mut person] = [Home::new(), Home::new()];
        owner.use_notary(&notary);
        person.use_notary(&notary);
        let stage = Self { ca, notary, owner, person, daemons: [Daemon::dev(), Daemon::dev()] };
        stage.notary(&["init", REPOSITORY, "-p"]);
        stage.notary(&["key", "rotate", REPOSITORY, "snapshot", "-r"]);
        for daemon in &stage.daemons {
            // Each of the owner's keys asks for its passphrase; the root key is left out, as no token is named.
            let import = stage.touchmark(daemon.socket(), &["key", "import", "--pin-stdin"]);
            let import = import.arg(stage.owner.trust().join("private"));
            import.stdin(format!("{PASSPHRASE}\n").repeat(4)).ok();
        }
        stage
    }

    fn touchmark(&self, socket: &Path, args: &[&str]) -> Cli {
        self.person.touchmark().args(["--format", "json", "--socket"]).arg(socket).args(args)
    }

    fn notary(&self, args: &[&str]) -> Ran {
        self.owner.notary(&self.notary).args(args).ok()
    }

    fn addhash(&self, tag: &str) {
        self.notary(&["addhash", REPOSITORY, tag, "523", "--sha256", &"ab".repeat(32), "-p"]);
    }

    fn socket(&self, number: usize) -> &Path {
        self.daemons[number % self.daemons.len()].socket()
    }

    fn sign(&self, number: usize, tag: &str) -> Cli {
        let digest = format!("sha256:{}", "cd".repeat(32));
        let image = format!("{REPOSITORY}:{tag}");
        self.touchmark(self.socket(number), &["sign", &image, "--digest", &digest, "--size", "523"])
    }

    /// A round of eight: what each of them said. The server is killed once it has taken two of them.
    fn round(&mut self, tags: &[String], end: End) -> Vec<Ran> {
        let before = self.current_version();
        let running: Vec<_> =
            tags.iter().enumerate().map(|(number, tag)| self.sign(number, tag).spawn()).collect();
        if end == End::Killed {
            while self.current_version() < before + 2 {}
            self.notary.kill();
        }
        running.into_iter().map(|one| one.wait()).collect()
    }

    /// Every tag, as a reader sees it who knows nothing yet.
    fn tags(&self) -> BTreeSet<String> {
        let mut reader = Home::new();
        reader.use_notary(&self.notary);
        let shown = reader.touchmark().args(["--format", "json", "inspect", REPOSITORY]).ok().json();
        let tags = shown["SignedTags"].as_array().unwrap();
        tags.iter().map(|tag| tag["SignedTag"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the server has a version of the targets.
    fn has_version(&self, version: u64) -> bool {
        let url = format!("{}/v2/{REPOSITORY}/_trust/tuf/{version}.targets.json", self.notary.url());
        Request { ca: Some(&self.ca), ..Request::get(&url) }.send().unwrap().status == 200
    }

    fn current_version(&self) -> u64 {
        let url = format!("{}/v2/{REPOSITORY}/_trust/tuf/targets.json", self.notary.url());
        let answer = Request { ca: Some(&self.ca), ..Request::get(&url) }.send().unwrap();
        serde_json::from_slice::<Value>(&answer.body).unwrap()["signed"]["version"].as_u64().unwrap()
    }
}

fn error(ran: &Ran) -> Value {
    let last = ran.stderr.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap_or_else(|why| panic!("{why}\n{ran}"))["error"].clone()
}

#[test]
fn eight_signers_at_once_lose_no_tag_while_the_notary_server_is_killed_twice() {
    let mut stage = Stage::set();
    let rounds = soak::rounds(3, 20);
    let kills = [rounds / 3, 2 * rounds / 3];
    let mut all = BTreeSet::new();
    let first = stage.current_version();
    let mut stopped = 0;
    for round in 0..rounds {
        let tags: Vec<String> = (0..SIGNERS).map(|number| format!("r{round}-{number}")).collect();
        let end = if kills.contains(&round) { End::Killed } else { End::Lives };
        let ran = stage.round(&tags, end);
        if end == End::Killed {
            stage.notary.start_again();
        }
        for (number, (ran, tag)) in ran.iter().zip(&tags).enumerate() {
            if ran.code() == Some(0) {
                continue;
            }
            let error = error(ran);
            assert!(end == End::Killed, "nobody was killed\n{ran}");
            assert_eq!(
                (ran.code(), error["reason"].as_str()),
                (Some(6), Some("TRUST_SERVER_UNREACHABLE")),
                "{ran}"
            );
            stopped += 1;
            // Whoever had it signed is told how to go on; for the others nothing has happened.
            let publish = format!("touchmark publish {REPOSITORY}");
            if error["hint"].as_str().is_some_and(|hint| hint.contains(&publish)) {
                let published = stage.touchmark(stage.socket(number), &["publish", REPOSITORY]).ok();
                assert!(stage.tags().contains(tag), "not there: {ran}\n{published}");
            } else {
                assert!(!stage.tags().contains(tag), "it is there, and was not said: {ran}");
                stage.sign(number, tag).ok();
            }
        }
        all.extend(tags);
        let theirs = format!("notary-{round}");
        stage.addhash(&theirs);
        all.insert(theirs);
        assert_eq!(stage.tags(), all, "after round {round}");
    }
    assert!(stopped > 0, "nobody noticed that the server was killed");
    soak::say(&format!(
        "MEASURED: {} tags in {rounds} rounds, {stopped} signers stopped by a kill",
        all.len()
    ));

    let newest = stage.current_version();
    let missing: Vec<u64> = (first..=newest).filter(|version| !stage.has_version(*version)).collect();
    assert_eq!(missing, [0; 0], "versions up to {newest} that nobody published");
    for daemon in &stage.daemons {
        stage.touchmark(daemon.socket(), &["audit", "verify"]).ok();
        // Nothing is kept back.
        let nothing = stage.touchmark(daemon.socket(), &["publish", REPOSITORY]).ok().json();
        assert_eq!(nothing["published"], Value::Array(vec![]));
    }
}
