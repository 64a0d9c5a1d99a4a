//! Whatever a person, a server or a disk gets wrong has a reason, an exit code and a next step, and leaves everything as
//! it was: nothing is lost, nothing half published.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "input/answers.rs"]
mod answers;
#[path = "input/base.rs"]
mod base;
#[path = "input/config.rs"]
mod config;
#[path = "input/folder.rs"]
mod folder;
#[path = "input/killed.rs"]
mod killed;
#[path = "input/refused.rs"]
mod refused;
#[path = "input/world.rs"]
mod world;
