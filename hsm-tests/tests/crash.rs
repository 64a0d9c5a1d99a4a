//! Whatever goes wrong under the daemon, at whatever moment: it is killed, its disk fails or is full, its clock jumps,
//! its files are damaged. No version gets two contents, and nothing that was acknowledged is lost unseen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "crash/clock.rs"]
mod clock;
#[path = "crash/damage.rs"]
mod damage;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/full.rs"]
mod full;
#[path = "crash/kill.rs"]
mod kill;
#[path = "crash/record.rs"]
mod record;
