//! `vault ...`: makes the vault, changes the ways to open it, carries sealed copies.
mod backup;

use serde_json::{Value, json};
use touchmark_proto::v1;
use touchmark_tuf::{Instant, shown};

use crate::args::{PinArgs, VaultArgs, VaultCommand, VaultTokenCommand};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;

/// Runs one of the vault's commands.
///
/// # Errors
/// The daemon's refusal.
pub async fn run(ctx: &Ctx, args: VaultArgs) -> Result<(), Error> {
    let status = match args.command {
        VaultCommand::Init { token, passphrase: _, pin } => {
            init(ctx, token.unwrap_or_default(), &pin).await?
        }
        VaultCommand::Token { command } => match command {
            VaultTokenCommand::Add { name, pin } => add(ctx, name, &pin).await?,
            VaultTokenCommand::Rm { name, pin } => remove(ctx, name, &pin).await?,
        },
        VaultCommand::Passphrase { remove, pin } => passphrase(ctx, remove, &pin).await?,
        VaultCommand::Backup { file } => return backup::write(ctx, &file).await,
        VaultCommand::Restore { file, pin } => backup::restore(ctx, &file, &pin).await?,
    };
    report(ctx, &status)
}

async fn init(ctx: &Ctx, token: String, pin: &PinArgs) -> Result<v1::VaultStatus, Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    daemon
        .until_right(async || {
            let request = v1::VaultInitRequest { token: token.clone() };
            let events = daemon.vault().init(request).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await
}

async fn add(ctx: &Ctx, token: String, pin: &PinArgs) -> Result<v1::VaultStatus, Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    daemon
        .until_right(async || {
            let request = v1::VaultTokenRequest { token: token.clone() };
            let events = daemon.vault().add_token(request).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await
}

async fn remove(ctx: &Ctx, token: String, pin: &PinArgs) -> Result<v1::VaultStatus, Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    let request = v1::VaultTokenRequest { token };
    let events = daemon.vault().remove_token(request).await.map_err(failure)?;
    daemon.drive(events.into_inner()).await
}

async fn passphrase(ctx: &Ctx, remove: bool, pin: &PinArgs) -> Result<v1::VaultStatus, Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    let request = v1::VaultPassphraseRequest { remove };
    let events = daemon.vault().set_passphrase(request).await.map_err(failure)?;
    daemon.drive(events.into_inner()).await
}

/// Says how the vault is now.
///
/// # Errors
/// Standard output cannot be written.
pub fn report(ctx: &Ctx, status: &v1::VaultStatus) -> Result<(), Error> {
    if status.ways.len() == 1 {
        ctx.out.warn(&only_way(status));
    }
    ctx.out.answer(&in_words(status), &json!({ "vault": to_json(status) }))
}

/// The vault's state in one or two lines.
#[must_use]
pub fn in_words(status: &v1::VaultStatus) -> String {
    let ways = status.ways.iter().map(way).collect::<Vec<_>>().join(", ");
    match status.state() {
        v1::VaultState::None | v1::VaultState::Unspecified => "no vault yet".to_owned(),
        v1::VaultState::Locked => format!("locked; {} opened by {ways}", count(status.keys, "key")),
        v1::VaultState::Open => {
            let until = match status.open_until_unix {
                0 => String::new(),
                unix => format!(" until {}", Instant::from_unix(unix)),
            };
            format!("open{until}; {} opened by {ways}", count(status.keys, "key"))
        }
    }
}

/// The warning while one lost token would be the end of it.
fn only_way(status: &v1::VaultStatus) -> String {
    let way = status.ways.first().map_or_else(String::new, way);
    format!("there is one way to open the vault ({way}); add a spare: touchmark vault token add NAME")
}

/// The vault's state as JSON.
#[must_use]
pub fn to_json(status: &v1::VaultStatus) -> Value {
    json!({
        "state": match status.state() {
            v1::VaultState::None | v1::VaultState::Unspecified => "none",
            v1::VaultState::Locked => "locked",
            v1::VaultState::Open => "open",
        },
        "keys": status.keys,
        "ways": status.ways.iter().map(|way| json!({
            "kind": if way.token.is_empty() { "passphrase" } else { "token" },
            "token": way.token,
            "serial": way.serial,
            "method": way.method,
        })).collect::<Vec<_>>(),
        "memory": status.memory,
        "locked_bytes": status.locked_bytes,
        "locked_limit": status.locked_limit,
        "open_until_unix": status.open_until_unix,
    })
}

fn way(way: &v1::VaultWay) -> String {
    if way.token.is_empty() {
        return "the passphrase".to_owned();
    }
    format!("token \"{}\" ({})", shown(&way.token), shown(&way.method))
}

fn count(number: u32, noun: &str) -> String {
    if number == 1 { format!("1 {noun},") } else { format!("{number} {noun}s,") }
}

#[cfg(test)]
mod tests;
