//! A disk that is really full.

use std::fs::File;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm_tests::cli::{Cli, shipped};
use hsm_tests::daemon::Daemon;
use hsm_tests::disk::SmallDisk;
use hsm_tests::home::Home;
use hsm_tests::place::Place;
use hsm_tests::process::READY;
use hsm_tests::signing::{Failure, Repository, answered, connect, expiry};
use hsm_tests::soak;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tonic::transport::Channel;

use crate::record::{Acknowledged, Audit};

const CLIENTS: usize = 4;

#[test]
fn a_full_disk_is_named_and_once_there_is_room_the_same_daemon_goes_on() {
    let Some(disk) = SmallDisk::mounted(64) else { return };
    let mut daemon = Daemon::dev_in(Place::at(disk.path()));
    let pid = daemon.process().pid();
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
    let (runtime, acknowledged, mut audit) =
        (Runtime::new().unwrap(), Acknowledged::default(), Audit::default());
    for round in 0..soak::rounds(3, 60) {
        let channel = runtime.block_on(connect(daemon.socket())).unwrap();
        let guns = (0..CLIENTS).map(|client| format!("localhost:5000/full/r{round}c{client}"));
        let repositories: Vec<Repository> =
            guns.map(|gun| runtime.block_on(Repository::adopt(&channel, &gun)).unwrap()).collect();
        // Everybody signs, and then there is no room any more.
        let all_signing = Arc::new(Barrier::new(CLIENTS + 1));
        let tasks: Vec<_> = repositories
            .iter()
            .map(|repository| {
                let (channel, repository) = (channel.clone(), repository.clone());
                runtime.spawn(until_full(channel, repository, acknowledged.clone(), Arc::clone(&all_signing)))
            })
            .collect();
        runtime.block_on(all_signing.wait());
        disk.fill();
        for task in tasks {
            let said = runtime.block_on(task).unwrap();
            assert!(said.contains("the disk that holds /tmp/") && said.ends_with("is full"), "{said}");
        }
        if round == 0 {
            // Later the write-ahead log has room in itself, which a small change may find.
            let create = home.touchmark().args(["--format", "json", "key", "create", "targets"]);
            let refused = create.arg("localhost:5000/full/more").run().exits(5);
            refused.says("AUDIT_UNAVAILABLE").says("is full");
        }

        disk.make_room();
        runtime.block_on(async {
            audit.read_on(&channel).await.unwrap();
            for repository in &repositories {
                acknowledged.holds(&channel, repository).await;
                // The next version goes to whatever comes first, not only to what was tried before.
                let next = repository.last(&channel).await.unwrap().unwrap().version + 1;
                let bytes = repository.targets(next, "once there is room", &expiry());
                repository.sign(&channel, bytes).await.unwrap();
            }
            audit.read_on(&channel).await.unwrap();
        });
        assert!(daemon.process().is_running() && daemon.process().pid() == pid);
    }
    soak::say(&format!("{} versions signed", acknowledged.len()));
}

/// A log on a full disk, or a reader that has gone: `/dev/full` takes nothing.
#[test]
fn a_daemon_whose_log_cannot_be_written_signs_on() {
    let place = Place::new();
    let socket = place.join("dev/touchmarkd.sock");
    let cli = Cli::new(shipped("touchmarkd")).env("HOME", place.path()).env("TOUCHMARKD_LOG", "trace");
    let mut command = cli.args(["run", "--dev"]).arg(place.join("dev")).command();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut daemon = command.stdin(Stdio::null()).stdout(full()).stderr(full()).spawn().unwrap();
    let deadline = Instant::now() + READY;
    let done = Runtime::new().unwrap().block_on(async {
        let channel = loop {
            match answered(&socket).await {
                Ok(channel) => break channel,
                Err(why) => {
                    assert!(Instant::now() < deadline && daemon.try_wait().unwrap().is_none(), "{why:?}")
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let repository = Repository::adopt(&channel, "localhost:5000/full/log").await?;
        repository.sign(&channel, repository.targets(2, "two", &expiry())).await
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    done.unwrap();
}

/// Signs until the daemon says no, and says what it said.
async fn until_full(
    channel: Channel,
    repository: Repository,
    acknowledged: Acknowledged,
    all_signing: Arc<Barrier>,
) -> String {
    let expires = expiry();
    for version in 2.. {
        let bytes = repository.targets(version, &version.to_string(), &expires);
        match repository.sign(&channel, bytes.clone()).await {
            Ok(signature) => acknowledged.note(&repository.gun, version, &bytes, signature),
            Err(Failure::Refused(refusal)) => {
                assert_eq!(refusal.reason.as_str(), "AUDIT_UNAVAILABLE", "{refusal:?}");
                return refusal.message;
            }
            Err(failure) => panic!("{failure:?}"),
        }
        if version == 3 {
            all_signing.wait().await;
        }
    }
    unreachable!("versions do not end")
}
