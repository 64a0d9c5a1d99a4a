//! SIGKILL while eight clients sign.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hsm_tests::daemon::Daemon;
use hsm_tests::dice::Dice;
use hsm_tests::signing::{Failure, Repository, answered, connect, expiry};
use hsm_tests::soak;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::record::{Acknowledged, Audit};

const CLIENTS: usize = 8;
/// The last clients sign for one repository together.
const SHARING: usize = 3;
/// After so many kills there are new repositories: a ledger of many thousand versions takes long to read.
const FRESH: usize = 40;

#[test]
fn a_daemon_killed_while_eight_clients_sign_loses_nothing_and_gives_no_version_two_contents() {
    let mut daemon = Daemon::dev();
    let (runtime, acknowledged, mut audit) =
        (Runtime::new().unwrap(), Acknowledged::default(), Audit::default());
    let mut dice = Dice::thrown("moments of the kills");
    let kills = soak::rounds(15, 1000);
    let (mut repositories, mut starts) = (Vec::new(), Vec::new());
    for kill in 0..kills {
        if kill % FRESH == 0 {
            soak::say(&format!("{kill} kills, {} versions signed", acknowledged.len()));
            repositories = runtime.block_on(adopt(daemon.socket(), kill / FRESH));
        }
        let after = Duration::from_millis(5 + dice.below(146));
        let socket = daemon.socket().to_owned();
        let killed = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let mut clients = Vec::new();
            for (number, repository) in repositories.iter().enumerate() {
                let (channel, killed) = (connect(&socket).await.unwrap(), Arc::clone(&killed));
                let client =
                    client(channel, repository.clone(), acknowledged.clone(), killed, (number, kill));
                clients.push(tokio::spawn(client));
            }
            tokio::time::sleep(after).await;
            killed.store(true, Ordering::SeqCst);
            daemon.process().kill();
            for client in clients {
                client.await.unwrap();
            }
        });
        let begun = Instant::now();
        daemon.start_again();
        let channel = runtime.block_on(answered(&socket)).unwrap();
        starts.push(begun.elapsed());
        runtime.block_on(async {
            audit.read_on(&channel).await.unwrap();
            for repository in &repositories[..=CLIENTS - SHARING] {
                acknowledged.holds(&channel, repository).await;
            }
        });
    }
    let rows =
        runtime.block_on(async { audit.read_on(&connect(daemon.socket()).await.unwrap()).await.unwrap() });
    soak::say(&format!("{kills} kills, {} versions signed, {rows} audit rows", acknowledged.len()));
    assert!(acknowledged.len() > kills, "hardly anything was signed");
    starts.sort_unstable();
    soak::at_most("start after a kill, median, ms", starts[kills / 2].as_millis(), 1000);
    soak::at_most("start after a kill, slowest, ms", starts[kills - 1].as_millis(), 1000);
}

/// One repository for each client; the last clients have the same one.
async fn adopt(socket: &Path, generation: usize) -> Vec<Repository> {
    let channel = connect(socket).await.unwrap();
    let mut repositories = Vec::new();
    for number in 0..=CLIENTS - SHARING {
        let gun = format!("localhost:5000/kill/g{generation}c{number}");
        repositories.push(Repository::adopt(&channel, &gun).await.unwrap());
    }
    let shared = repositories.last().unwrap().clone();
    repositories.resize(CLIENTS, shared);
    repositories
}

/// Signs one version after the other until the daemon is gone.
async fn client(
    channel: Channel,
    repository: Repository,
    acknowledged: Acknowledged,
    killed: Arc<AtomicBool>,
    (number, kill): (usize, usize),
) {
    let expires = expiry();
    let mut version = None;
    for round in 0.. {
        let next = match version {
            Some(version) => version + 1,
            None => match repository.last(&channel).await {
                Ok(last) => last.unwrap().version + 1,
                Err(failure) => return gone(failure, &killed),
            },
        };
        let bytes =
            repository.targets(next, &format!("client {number} after kill {kill}, {round}"), &expires);
        match repository.sign(&channel, bytes.clone()).await {
            Ok(signature) => {
                acknowledged.note(&repository.gun, next, &bytes, signature);
                version = Some(next);
            }
            Err(Failure::Refused(refusal)) => {
                // Somebody else was quicker: only where there is somebody.
                let lost = ["VERSION_REUSED", "VERSION_REGRESSION", "BASE_UNKNOWN", "CONFLICT"];
                let reason = refusal.reason.as_str();
                let race = number >= CLIENTS - SHARING && lost.contains(&reason);
                assert!(race, "client {number}, version {next}: {refusal:?}");
                version = None;
            }
            Err(failure) => return gone(failure, &killed),
        }
    }
}

/// A daemon that does not answer has to be one that was killed.
fn gone(failure: Failure, killed: &AtomicBool) {
    assert!(killed.load(Ordering::SeqCst) && failure.reason().is_none(), "{failure:?}");
}
