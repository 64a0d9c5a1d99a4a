//! How long the daemon takes to start, and how much memory it has.

use std::path::Path;
use std::time::{Duration, Instant};

use hsm_tests::daemon::Daemon;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use touchmark_proto::v1;

use crate::health::is_serving;
use crate::repository::create_key;
use crate::rounds::{Spread, progress};
use crate::table::Table;

/// Starts of which the median counts.
const STARTS: usize = 7;
/// Keys that are made at the same time.
const AT_ONCE: usize = 32;
const MIB: f64 = 1024.0;

/// A connection to a daemon.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    Endpoint::try_from(format!("unix:{}", socket.display())).unwrap().connect().await
}

/// Measures a daemon with 100 vault keys, then with 10,000.
pub(crate) fn measure(table: &mut Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut daemon = Daemon::dev();
    for (from, to) in [(0, 100), (100, 10_000)] {
        progress(&format!("making {to} keys"));
        runtime.block_on(make_keys(daemon.socket(), from, to));
        let made = resident(&mut daemon);
        let times: Vec<f64> = (0..STARTS).map(|_| restart(&mut daemon, &runtime)).collect();
        let (times, fresh) = (Spread::of(&times), resident(&mut daemon));
        if from == 0 {
            table.figure(
                "start",
                times,
                "until a gRPC health check is answered, the vault opened and 100 keys in it",
            );
        }
        let from = format!("{made:.1} after making them, {fresh:.1} after a start of {:.0} ms", times.median);
        table.figure(&format!("memory-{to}"), Spread::of(&[made.max(fresh)]), &from);
    }
}

async fn make_keys(socket: &Path, from: usize, to: usize) {
    let channel = connect(socket).await.expect("the daemon");
    let tasks = (0..AT_ONCE).map(|task| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for number in (from..to).skip(task).step_by(AT_ONCE) {
                create_key(&channel, v1::Role::Targets, &format!("example.com/keys/{number}"), "").await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Stops it and starts it again; milliseconds until it answers.
fn restart(daemon: &mut Daemon, runtime: &Runtime) -> f64 {
    daemon.stop();
    let start = Instant::now();
    daemon.start_again_until(|socket| runtime.block_on(is_ready(socket)));
    start.elapsed().as_secs_f64() * 1000.0
}

async fn is_ready(socket: &Path) -> bool {
    let Ok(channel) = connect(socket).await else {
        std::thread::sleep(Duration::from_micros(200));
        return false;
    };
    is_serving(&channel).await.expect("a health check")
}

/// MiB.
fn resident(daemon: &mut Daemon) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib / MIB
}
