//! `touchmarkd` as a library: [`app::App`] is the whole daemon, the binary is a thin front of it.
//!
//! The daemon signs only what it has read, keeps keys in tokens and in locked memory, and opens no network
//! connection. `vault::locked` holds the only `unsafe` of the product.
#![deny(unsafe_code)]

pub mod app;
pub mod args;
pub mod audit;
pub mod check;
pub mod clock;
pub mod config;
pub mod dev;
pub mod document;
#[cfg(feature = "doors")]
pub mod doors;
pub mod harden;
pub mod ledger;
pub mod listen;
pub mod log;
pub mod policy;
mod rpc;
pub mod secret;
pub mod sign;
pub mod store;
pub mod token;
mod unlock;
pub mod vault;
