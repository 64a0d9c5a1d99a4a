//! `token ...`: tokens and their keys.
mod attest;

use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::shown;

use super::key;
use crate::args::{PinArgs, TokenArgs, TokenCommand};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;
use crate::table::Table;

/// Runs one of the token commands.
///
/// # Errors
/// `TOKEN_UNKNOWN`, or the daemon's refusal.
pub async fn run(ctx: &Ctx, args: TokenArgs) -> Result<(), Error> {
    match args.command {
        TokenCommand::Ls => list(ctx).await,
        TokenCommand::Info { name } => info(ctx, &name).await,
        TokenCommand::Attest { name, key, ca, out } => attest::run(ctx, &name, key.as_deref(), ca, out).await,
        TokenCommand::Init { name, pin } => init(ctx, name, &pin).await,
    }
}

async fn list(ctx: &Ctx) -> Result<(), Error> {
    let tokens = tokens(ctx).await?;
    let mut table = Table::new(&["NAME", "KIND", "STATE", "SERIAL", "LABEL", "PIN", "KEYS"]);
    for token in &tokens {
        table.row([
            shown(&token.name).to_string(),
            shown(&token.kind).to_string(),
            presence(token.presence()).to_owned(),
            shown(&token.serial).to_string(),
            shown(&token.label).to_string(),
            pin(token),
            token.keys.len().to_string(),
        ]);
    }
    let text = if table.is_empty() {
        "No tokens: list them as [[token]] in touchmarkd's configuration.".to_owned()
    } else {
        table.to_string()
    };
    ctx.out.answer(&text, &json!({ "tokens": tokens.iter().map(to_json).collect::<Vec<_>>() }))
}

async fn info(ctx: &Ctx, name: &str) -> Result<(), Error> {
    let tokens = tokens(ctx).await?;
    let token = find(&tokens, name)?;
    let model = [&token.manufacturer, &token.model, &token.firmware];
    let mut lines = vec![
        in_words(token),
        format!("  {}", model.map(|part| shown(part).to_string()).join(" ").trim_end()),
    ];
    if !token.factory_values.is_empty() {
        lines.push(format!(
            "  as the factory sets it for every one: {}; touchmark token init {}",
            shown(&token.factory_values.join(", ")),
            shown(&token.name)
        ));
    }
    if !token.waiting_for.is_empty() {
        lines.push(format!("  held by: {}", shown(&token.waiting_for)));
    }
    lines.extend(token.keys.iter().map(|one| format!("  {}", key::in_words(one))));
    ctx.out.answer(&lines.join("\n"), &json!({ "token": to_json(token) }))
}

async fn init(ctx: &Ctx, name: String, pin: &PinArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    let events = daemon.tokens().init(v1::InitTokenRequest { name }).await.map_err(failure)?;
    let token = daemon.drive(events.into_inner()).await?;
    ctx.out.answer(&format!("Ready: {}", in_words(&token)), &json!({ "token": to_json(&token) }))
}

async fn tokens(ctx: &Ctx) -> Result<Vec<v1::Token>, Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    Ok(daemon.tokens().list(v1::ListTokensRequest {}).await.map_err(failure)?.into_inner().tokens)
}

/// The token of that name.
///
/// # Errors
/// `TOKEN_UNKNOWN`, with the names that there are.
pub fn find<'a>(tokens: &'a [v1::Token], name: &str) -> Result<&'a v1::Token, Error> {
    tokens.iter().find(|token| token.name == name).ok_or_else(|| {
        let names = tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::new(
            Reason::TokenUnknown,
            format!("no token is named \"{}\"; there are: {}", shown(name), shown(&names)),
        )
        .hint("touchmark token ls")
    })
}

/// A token in one line.
#[must_use]
pub fn in_words(token: &v1::Token) -> String {
    let mut line = format!("{} ({}): {}", shown(&token.name), shown(&token.kind), presence(token.presence()));
    for (name, value) in [("serial", &token.serial), ("label", &token.label)] {
        if !value.is_empty() {
            line.push_str(&format!(", {name} {}", shown(value)));
        }
    }
    let pin = pin(token);
    if !pin.is_empty() {
        line.push_str(&format!(", PIN {pin}"));
    }
    if token.logged_in {
        line.push_str(", logged in");
    }
    if !token.detail.is_empty() {
        line.push_str(&format!(": {}", shown(&token.detail)));
    }
    line
}

/// A token as JSON.
#[must_use]
pub fn to_json(token: &v1::Token) -> Value {
    json!({
        "name": token.name,
        "kind": token.kind,
        "presence": presence(token.presence()),
        "serial": token.serial,
        "label": token.label,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "firmware": token.firmware,
        "tries_left": u32::try_from(token.tries_left).ok(),
        "pin_state": token.pin_state,
        "logged_in": token.logged_in,
        "detail": token.detail,
        "waiting_for": token.waiting_for,
        "touch_deadline_unix_ms": token.touch_deadline_unix_ms,
        "factory_values": token.factory_values,
        "keys": token.keys.iter().map(key::to_json).collect::<Vec<_>>(),
    })
}

/// The word for a presence.
#[must_use]
pub const fn presence(presence: v1::TokenPresence) -> &'static str {
    match presence {
        v1::TokenPresence::Unspecified => "unknown",
        v1::TokenPresence::Opening => "opening",
        v1::TokenPresence::Present => "present",
        v1::TokenPresence::Absent => "absent",
        v1::TokenPresence::Mismatch => "mismatch",
        v1::TokenPresence::Failed => "failed",
    }
}

fn pin(token: &v1::Token) -> String {
    match (token.pin_state.as_str(), token.tries_left) {
        ("", ..0) => String::new(),
        ("", tries) => format!("{tries} tries left"),
        (state, ..0) => shown(state).to_string(),
        (state, tries) => format!("{}, {tries} tries left", shown(state)),
    }
}

#[cfg(test)]
mod tests;
