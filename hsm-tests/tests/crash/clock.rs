//! A wall clock that jumps, under the daemon and under the client.

use hsm_tests::ca::Ca;
use hsm_tests::cli::Cli;
use hsm_tests::daemon::Daemon;
use hsm_tests::faketime::FakeClock;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::signing::{Failure, Repository, connect, expiry};
use tokio::runtime::Runtime;

use crate::record::{Acknowledged, Audit};

const TEN_YEARS: i64 = 3652;
const REPOSITORY: &str = "localhost:5000/crash/clock";

struct World {
    clock: FakeClock,
    daemon: Daemon,
    home: Home,
    _notary: Notary,
}

impl World {
    /// Daemon and client go by the same clock, the Notary by the machine's.
    fn new() -> Self {
        let (clock, notary, mut home) = (FakeClock::new(), Notary::start(&Ca::new()), Home::new());
        let daemon = Daemon::dev_by(&clock);
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        clock.variables().iter().for_each(|(name, value)| home.set(name, value));
        Self { clock, daemon, home, _notary: notary }
    }

    fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    fn sign(&self, tag: &str) -> Cli {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let name = format!("{REPOSITORY}:{tag}");
        self.touchmark(&["sign", &name, "--digest", &digest, "--size", "500"])
    }

    fn verify(&self, tag: &str) -> Cli {
        self.touchmark(&["verify", &format!("{REPOSITORY}:{tag}")])
    }
}

#[test]
fn a_clock_that_went_back_is_told_with_the_way_on_and_one_that_went_ahead_locks_nobody_out() {
    let mut world = World::new();
    world.touchmark(&["init", REPOSITORY]).ok();
    world.sign("one").ok();

    world.clock.ahead_by(1);
    world.sign("two").ok();
    world.verify("two").ok();

    // Ten years ahead everything has expired; the daemon sees that time, and the clock is put right.
    world.clock.ahead_by(TEN_YEARS);
    world.verify("two").run().exits(1).says("EXPIRED");
    world.sign("three").run().exits(1).says("EXPIRED");
    world.touchmark(&["audit", "verify"]).ok();
    world.clock.ahead_by(2); // another day than that of the last document, whose expiry would be no new one
    for _start in 0..2 {
        world.verify("two").ok();
        let refused = world.sign("three").run().exits(5);
        let refused = refused.says("POLICY_REFUSED").says("minutes behind").says("set the clock");
        refused.says("touchmark ledger believe-clock");
        world.touchmark(&["status"]).ok().says("no new expiry is signed");
        world.sign("two").ok();
        world.daemon.process().kill();
        world.daemon.start_again();
    }
    let reason = ["--reason", "the battery was empty"];
    world.touchmark(&["ledger", "believe-clock", "--yes"]).args(reason).ok();
    world.touchmark(&["audit", "show"]).ok().says("clock-believed").says("the battery was empty");
    world.sign("three").ok();
    world.verify("three").ok();

    // A day back, and right again: the clock is all that has to be set.
    world.clock.ahead_by(1);
    world.sign("four").run().exits(5).says("POLICY_REFUSED");
    world.clock.ahead_by(2);
    world.sign("four").ok();

    world.clock.ahead_by(-TEN_YEARS);
    world.sign("five").run().exits(1).says("EXPIRED").says("check this machine's clock");
    world.clock.ahead_by(2);
    world.sign("five").ok();
    world.touchmark(&["audit", "verify"]).ok();
}

#[test]
fn versions_and_the_audit_go_on_whatever_the_clock_shows() {
    let clock = FakeClock::new();
    let daemon = Daemon::dev_by(&clock);
    let (acknowledged, mut audit) = (Acknowledged::default(), Audit::default());
    Runtime::new().unwrap().block_on(async {
        let channel = connect(daemon.socket()).await.unwrap();
        let repository = Repository::adopt(&channel, REPOSITORY).await.unwrap();
        let expires = expiry();
        let mut version = 1;
        let mut latest = i64::MIN;
        for days in [0, 1, TEN_YEARS, -1, -TEN_YEARS, 2 * TEN_YEARS, 0] {
            clock.ahead_by(days);
            latest = latest.max(days);
            version += 1;
            let bytes = repository.targets(version, &format!("{days} days"), &expires);
            for _again in 0..2 {
                let signature = repository.sign(&channel, bytes.clone()).await.unwrap();
                acknowledged.note(REPOSITORY, version, &bytes, signature);
            }
            audit.read_on(&channel).await.unwrap();
            if days < latest {
                let later =
                    touchmark_tuf::Expires::at(expires.instant().plus(std::time::Duration::from_secs(60)));
                let refused =
                    repository.sign(&channel, repository.targets(version + 1, "later", &later)).await;
                let Err(Failure::Refused(refusal)) = refused else { panic!("{days}: {refused:?}") };
                assert_eq!(refusal.reason.as_str(), "POLICY_REFUSED", "{days}: {refusal:?}");
            }
        }
        assert_eq!(acknowledged.len(), 7);
        acknowledged.holds(&channel, &repository).await;
    });
}
