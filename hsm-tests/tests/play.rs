//! Root ceremonies from the first plan to the auditor: keyholders in places of their own, without a network; the real
//! Notary; Docker's own CLI and `notary` as judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "play/fleet.rs"]
mod fleet;
#[path = "play/keyholder.rs"]
mod keyholder;
#[path = "play/stage.rs"]
mod stage;
#[path = "play/story.rs"]
mod story;
