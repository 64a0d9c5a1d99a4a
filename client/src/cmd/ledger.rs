//! `ledger ...`: the versions that the daemon has given out, the one way to let go of one, and to believe the clock
//! again.
use serde_json::{Value, json};
use touchmark_proto::v1;
use touchmark_tuf::{Instant, RoleName, shown};

use crate::args::{LedgerArgs, LedgerCommand, PinArgs, YesArgs};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Prompter, confirm};
use crate::table::Table;

/// Runs one of the ledger's commands.
///
/// # Errors
/// The daemon's refusal.
pub async fn run(ctx: &Ctx, args: LedgerArgs) -> Result<(), Error> {
    match args.command {
        LedgerCommand::Show { image } => show(ctx, image.as_deref()).await,
        LedgerCommand::Release { image, role, version, reason, yes, pin } => {
            release(ctx, &Image::parse(&image)?, &role, version, reason, yes, &pin).await
        }
        LedgerCommand::BelieveClock { reason, yes, pin } => believe_clock(ctx, reason, yes, &pin).await,
    }
}

async fn show(ctx: &Ctx, image: Option<&str>) -> Result<(), Error> {
    let gun = image.map(Image::parse).transpose()?.map_or_else(String::new, |image| image.gun().to_string());
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let mut entries = daemon.ledger(gun).await?;
    // The newest version of each role first.
    entries.sort_by(|a, b| (&a.gun, &a.role, b.version).cmp(&(&b.gun, &b.role, a.version)));
    let mut table = Table::new(&["REPOSITORY", "ROLE", "VERSION", "STATE", "SHA-256", "WHEN"]);
    for entry in &entries {
        let state =
            if entry.confirmed { entry.state.clone() } else { format!("{}, unconfirmed", entry.state) };
        table.row([
            shown(&entry.gun).to_string(),
            shown(&entry.role).to_string(),
            entry.version.to_string(),
            shown(&state).to_string(),
            hex(&entry.sha256).get(..12).unwrap_or_default().to_owned(),
            Instant::from_unix(entry.time_unix_ms / 1000).to_string(),
        ]);
    }
    let text = if table.is_empty() { "Nothing was signed yet.".to_owned() } else { table.to_string() };
    ctx.out.answer(&text, &json!({ "entries": entries.iter().map(to_json).collect::<Vec<_>>() }))
}

async fn release(
    ctx: &Ctx,
    image: &Image,
    role: &str,
    version: u64,
    reason: String,
    yes: YesArgs,
    pin: &PinArgs,
) -> Result<(), Error> {
    let role: RoleName =
        role.parse().map_err(|cause| Error::usage(format!("\"{}\" is no role: {cause}", shown(role))))?;
    let what = format!("version {version} of {role} of {}", image.gun());
    let question = format!("Let go of {what}? Another document may then be signed under that number.");
    confirm(&question, yes.into(), "--yes").await?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    let request =
        v1::ReleaseLedgerRequest { gun: image.gun().to_string(), role: role.to_string(), version, reason };
    daemon
        .until_right(async || {
            let events = daemon.daemon().release_ledger(request.clone()).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await?;
    let document =
        json!({ "released": { "gun": image.gun().as_str(), "role": role.as_str(), "version": version } });
    ctx.out.answer(&format!("Released {what}"), &document)
}

async fn believe_clock(ctx: &Ctx, reason: String, yes: YesArgs, pin: &PinArgs) -> Result<(), Error> {
    let question = format!("Is it {} now? touchmarkd has seen a later time.", ctx.now);
    confirm(&question, yes.into(), "--yes").await?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    let request = v1::BelieveClockRequest { reason };
    let believed = daemon
        .until_right(async || {
            let events = daemon.daemon().believe_clock(request.clone()).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await?;
    let text = format!(
        "The clock is believed again; it is {} seconds behind the latest time seen before",
        believed.behind_ms / 1000
    );
    ctx.out.answer(&text, &json!({ "believed": { "behind_ms": believed.behind_ms } }))
}

fn to_json(entry: &v1::LedgerEntry) -> Value {
    json!({
        "gun": entry.gun,
        "role": entry.role,
        "version": entry.version,
        "sha256": hex(&entry.sha256),
        "state": entry.state,
        "confirmed": entry.confirmed,
        "time_unix_ms": entry.time_unix_ms,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
