//! Offline root ceremonies: plans, signing with tokens in several places, and what goes wrong there. The shipped client
//! and daemon, SoftHSM tokens with a daemon and a state folder each, a virtual YubiKey, the real Notary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "ceremony/bad.rs"]
mod bad;
#[path = "ceremony/key.rs"]
mod key;
#[path = "ceremony/plan.rs"]
mod plan;
#[path = "ceremony/sign.rs"]
mod sign;
#[path = "ceremony/stage.rs"]
mod stage;
#[path = "ceremony/stick.rs"]
mod stick;
#[path = "ceremony/yubikey.rs"]
mod yubikey;
