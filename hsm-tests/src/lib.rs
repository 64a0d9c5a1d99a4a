#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "fixtures: what cannot be set up must end the test, with its message"
)]
//! Real components as judges: each fixture is one program of its own, on free loopback ports, in a short
//! temporary folder, ended by its own pid when the fixture goes. Nothing here is shipped.
//!
//! A component that is missing fails the test that wants it. The exceptions are the Docker Engine and the browser, and
//! only where the caller says so (`TOUCHMARK_WITHOUT_ENGINE=1`, `TOUCHMARK_WITHOUT_BROWSER=1`); then it is said on stderr.

pub mod ca;
pub mod chromium;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod dice;
pub mod disk;
pub mod engine;
pub mod faketime;
pub mod front;
pub mod gate;
pub mod home;
pub mod hostile;
pub mod http;
pub mod http2;
pub mod images;
pub mod mariadb;
pub mod notary;
pub mod pcscd;
pub mod piv;
pub mod place;
pub mod ports;
pub mod process;
pub mod registry;
pub mod scan;
pub mod shim;
#[cfg(feature = "libraries")]
pub mod signing;
pub mod soak;
pub mod softhsm;
pub mod strace;
pub mod swtpm;
pub mod terminal;
