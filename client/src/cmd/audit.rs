//! `audit ...`: the daemon's record, checked here and not believed.
mod heads;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use touchmark_proto::audit::{Chain, ChainError, export, fields, head_message};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature as _, Instant, Method, PublicKey, Ring, shown};

use crate::args::{AuditArgs, AuditCommand, PinArgs};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;
use crate::table::Table;

pub use heads::{Head, remember};

/// Fields of a row that have a column of their own, or none.
const COLUMNS: &[&str] = &["seq", "time", "kind", "gun", "uid"];

/// Runs one of the audit commands.
///
/// # Errors
/// The daemon's refusal; `HASH_MISMATCH`, `ROLLBACK` or `SIGNATURE_INVALID` where the record is not what it was.
pub async fn run(ctx: &Ctx, args: AuditArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    match args.command {
        AuditCommand::Show { from, limit } => show(ctx, &daemon, from, limit.unwrap_or(0)).await,
        AuditCommand::Verify { expect } => verify(ctx, &daemon, expect.as_deref()).await,
        AuditCommand::Export { out } => export_rows(ctx, &daemon, out.as_deref()).await,
    }
}

async fn show(ctx: &Ctx, daemon: &Daemon, from: u64, limit: u64) -> Result<(), Error> {
    let rows = read(daemon, from, limit).await?;
    let mut table = Table::new(&["SEQ", "TIME", "UID", "WHAT", "REPOSITORY", "MORE"]);
    for row in &rows {
        let event = fields(&row.json).unwrap_or_default();
        let text = |name: &str| event.get(name).map(plain).unwrap_or_default();
        let more = event.iter().filter(|(name, _)| !COLUMNS.contains(&name.as_str()));
        table.row([
            row.seq.to_string(),
            Instant::from_unix(row.time_unix_ms / 1000).to_string(),
            text("uid"),
            text("kind"),
            text("gun"),
            more.map(|(name, value)| format!("{}={}", shown(name), plain(value)))
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    let events: Vec<_> = rows.iter().map(|row| Value::from(fields(&row.json).unwrap_or_default())).collect();
    ctx.out.answer(&table.to_string(), &json!({ "rows": events }))
}

async fn verify(ctx: &Ctx, daemon: &Daemon, expect: Option<&str>) -> Result<(), Error> {
    let expected = expect.map(Head::parse).transpose()?;
    let remembered = heads::last(ctx, daemon)?;
    let rows = read(daemon, 1, 0).await?;
    let mut head = Head::default();
    for seen in [expected.as_ref(), remembered.as_ref()] {
        head = follow(&rows, seen).map_err(|cause| broken(&cause).hint(hint(&heads::file(ctx, daemon))))?;
    }
    let signed = signed_heads(daemon).await?;
    for signed in &signed {
        check_signed(&rows, signed)?;
    }
    remember(ctx, daemon, &head).await;
    let text = format!(
        "{} rows, unbroken; {} signed heads; the head is {}:{}",
        rows.len(),
        signed.len(),
        head.seq,
        head.hex()
    );
    let compared = remembered.map(|head| json!({ "seq": head.seq, "hash": head.hex() }));
    let document = json!({
        "rows": rows.len(),
        "seq": head.seq,
        "hash": head.hex(),
        "signed_heads": signed.len(),
        "compared_with": compared,
    });
    ctx.out.answer(&text, &document)
}

/// Follows the chain from its first row. Without rows the head stays at zero.
fn follow(rows: &[v1::AuditRow], seen: Option<&Head>) -> Result<Head, ChainError> {
    let mut chain = Chain::default();
    if let Some(seen) = seen {
        chain = chain.expecting(seen.seq, seen.hash);
    }
    rows.iter().try_for_each(|row| chain.push(row))?;
    chain.finish().map(|(seq, hash)| Head { seq, hash })
}

fn broken(cause: &ChainError) -> Error {
    let reason = match cause {
        ChainError::Truncated { .. } | ChainError::Rewritten { .. } => Reason::Rollback,
        ChainError::Sequence { .. }
        | ChainError::Previous { .. }
        | ChainError::Hash { .. }
        | ChainError::Malformed { .. } => Reason::HashMismatch,
    };
    Error::new(reason, format!("the daemon's record is not what it was: {cause}"))
}

fn hint(file: &Path) -> String {
    format!(
        "`touchmark audit export --out FILE` and compare with earlier exports; after a wanted new start of the \
         daemon's state: rm {}",
        file.display()
    )
}

fn check_signed(rows: &[v1::AuditRow], signed: &v1::SignedHead) -> Result<(), Error> {
    let wrong = |what: &str| {
        Error::new(Reason::SignatureInvalid, format!("the signed head at row {}: {what}", signed.seq))
    };
    let row =
        rows.iter().find(|row| row.seq == signed.seq).ok_or_else(|| wrong("the record has no such row"))?;
    if row.hash != signed.hash {
        return Err(wrong("the row is another one now"));
    }
    let hash =
        <[u8; 32]>::try_from(signed.hash.as_slice()).map_err(|_| wrong("its hash has a wrong length"))?;
    let key = PublicKey::from_spki(&signed.public_key).map_err(|_| wrong("its key cannot be read"))?;
    if !Ring.check(&key, Method::Ecdsa, &head_message(signed.seq, &hash), &signed.signature) {
        return Err(wrong("its signature is wrong"));
    }
    Ok(())
}

async fn export_rows(ctx: &Ctx, daemon: &Daemon, out: Option<&Path>) -> Result<(), Error> {
    let rows = read(daemon, 1, 0).await?;
    let lines: String = rows.iter().map(|row| export(row) + "\n").collect();
    let Some(path) = out else { return ctx.out.raw(lines.as_bytes()) };
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|cause| Error::usage(format!("cannot write {}: {cause}", path.display())))?;
    let text = format!("Wrote {} rows to {}", rows.len(), path.display());
    ctx.out.answer(&text, &json!({ "file": path, "rows": rows.len() }))
}

async fn read(daemon: &Daemon, from_seq: u64, limit: u64) -> Result<Vec<v1::AuditRow>, Error> {
    let request = v1::AuditReadRequest { from_seq, limit };
    let mut stream = daemon.audit().read(request).await.map_err(failure)?.into_inner();
    let mut rows = Vec::new();
    while let Some(row) = stream.message().await.map_err(failure)? {
        rows.push(row);
    }
    Ok(rows)
}

async fn signed_heads(daemon: &Daemon) -> Result<Vec<v1::SignedHead>, Error> {
    let mut heads: Vec<v1::SignedHead> = Vec::new();
    loop {
        let signed_from_seq = heads.last().map_or(0, |last| last.seq.saturating_add(1));
        let request = v1::AuditHeadRequest { signed_from_seq };
        let more = daemon.audit().head(request).await.map_err(failure)?.into_inner().signed;
        if more.is_empty() {
            return Ok(heads);
        }
        heads.extend(more);
    }
}

/// A value without the quotes of a string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text).to_string(),
        other => shown(&other.to_string()).to_string(),
    }
}

#[cfg(test)]
mod tests;
