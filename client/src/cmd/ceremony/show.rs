//! `ceremony show`: a plan in words, what changes alike folded together, with what people compare over the telephone.
use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::transcript;
use touchmark_tuf::{Sha256Digest, shown};

use super::{device, plan as planning};
use crate::args::CeremonyShowArgs;
use crate::attestation::Authorities;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan, RootKey};
use crate::ceremony::words::{self, repositories, short};
use crate::ceremony::{file, fingerprint, needs, vouched};
use crate::context::Ctx;
use crate::error::Error;

/// How many repositories that change alike are named.
const NAMED: usize = 3;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What changes alike once.
    Folded,
    /// Every repository, with every id.
    All,
}

pub(super) fn run(ctx: &Ctx, args: &CeremonyShowArgs) -> Result<(), Error> {
    let (plan, digest) = load(args)?;
    let items = planning::checked(ctx, &plan)?;
    let detail = if args.all { Detail::All } else { Detail::Folded };
    let mut lines = vec![format!("{}: {}", file::name(&args.file), repositories(items.len()))];
    lines.extend(describe(&plan, &digest, &items, detail));
    if plan.good_until < ctx.now {
        ctx.out.warn(&format!("the plan was good until {}, which is over", plan.good_until));
    }
    warn(ctx, &plan, &items);
    let authorities = vouched::authorities(ctx, None)?;
    let attested = plan.keys.iter().filter_map(|key| attestation(ctx, key, authorities.as_ref()));
    lines.extend(attested.map(|(key, said)| format!("  {}: {said}", words::name(&plan, &key))));
    if args.qr {
        lines.push(String::new());
        lines.push(qr(&digest)?);
    }
    ctx.out.answer(&lines.join("\n"), &to_json(ctx, &plan, &digest, &items)?)
}

/// A plan, or the one in the record of a ceremony.
fn load(args: &CeremonyShowArgs) -> Result<(Plan, Sha256Digest), Error> {
    let bytes = file::read(&args.file)?;
    let text = std::str::from_utf8(&bytes).ok();
    let record = text.and_then(|text| transcript::read(text).ok()).map(|(entries, _)| entries);
    let inside =
        record.as_ref().and_then(|entries| entries.first()).and_then(|entry| entry.fields.get("plan"));
    let bytes = match (inside.and_then(Value::as_str), &record) {
        (Some(plan), _) if plan.starts_with('{') => plan.as_bytes().to_vec(),
        (_, Some(_)) => {
            let message =
                format!("{} is the transcript of one signer, and holds no plan", file::name(&args.file));
            return Err(Error::new(Reason::CeremonyInvalid, message)
                .hint("touchmark ceremony show PLAN, or touchmark ceremony verify on the transcript"));
        }
        _ => bytes,
    };
    let plan = Plan::parse(&bytes).map_err(|cause| {
        let message = format!("{} is not to be used: {cause}", file::name(&args.file));
        Error::new(Reason::CeremonyInvalid, message).hint("copy the plan again from where it was made")
    })?;
    Ok((plan, Sha256Digest::of(&bytes)))
}

/// A plan in words.
pub(super) fn describe(
    plan: &Plan,
    digest: &Sha256Digest,
    items: &[Item<'_>],
    detail: Detail,
) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(format!("  {}", shown(&plan.title)));
    if plan.occasion == Occasion::Rehearsal {
        lines.push("  REHEARSAL: made-up repositories, never to be published".to_owned());
    }
    lines.push(format!(
        "  made {} by {}; may be signed until {}",
        plan.made,
        shown(&plan.tool),
        plan.good_until
    ));
    lines.push(format!("  fingerprint: {}", fingerprint::words(digest)));
    lines.push(format!("       sha256: {digest}"));
    for group in words::folded(plan, items) {
        lines.push(String::new());
        lines.push(names(&group.items));
        lines.extend(group.lines.iter().map(|line| format!("  - {line}")));
        if detail == Detail::All {
            for item in &group.items {
                lines.push(format!("  {}", item.repository.gun));
                lines.push(format!("    document sha256: {}", item.digest));
                lines.extend(item.differences.iter().map(|difference| format!("    {difference}")));
            }
        }
    }
    lines.push(String::new());
    lines.push("Root keys".to_owned());
    lines.extend(needs::keys(plan, items).iter().map(|key| format!("  - {}", key.in_words(plan))));
    lines
}

/// Says what is to be worried about.
pub(super) fn warn(ctx: &Ctx, plan: &Plan, items: &[Item<'_>]) {
    for warning in needs::warnings(plan, items) {
        ctx.out.warn(&warning);
    }
}

fn names(items: &[&Item<'_>]) -> String {
    let few: Vec<&str> = items.iter().take(NAMED).map(|item| item.repository.gun.as_str()).collect();
    match items.len() {
        count if count <= NAMED => few.join(", "),
        count => format!("{count} repositories: {} ... (--all names each)", few.join(", ")),
    }
}

/// What the enclosed attestation of a key is worth.
fn attestation(
    ctx: &Ctx,
    key: &RootKey,
    authorities: Option<&Authorities>,
) -> Option<(touchmark_tuf::KeyId, String)> {
    if key.attestation.is_empty() {
        return None;
    }
    let said = match authorities {
        None => {
            "an attestation comes along, and is not checked: there is no attestation-ca.pem here".to_owned()
        }
        Some(authorities) => {
            let checked = authorities
                .check(&key.attestation, ctx.now)
                .and_then(|attested| attested.is_about(&key.serial, Some(&key.public)).map(|()| attested));
            match checked {
                Ok(attested) => device::proved(&attested),
                Err(why) => format!("NOT ATTESTED: {why}"),
            }
        }
    };
    Some((key.public.canonical_id(), said))
}

/// The fingerprint, drawn with half blocks: light where a terminal is dark.
fn qr(digest: &Sha256Digest) -> Result<String, Error> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::new(digest.to_oci())
        .map_err(|cause| Error::internal(format!("the QR code: {cause}")))?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build())
}

/// A plan for scripts.
pub(super) fn to_json(
    ctx: &Ctx,
    plan: &Plan,
    digest: &Sha256Digest,
    items: &[Item<'_>],
) -> Result<Value, Error> {
    let authorities = vouched::authorities(ctx, None)?;
    let keys: Vec<Value> = needs::keys(plan, items)
        .iter()
        .map(|key| {
            let known = key.known;
            let text = |of: fn(&RootKey) -> &String| known.map(of);
            json!({
                "id": key.id.to_string(),
                "short": short(&key.id),
                "label": text(|key| &key.label),
                "token_kind": text(|key| &key.token_kind),
                "serial": text(|key| &key.serial),
                "firmware": text(|key| &key.firmware),
                "touch_policy": text(|key| &key.touch_policy),
                "pin_policy": text(|key| &key.pin_policy),
                "attestation": known.and_then(|key| attestation(ctx, key, authorities.as_ref())).map(|said| said.1),
                "repositories": key.repositories,
                "indispensable": key.indispensable,
                "touches": key.touches(),
            })
        })
        .collect();
    let repositories: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "name": item.repository.gun.as_str(),
                "trust_server": item.repository.server,
                "version": item.root.version.get(),
                "sha256": item.digest.to_string(),
                "expires_unix": item.root.expires.instant().unix(),
                "changes": words::changes(plan, item),
                "differences": item.differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "quorum": item.quorum.sides().iter().map(|side| json!({
                    "threshold": side.threshold,
                    "keys": side.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(json!({
        "title": plan.title,
        "rehearsal": plan.occasion == Occasion::Rehearsal,
        "made_unix": plan.made.unix(),
        "good_until_unix": plan.good_until.unix(),
        "tool": plan.tool,
        "fingerprint": fingerprint::words(digest),
        "sha256": digest.to_string(),
        "keys": keys,
        "repositories": repositories,
        "warnings": needs::warnings(plan, items),
    }))
}
