//! What most daemons of the tests have in their configuration.

use std::path::Path;

use crate::cli::{Cli, tool};

/// The first lines: where it listens, and the folder `state` for what it keeps.
#[must_use]
pub fn places(folder: &Path, socket: &Path) -> String {
    let state = folder.join("state");
    format!("socket = {socket:?}\nstate = {state:?}\n")
}

/// A YubiKey by its serial; what else belongs to it may follow.
#[must_use]
pub fn yubikey(name: &str, serial: u32) -> String {
    format!("[[token]]\nname = {name:?}\nkind = \"yubikey\"\nserial = {serial}\n")
}

/// Every action there is.
pub const EVERYTHING: &[&str] =
    &["read", "sign", "revoke", "refresh", "init", "delegate", "rotate", "unlock", "keys", "admin"];

/// Whoever runs the tests may do this, to every repository.
#[must_use]
pub fn allow(actions: &[&str]) -> String {
    let me = Cli::new(tool("id")).arg("-un").ok().stdout;
    format!("[[allow]]\nuser = {:?}\nrepositories = [\"**\"]\nactions = {actions:?}\n", me.trim())
}
