//! After signing: what several people signed becomes the record of a ceremony, goes to the real Notary, is judged years
//! later by published roots alone, and is printed by a real browser on one page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "record/browser.rs"]
mod browser;
#[path = "record/merge.rs"]
mod merge;
#[path = "record/publish.rs"]
mod publish;
#[allow(dead_code, reason = "shared with the tests of what comes before")]
#[path = "ceremony/stage.rs"]
mod stage;
#[path = "record/verify.rs"]
mod verify;
#[path = "record/world.rs"]
mod world;
