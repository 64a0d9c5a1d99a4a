//! `ceremony verify`: the record of a ceremony, or one transcript, against what is published.
mod served;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::transcript;
use touchmark_tuf::{CheckSignature, Gun, Sha256Digest, shown};

use crate::args::CeremonyVerifyArgs;
use crate::ceremony::anchors::Anchors;
use crate::ceremony::judge::{self, Anchor, Change, Verdict};
use crate::ceremony::plan::Occasion;
use crate::ceremony::record::Record;
use crate::ceremony::{file, fingerprint, report, vouched, words};
use crate::checked::Checked;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(ctx: &Ctx, args: CeremonyVerifyArgs) -> Result<(), Error> {
    let bytes = file::read(&args.file)?;
    let digest = Sha256Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::usage(format!("{} is no text, so no record of a ceremony", file::name(&args.file)))
    })?;
    let checker: Arc<dyn CheckSignature + Send + Sync> = Arc::<Checked>::clone(&ctx.checked);
    let authorities = vouched::authorities(ctx, args.ca.as_deref())?;
    let given = Anchors::read(&args.root, &checker)?;
    let changed = |change: Change| refuse(ctx, &args.file, change);
    if is_transcript(&text) {
        if args.report.is_some() {
            return Err(Error::usage("a report is about a whole ceremony, and this is one transcript of it")
                .hint("touchmark ceremony verify RECORD --report FILE"));
        }
        if args.root.is_empty() {
            return Err(Error::usage("a transcript names its repositories and not their trust servers")
                .hint("--root with the root.json that was signed; or verify the record of the ceremony"));
        }
        let lone = judge::lone(&text, &given, authorities.as_ref(), &*checker).map_err(changed)?;
        alone(ctx, &args.file, &digest, &lone)?;
        let signed: BTreeSet<&Gun> = lone.share.signed().map(|(_, signed)| &signed.repository).collect();
        let left: Vec<&Gun> = signed.iter().copied().filter(|gun| !lone.compared.contains(*gun)).collect();
        return all_compared(&left, signed.len());
    }
    let record = judge::read(&text).map_err(changed)?;
    let asked = args.root.is_empty() && record.plan.occasion == Occasion::Earnest;
    let published = if asked { served::roots(ctx, &record, &checker).await? } else { given };
    let verdict = judge::judge(&record, &published, authorities.as_ref(), &checker).map_err(changed)?;
    if asked {
        on_the_server(&record, &verdict).map_err(changed)?;
    }
    if record.plan.occasion == Occasion::Earnest
        && verdict.anchors.iter().all(|anchor| *anchor == Anchor::Absent)
    {
        let error = Error::usage("no published root of a repository in the record is there to compare with");
        return Err(error.hint(if asked {
            "touchmark ceremony publish RECORD first"
        } else {
            "--root with the root.json of its trust server; without --root that is asked"
        }));
    }
    if let Some(out) = &args.report {
        let page = report::page(&verdict, &digest, ctx.now);
        file::write_new(out, page.as_bytes())?;
    }
    whole(ctx, &args, &digest, &verdict)?;
    if asked {
        return Ok(());
    }
    let absent = verdict.items.iter().zip(&verdict.anchors).filter(|(_, anchor)| **anchor == Anchor::Absent);
    let left: Vec<&Gun> = absent.map(|(item, _)| &item.repository.gun).collect();
    all_compared(&left, verdict.items.len())
}

/// Whoever brings published roots wants everything compared with one.
fn all_compared(left: &[&Gun], of: usize) -> Result<(), Error> {
    let Some((first, more)) = left.split_first() else { return Ok(()) };
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let message = format!(
        "no published root of {first}{more} is there to compare with ({} of {of} repositories)",
        left.len()
    );
    Err(Error::new(Reason::CeremonyIncomplete, message)
        .hint("--root once more for each root.json, or a folder with all of them"))
}

fn is_transcript(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    transcript::Chain::default().push(first).is_ok_and(|entry| entry.kind == "begun")
}

/// What the record calls published, the server must have.
fn on_the_server(record: &Record, verdict: &Verdict<'_>) -> Result<(), Change> {
    for (item, anchor) in verdict.items.iter().zip(&verdict.anchors) {
        let gun = &item.repository.gun;
        let claim = record.published().find(|(_, published)| published.repository == *gun);
        if let (Some((seq, published)), Anchor::Absent) = (claim, anchor) {
            return Err(Change::not_there(seq, gun, &published.server));
        }
    }
    Ok(())
}

/// Says what does not fit; to scripts as the answer, too.
fn refuse(ctx: &Ctx, path: &Path, change: Change) -> Error {
    let document = json!({
        "file": path.to_string_lossy(),
        "whole": false,
        "entry": change.entry,
        "within": change.within.as_ref().map(|within| json!({ "name": within.name, "entry": within.entry })),
        "what": change.what,
        "means": change.means,
    });
    if let Err(cause) = ctx.out.answer("", &document) {
        return cause;
    }
    let error = Error::from(change);
    Error { message: format!("{} is {}", file::name(path), error.message), ..error }
}

fn whole(
    ctx: &Ctx,
    args: &CeremonyVerifyArgs,
    digest: &Sha256Digest,
    verdict: &Verdict<'_>,
) -> Result<(), Error> {
    let plan = &verdict.record.plan;
    let mut lines = vec![format!("Whole: \"{}\", {}", shown(&plan.title), file::name(&args.file))];
    lines.push(format!("  fingerprint {}", fingerprint::words(digest)));
    for judged in &verdict.shares {
        lines.push(format!(
            "  {}: sealed by {}, {} signed; {}",
            shown(&judged.name),
            words::name(plan, &judged.share.begun.key),
            judged.share.signed().count(),
            judged.vouched.in_words()
        ));
    }
    lines.extend(report::anchors_in_words(verdict).into_iter().map(|line| format!("  {line}")));
    lines.push(format!("  {}", judge::UNSIGNED));
    if let Some(out) = &args.report {
        lines.push(format!("  report to print: {}", file::name(out)));
    }
    ctx.out.answer(&lines.join("\n"), &to_json(args, digest, verdict))
}

fn to_json(args: &CeremonyVerifyArgs, digest: &Sha256Digest, verdict: &Verdict<'_>) -> Value {
    let (record, plan) = (verdict.record, &verdict.record.plan);
    let shares: Vec<Value> = verdict
        .shares
        .iter()
        .map(|judged| {
            json!({
                "entry": judged.seq,
                "name": judged.name,
                "key": judged.share.begun.key.to_string(),
                "signed": judged.share.signed().count(),
                "attestation": judged.vouched.as_str(),
            })
        })
        .collect();
    let repositories: Vec<Value> = verdict
        .items
        .iter()
        .zip(&verdict.anchors)
        .map(|(item, anchor)| {
            json!({
                "name": item.repository.gun.as_str(),
                "version": item.root.version.get(),
                "digest": item.digest.to_string(),
                "published": record.is_published(&item.repository.gun),
                "compared": anchor.as_str(),
            })
        })
        .collect();
    json!({
        "file": args.file.to_string_lossy(),
        "whole": true,
        "title": plan.title,
        "rehearsal": plan.occasion == Occasion::Rehearsal,
        "sha256": digest.to_string(),
        "fingerprint": fingerprint::words(digest),
        "plan": {
            "sha256": record.plan_digest.to_string(),
            "fingerprint": fingerprint::words(&record.plan_digest),
        },
        "shares": shares,
        "repositories": repositories,
        "unsigned": judge::UNSIGNED,
        "report": args.report.as_ref().map(|out| out.to_string_lossy()),
    })
}

fn alone(ctx: &Ctx, path: &Path, digest: &Sha256Digest, lone: &judge::LoneShare) -> Result<(), Error> {
    let share = &lone.share;
    let count = share.signed().count();
    let compared = share.signed().filter(|(_, signed)| lone.compared.contains(&signed.repository)).count();
    let text = format!(
        "Whole: {}, sealed by {}; {compared} of {count} signatures compared with published roots; {}",
        file::name(path),
        share.begun.key,
        lone.vouched.in_words()
    );
    let document = json!({
        "file": path.to_string_lossy(),
        "whole": true,
        "title": share.begun.title,
        "rehearsal": share.begun.rehearsal,
        "sha256": digest.to_string(),
        "plan": { "sha256": share.begun.plan.to_string() },
        "key": share.begun.key.to_string(),
        "signed": count,
        "compared": compared,
        "attestation": lone.vouched.as_str(),
    });
    ctx.out.answer(&text, &document)
}
