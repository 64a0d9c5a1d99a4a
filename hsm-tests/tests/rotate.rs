//! Root keys, thresholds, tagging, snapshot and timestamp keys are changed, and the real notary-server, `notary` and
//! Docker's CLIs go along: those who read for the first time and those who have not read for several versions. An attempt
//! that was cut off goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "rotate/begun.rs"]
mod begun;
#[path = "rotate/expired.rs"]
mod expired;
#[path = "rotate/kinds.rs"]
mod kinds;
#[path = "rotate/readers.rs"]
mod readers;
#[path = "rotate/refused.rs"]
mod refused;
#[path = "rotate/thresholds.rs"]
mod thresholds;
#[path = "rotate/world.rs"]
mod world;
