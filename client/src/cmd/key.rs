//! `key ...`: lists, makes, imports, exports, removes keys. Private keys only ever come in.
mod import;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Instant, shown};

use crate::args::{KeyArgs, KeyCommand, KeyCreateCommand, PinArgs, YesArgs};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Prompter, confirm};
use crate::table::Table;

/// Digits of a key id that are enough for people.
const SHORT: usize = 12;

/// Runs one of the key commands.
///
/// # Errors
/// `KEY_UNKNOWN`, or the daemon's refusal.
pub async fn run(ctx: &Ctx, args: KeyArgs) -> Result<(), Error> {
    match args.command {
        KeyCommand::Ls => list(ctx).await,
        KeyCommand::Create { command } => create(ctx, command).await,
        KeyCommand::Import(args) => import::run(ctx, args).await,
        KeyCommand::Export { id, certificate } => export(ctx, &id, certificate.as_deref()).await,
        KeyCommand::Rm { id, yes } => remove(ctx, &id, yes).await,
    }
}

async fn list(ctx: &Ctx) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let keys = daemon.key_list().await?;
    let mut table = Table::new(&["ID", "ROLE", "WHERE", "CREATED", "EXPIRES", "LAST USED", "REPOSITORIES"]);
    for key in &keys {
        let expires = key.certificates.iter().map(|one| one.not_after_unix).min().unwrap_or(0);
        table.row([
            shown(key.id.get(..SHORT).unwrap_or(&key.id)).to_string(),
            role(key),
            place(key),
            date(key.created_unix),
            date(expires),
            if key.last_used_unix == 0 { "never".to_owned() } else { date(key.last_used_unix) },
            shown(&repositories(key).join(", ")).to_string(),
        ]);
    }
    let text = if table.is_empty() {
        "No keys yet: touchmark key create root --token NAME".to_owned()
    } else {
        table.to_string()
    };
    ctx.out.answer(&text, &json!({ "keys": keys.iter().map(to_json).collect::<Vec<_>>() }))
}

async fn create(ctx: &Ctx, command: KeyCreateCommand) -> Result<(), Error> {
    let (request, pin) = match command {
        KeyCreateCommand::Root { token, label, touch, pin_policy, pin } => {
            let request = v1::CreateKeyRequest {
                role: v1::Role::Root.into(),
                token,
                label: label.unwrap_or_default(),
                touch_policy: touch.unwrap_or_default(),
                pin_policy: pin_policy.unwrap_or_default(),
                ..Default::default()
            };
            (request, pin)
        }
        KeyCreateCommand::Targets { image, pin } => (vault_key(v1::Role::Targets, &image, "")?, pin),
        KeyCreateCommand::Delegation { name, image, pin } => {
            (vault_key(v1::Role::Delegation, &image, &name)?, pin)
        }
    };
    let daemon = Daemon::connect(ctx, Prompter::from_args(&pin)).await?;
    let key = make(&daemon, request).await?;
    ctx.out.answer(&key.id, &json!({ "key": to_json(&key) }))
}

/// A request for a key in the vault.
fn vault_key(role: v1::Role, image: &str, delegation: &str) -> Result<v1::CreateKeyRequest, Error> {
    Ok(v1::CreateKeyRequest {
        role: role.into(),
        repository: Image::parse(image)?.gun().to_string(),
        delegation: delegation.to_owned(),
        ..Default::default()
    })
}

/// Has a key made.
///
/// # Errors
/// The daemon's refusal.
pub async fn make(daemon: &Daemon, request: v1::CreateKeyRequest) -> Result<v1::Key, Error> {
    daemon
        .until_right(async || {
            let events = daemon.keys().create(request.clone()).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await
}

async fn export(ctx: &Ctx, id: &str, certificate: Option<&str>) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let keys = daemon.key_list().await?;
    let key = find(&keys, id)?;
    let pem = match certificate {
        None => pem("PUBLIC KEY", &key.public_key),
        Some(image) => {
            let gun = Image::parse(image)?.gun().to_string();
            let found = key.certificates.iter().find(|certificate| certificate.repository == gun);
            found.map(|certificate| certificate.pem.clone()).ok_or_else(|| {
                Error::new(Reason::KeyUnknown, format!("key {} has no certificate for {gun}", key.id))
                    .hint(format!("touchmark init {image} makes one"))
            })?
        }
    };
    ctx.out.answer(&pem, &json!({ "id": key.id, "pem": pem }))
}

async fn remove(ctx: &Ctx, id: &str, yes: YesArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let keys = daemon.key_list().await?;
    let key = find(&keys, id)?;
    confirm(&format!("Remove {} for ever?", in_words(key)), yes.into(), "--yes").await?;
    daemon
        .until_right(async || {
            let request = v1::RemoveKeyRequest { id: key.id.clone() };
            let events = daemon.keys().remove(request).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await?;
    ctx.out.answer(&format!("Removed key {}", key.id), &json!({ "removed": key.id }))
}

/// The one key that is meant: an id, a unique beginning of one, a label, or the id of a certificate.
///
/// # Errors
/// `KEY_UNKNOWN` if there is none, or more than one.
pub fn find<'a>(keys: &'a [v1::Key], written: &str) -> Result<&'a v1::Key, Error> {
    let written = written.to_lowercase();
    let is_meant = |key: &&v1::Key| {
        let begins = !written.is_empty() && key.id.starts_with(&written);
        begins
            || (!key.label.is_empty() && key.label.to_lowercase() == written)
            || key.certificates.iter().any(|certificate| certificate.key_id == written)
    };
    let unknown = |message: String| Error::new(Reason::KeyUnknown, message).hint("touchmark key ls");
    let mut meant = keys.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(unknown(format!("no key is \"{}\"", shown(&written)))),
        (Some(_), Some(_)) => Err(unknown(format!("more than one key is \"{}\"", shown(&written)))),
    }
}

/// A key in one line.
#[must_use]
pub fn in_words(key: &v1::Key) -> String {
    let id = shown(key.id.get(..SHORT).unwrap_or(&key.id)).to_string();
    let repositories = repositories(key).join(", ");
    let of = if repositories.is_empty() { String::new() } else { format!(" of {}", shown(&repositories)) };
    format!("{} key {id}{of}, {}", role(key), place(key))
}

/// A key as JSON.
#[must_use]
pub fn to_json(key: &v1::Key) -> Value {
    json!({
        "id": key.id,
        "role": role(key),
        "repositories": repositories(key),
        "token": key.token,
        "serial": key.serial,
        "label": key.label,
        "created_unix": key.created_unix,
        "last_used_unix": key.last_used_unix,
        "origin": key.origin,
        "touch_policy": key.touch_policy,
        "pin_policy": key.pin_policy,
        "certificates": key.certificates.iter().map(|certificate| json!({
            "repository": certificate.repository,
            "key_id": certificate.key_id,
            "not_after_unix": certificate.not_after_unix,
        })).collect::<Vec<_>>(),
    })
}

/// A root key serves the repositories that it has certificates for.
fn repositories(key: &v1::Key) -> Vec<String> {
    if key.role() == v1::Role::Root {
        return key.certificates.iter().map(|certificate| certificate.repository.clone()).collect();
    }
    key.repositories.clone()
}

fn role(key: &v1::Key) -> String {
    match key.role() {
        v1::Role::Unspecified => "unknown".to_owned(),
        v1::Role::Root => "root".to_owned(),
        v1::Role::Targets => "targets".to_owned(),
        v1::Role::Snapshot => "snapshot".to_owned(),
        v1::Role::Delegation => format!("targets/{}", shown(&key.delegation)),
    }
}

fn place(key: &v1::Key) -> String {
    if key.token.is_empty() {
        return "vault".to_owned();
    }
    let policies = [("touch", &key.touch_policy), ("PIN", &key.pin_policy)];
    let known = policies.iter().filter(|(_, policy)| !policy.is_empty());
    let known: Vec<String> = known.map(|(of, policy)| format!("{of} {}", shown(policy))).collect();
    let asks = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    format!("token {}{asks}", shown(&key.token))
}

fn date(unix: i64) -> String {
    if unix == 0 {
        return String::new();
    }
    Instant::from_unix(unix).to_string().split('T').next().unwrap_or_default().to_owned()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    // 64 columns, as RFC 7468 section 2 wants them; base64 is ASCII.
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests;
