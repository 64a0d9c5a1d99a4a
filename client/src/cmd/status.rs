//! `status`: the daemon, its tokens, the vault, who I am to it - and what to type next.
use serde_json::{Value, json};
use touchmark_proto::v1;
use touchmark_tuf::{Instant, shown};

use super::{token, vault};
use crate::args::{PinArgs, StatusArgs};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::output::Heard;
use crate::prompt::Prompter;

/// Shows the status once, or at each change.
///
/// # Errors
/// `DAEMON_UNREACHABLE`, or the daemon's refusal.
pub async fn run(ctx: &Ctx, args: StatusArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    if !args.watch {
        let status = daemon.status();
        return ctx.out.answer(&in_words(status), &to_json(status));
    }
    let mut changes = daemon.watch().await?;
    while let Some(status) = changes.message().await.map_err(failure)? {
        // One object a line: a stream has no one document.
        let text = if ctx.out.is_json() { to_json(&status).to_string() } else { in_words(&status) };
        if ctx.out.each(&text)? == Heard::No {
            break;
        }
    }
    Ok(())
}

fn in_words(status: &v1::StatusResponse) -> String {
    let mut lines = vec![format!(
        "touchmarkd {} since {}, state in {}",
        shown(&status.version),
        Instant::from_unix(status.started_unix),
        shown(&status.state_dir)
    )];
    if status.dev {
        lines.push(
            "         made by --dev: for trying things out; never for a public trust server".to_owned(),
        );
    }
    if let Some(caller) = &status.caller {
        lines.extend(caller_in_words(caller));
    }
    if let Some(state) = &status.vault {
        lines.push(format!("Vault:   {}", vault::in_words(state)));
        lines.push(format!("Memory:  {}", memory(state)));
    }
    lines.push(format!("Audit:   {} rows", status.audit_seq));
    lines.push("Tokens:".to_owned());
    if status.tokens.is_empty() {
        lines.push("  none configured".to_owned());
    }
    for one in &status.tokens {
        lines.push(format!("  {}", token::in_words(one)));
        lines.extend(held(one));
    }
    lines.extend(status.warnings.iter().map(|warning| format!("Warning: {}", shown(warning))));
    if let Some(next) = next_step(status) {
        lines.push(format!("Next:    {next}"));
    }
    lines.join("\n")
}

/// Which request has a token now, and whether it waits for a touch: the words of its prompt.
fn held(token: &v1::Token) -> Option<String> {
    let intent = shown(&token.waiting_for);
    match (token.waiting_for.is_empty(), token.touch_deadline_unix_ms) {
        (true, _) => None,
        (false, 0) => Some(format!("    in use to {intent}")),
        (false, _) => Some(format!("    touch it to {intent}")),
    }
}

fn caller_in_words(caller: &v1::Caller) -> Vec<String> {
    let who = format!("I am:    {} (uid {})", shown(&caller.user), caller.uid);
    let is_news =
        |grant: &&v1::Grant| !caller.grants.iter().any(|other| other != *grant && covers(other, grant));
    let grants = caller.grants.iter().filter(is_news).map(|grant| {
        let tags = if grant.tags.is_empty() { "all tags".to_owned() } else { grant.tags.join(", ") };
        format!(
            "         may {} in {} ({})",
            shown(&grant.actions.join(", ")),
            shown(&grant.repositories.join(", ")),
            shown(&tags)
        )
    });
    std::iter::once(who).chain(grants).collect()
}

/// Whether one grant gives all that the other one gives.
fn covers(grant: &v1::Grant, other: &v1::Grant) -> bool {
    let has_all = |have: &[String], want: &[String]| want.iter().all(|one| have.contains(one));
    let everywhere = grant.repositories.iter().any(|one| one == "**");
    has_all(&grant.actions, &other.actions)
        && (everywhere || has_all(&grant.repositories, &other.repositories))
        && (grant.tags.is_empty() || !other.tags.is_empty() && has_all(&grant.tags, &other.tags))
}

fn memory(state: &v1::VaultStatus) -> String {
    let limit = match state.locked_limit {
        0 => "no limit".to_owned(),
        limit => format!("limit {} KiB", limit / 1024),
    };
    let kind = match state.memory.as_str() {
        "secret" => "memfd_secret: not readable by root either",
        "mlock" => "mlock: never swapped or dumped",
        other => other,
    };
    format!("{} KiB locked, {limit} ({kind})", state.locked_bytes / 1024)
}

/// The next command to type where something is not set up yet.
#[must_use]
pub fn next_step(status: &v1::StatusResponse) -> Option<String> {
    let present = status.tokens.iter().find(|token| token.presence() == v1::TokenPresence::Present);
    let fresh = status.tokens.iter().find(|token| token.pin_state == "not-set");
    let root = status.tokens.iter().flat_map(|token| &token.keys).any(|key| key.role() == v1::Role::Root);
    let state = status.vault.as_ref().map_or(v1::VaultState::None, v1::VaultStatus::state);
    if let Some(token) = status.tokens.iter().find(|token| token.presence() == v1::TokenPresence::Opening) {
        return Some(format!("touchmark status --watch (token {} is being opened)", token.name));
    }
    if let Some(token) = fresh {
        return Some(format!("touchmark token init {}", token.name));
    }
    match (state, present) {
        (v1::VaultState::None | v1::VaultState::Unspecified, Some(token)) => {
            Some(format!("touchmark vault init --token {}", token.name))
        }
        (v1::VaultState::None | v1::VaultState::Unspecified, None) if status.tokens.is_empty() => Some(
            "touchmark vault init --passphrase (or list a [[token]] in touchmarkd's configuration)"
                .to_owned(),
        ),
        (v1::VaultState::None | v1::VaultState::Unspecified, None) => {
            Some("touchmark doctor (no token is present)".to_owned())
        }
        (v1::VaultState::Locked, _) => Some("touchmark unlock".to_owned()),
        (v1::VaultState::Open, Some(token)) if !root => {
            Some(format!("touchmark key create root --token {}", token.name))
        }
        (v1::VaultState::Open, _) => {
            let empty = status.vault.as_ref().is_some_and(|vault| vault.keys == 0);
            empty.then(|| "touchmark init IMAGE".to_owned())
        }
    }
}

fn to_json(status: &v1::StatusResponse) -> Value {
    json!({
        "version": status.version,
        "started_unix": status.started_unix,
        "dev": status.dev,
        "state_dir": status.state_dir,
        "config_file": status.config_file,
        "audit_seq": status.audit_seq,
        "caller": status.caller.as_ref().map(|caller| json!({
            "uid": caller.uid,
            "user": caller.user,
            "grants": caller.grants.iter().map(|grant| json!({
                "repositories": grant.repositories,
                "tags": grant.tags,
                "actions": grant.actions,
            })).collect::<Vec<_>>(),
        })),
        "vault": status.vault.as_ref().map(vault::to_json),
        "tokens": status.tokens.iter().map(token::to_json).collect::<Vec<_>>(),
        "warnings": status.warnings,
        "next": next_step(status),
    })
}

#[cfg(test)]
mod tests;
