//! A token that fails under the shipped daemon: the person is told what and what next, nothing is lost or half
//! published, keys in the vault sign on, and the token signs again as soon as it can.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "tokens/faults.rs"]
mod faults;
#[path = "tokens/restarts.rs"]
mod restarts;
#[path = "tokens/world.rs"]
mod world;
