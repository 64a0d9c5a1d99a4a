//! A person with a YubiKey: who is asked to touch it, insert it or type its PIN, with which words, and nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "touch/announced.rs"]
mod announced;
#[path = "touch/asked.rs"]
mod asked;
#[path = "touch/stage.rs"]
mod stage;
#[path = "touch/story.rs"]
mod story;
#[path = "touch/watched.rs"]
mod watched;
