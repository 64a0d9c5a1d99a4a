//! The files of the state, damaged while nobody looks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hsm_tests::daemon::Daemon;
use hsm_tests::dice::Dice;
use hsm_tests::home::Home;
use hsm_tests::signing::{Failure, Repository, answered, connect, expiry};
use hsm_tests::soak;
use tokio::runtime::Runtime;

use crate::record::Acknowledged;

const PAGE: usize = 4096;
/// Header and page in the write-ahead log.
const FRAME: usize = 24 + PAGE;
const SIGNED: u64 = 25;
/// Why a daemon does not start. A log that ends between a PIN's try and its success shows a PIN that was refused.
const WORDS: [&str; 2] =
    ["is no state of touchmarkd, or it is damaged", "the configured PIN was refused before"];

/// The two files.
#[derive(Clone)]
struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
}

/// What became of a damaged state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The daemon does not start, or reads nothing, and says why.
    Refused,
    /// Nothing is missing.
    Whole,
    /// Something is missing, and the client's `audit verify` says so.
    Seen,
}

/// A daemon that was killed: the older half of what it signed is in the database, the newer in the log beside it.
struct World {
    daemon: Daemon,
    home: Home,
    runtime: Runtime,
    repository: Repository,
    acknowledged: Acknowledged,
    whole: Files,
}

impl World {
    fn new() -> Self {
        let mut daemon = Daemon::dev();
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let (runtime, acknowledged) = (Runtime::new().unwrap(), Acknowledged::default());
        let repository = runtime.block_on(async {
            let channel = connect(daemon.socket()).await.unwrap();
            Repository::adopt(&channel, "localhost:5000/crash/damage").await.unwrap()
        });
        runtime.block_on(sign(&daemon, &repository, &acknowledged));
        daemon.stop(); // brings the log into the database
        daemon.start_again();
        runtime.block_on(sign(&daemon, &repository, &acknowledged));
        home.touchmark().args(["audit", "verify"]).ok();
        daemon.process().kill();
        let whole = Files::read(&state(&daemon));
        assert!(whole.database.len() > 10 * PAGE && whole.log.len() > 10 * FRAME, "half is not in each");
        Self { daemon, home, runtime, repository, acknowledged, whole }
    }

    /// Damages the whole state, starts the daemon on it, and puts the state back.
    fn try_out(&mut self, what: &str, damage: impl FnOnce(&mut Files)) -> Verdict {
        let mut files = self.whole.clone();
        damage(&mut files);
        files.write(&state(&self.daemon));
        let said_before = self.daemon.log().len();
        // The socket is there before the state is read.
        let verdict = self.daemon.try_start_again().ok().and_then(|()| self.judge(what));
        let verdict = verdict.unwrap_or_else(|| {
            let ended = self.daemon.process().wait_end(Duration::from_secs(10));
            let said = self.daemon.log().split_off(said_before);
            let told = WORDS.iter().any(|words| said.contains(words)) && !said.contains("panicked");
            assert!(
                told && ended.is_some_and(|status| status.code() == Some(1)),
                "{what}: {ended:?}, {said}"
            );
            Verdict::Refused
        });
        if self.daemon.process().is_running() {
            self.daemon.process().kill();
        }
        self.whole.write(&state(&self.daemon));
        soak::say(&format!("{what}: {verdict:?}"));
        verdict
    }

    /// None: it does not answer.
    fn judge(&self, what: &str) -> Option<Verdict> {
        let lost = self.runtime.block_on(async {
            let channel = answered(self.daemon.socket()).await?;
            self.acknowledged.missing(&channel, &self.repository).await
        });
        Some(match lost {
            Ok(0) => Verdict::Whole,
            Ok(lost) => {
                let audit = self.home.touchmark().args(["--format", "json", "audit", "verify"]).run();
                assert!(audit.code() == Some(1), "{what}: {lost} versions lost, and nobody sees it\n{audit}");
                Verdict::Seen
            }
            Err(Failure::Refused(refusal)) => {
                assert_eq!(refusal.reason.as_str(), "AUDIT_UNAVAILABLE", "{what}: {refusal:?}");
                Verdict::Refused
            }
            Err(Failure::Gone(_)) => return None,
        })
    }
}

impl Files {
    fn read(state: &Path) -> Self {
        let read = |name| std::fs::read(state.join(name)).unwrap();
        Self { database: read("touchmark.db"), log: read("touchmark.db-wal") }
    }

    /// Into the files that are there: a file of another number would be another state.
    fn write(&self, state: &Path) {
        std::fs::write(state.join("touchmark.db"), &self.database).unwrap();
        std::fs::write(state.join("touchmark.db-wal"), &self.log).unwrap();
    }
}

fn state(daemon: &Daemon) -> PathBuf {
    daemon.folder().join("dev/state")
}

async fn sign(daemon: &Daemon, repository: &Repository, acknowledged: &Acknowledged) {
    let channel = connect(daemon.socket()).await.unwrap();
    let first = repository.last(&channel).await.unwrap().unwrap().version + 1;
    for version in first..first + SIGNED {
        let bytes = repository.targets(version, &version.to_string(), &expiry());
        let signature = repository.sign(&channel, bytes.clone()).await.unwrap();
        acknowledged.note(&repository.gun, version, &bytes, signature);
    }
}

#[test]
fn a_damaged_database_is_refused_or_harmless() {
    let mut world = World::new();
    let mut dice = Dice::thrown("places of the damage");
    assert_eq!(world.try_out("untouched", |_| ()), Verdict::Whole);
    let size = world.whole.database.len();
    let mut refused = 0;
    for _ in 0..soak::rounds(4, 60) {
        let end = usize::try_from(dice.below(size as u64 - 1)).unwrap() + 1;
        let verdict =
            world.try_out(&format!("cut at byte {end} of {size}"), |files| files.database.truncate(end));
        assert_ne!(verdict, Verdict::Seen);
        refused += usize::from(verdict == Verdict::Refused);
    }
    let step = soak::rounds(5, 1);
    for page in (0..size / PAGE).step_by(step) {
        let verdict = world.try_out(&format!("garbage in page {page}"), |files| {
            for byte in &mut files.database[page * PAGE..(page + 1) * PAGE] {
                *byte = u8::try_from(dice.below(256)).unwrap();
            }
        });
        assert_ne!(verdict, Verdict::Seen);
        refused += usize::from(verdict == Verdict::Refused);
    }
    assert!(refused > 0, "no damage was ever seen");
}

/// That is a disk that went back: the daemon cannot know, and whoever kept the audit's head does.
#[test]
fn a_log_that_was_cut_or_lost_shows_in_the_audit() {
    let mut world = World::new();
    let mut dice = Dice::thrown("places of the damage");
    let size = world.whole.log.len();
    for _ in 0..soak::rounds(4, 60) {
        let at = usize::try_from(dice.below(size as u64)).unwrap();
        world.try_out(&format!("log cut at byte {at} of {size}"), |files| files.log.truncate(at));
        world.try_out(&format!("log damaged at byte {at} of {size}"), |files| files.log[at] ^= 1);
    }
    assert_eq!(world.try_out("no log", |files| files.log.clear()), Verdict::Seen);
    assert_eq!(world.try_out("no log's second half", |files| files.log.truncate(size / 2)), Verdict::Seen);
}
