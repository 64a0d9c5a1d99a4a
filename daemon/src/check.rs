//! `touchmarkd check`: the configuration as it is meant, and what holds on this machine. Opens no token and no state.

use std::fmt::Write as _;

use crate::config::{Config, OnSleep, shown};
use crate::harden::Hardening;
use crate::token::TokenKind;
use crate::vault::{Locked, MemoryError};

/// The report, line by line.
#[must_use]
pub fn report(config: &Config, hardening: &Hardening) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{name:<34}{value}");
    };
    match &config.file {
        Some(file) => line("configuration", &file.display()),
        None => line("configuration", &"none found; these are the defaults"),
    }
    line("socket", &config.socket.display());
    match &config.socket_group {
        Some(group) => line("socket-group", &format_args!("{} (gid {})", group.name, group.gid)),
        None => line("socket-group", &"none: for the daemon's own user"),
    }
    line("state", &config.state.display());
    let time = |time: Option<_>| time.map_or_else(|| "never".to_owned(), |time| shown(time).to_string());
    line("lock-after", &time(config.locking.idle));
    line("unlock-at-most", &time(config.locking.at_most));
    let on_sleep = match config.locking.on_sleep {
        OnSleep::Lock => "true (not watched for by this version; lock by hand)",
        OnSleep::Stay => "false",
    };
    line("lock-on-sleep", &on_sleep);
    line("max-expiry root", &shown(config.max_expiry.root));
    line("max-expiry targets", &shown(config.max_expiry.targets));
    for token in &config.tokens {
        let place = match &token.kind {
            TokenKind::Pkcs11 { module, .. } => {
                let found = if module.exists() { "" } else { " (there is no such file)" };
                format!(", {}{found}", module.display())
            }
            TokenKind::Yubikey { .. } => String::new(),
        };
        let text = format!("{}{place}, pin {}", token.kind, token.pin);
        line(&format!("token {}", token.name), &text);
    }
    if config.tokens.is_empty() {
        line("token", &"none: no root keys; the vault opens by passphrase only");
    }
    for allow in &config.allow {
        let join = |globs: &[crate::policy::Glob]| {
            globs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let actions: Vec<String> = allow.grant.actions.iter().map(ToString::to_string).collect();
        let tags = allow.grant.tags.as_deref().map_or_else(|| "all".to_owned(), join);
        let text = format!("{} in {}, tags {tags}", actions.join(" "), join(&allow.grant.repositories));
        line(&format!("allow {}", allow.name), &text);
    }
    if config.allow.is_empty() {
        line("allow", &"nobody but the daemon's own user");
    }
    for (name, holds) in hardening.lines() {
        line(name, holds);
    }
    match memory() {
        Ok(text) => line("locked memory", &text),
        Err(error) => line("locked memory", &format_args!("no: {error}")),
    }
    out
}

/// Whether the daemon would get its locked memory.
fn memory() -> Result<String, MemoryError> {
    let locked = Locked::open(None, 1)?;
    Ok(format!("{}, at most {} bytes", locked.kind(), locked.limit_bytes()))
}

#[cfg(test)]
mod tests;
