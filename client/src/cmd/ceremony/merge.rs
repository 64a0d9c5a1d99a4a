//! `ceremony merge`: what several people signed, checked and put together into the record of the ceremony.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{CheckSignature, Gun, KeyId, shown};

use crate::args::CeremonyMergeArgs;
use crate::ceremony::assembly::{Gathered, gather};
use crate::ceremony::growing::moment;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan};
use crate::ceremony::record::{Book, Completed, FORMAT, Included, Merged, Noted};
use crate::ceremony::transcript::{Share, ShareError};
use crate::ceremony::vouched::{self, Vouched};
use crate::ceremony::{TOOL, file, fingerprint, words};
use crate::checked::Checked;
use crate::context::Ctx;
use crate::error::Error;

/// A transcript that counts.
struct Taken {
    name: String,
    text: String,
    share: Share,
    vouched: Vouched,
}

pub(super) fn run(ctx: &Ctx, args: &CeremonyMergeArgs) -> Result<(), Error> {
    let (plan, digest) = Plan::load(&args.plan)?;
    let checker: Arc<dyn CheckSignature + Send + Sync> = Arc::<Checked>::clone(&ctx.checked);
    let items = plan.repositories.iter().map(|one| Item::check(one, plan.occasion, &checker));
    let items: Vec<Item<'_>> = items.collect::<Result<_, _>>()?;
    let authorities = vouched::authorities(ctx, None)?;
    let mut taken: Vec<Taken> = Vec::new();
    let mut once: Vec<String> = Vec::new();
    for path in &args.transcripts {
        let text = String::from_utf8(file::read(path)?).map_err(|_| refuse(path, &ShareError::Format))?;
        if let Some(before) = taken.iter().find(|taken| taken.text == text) {
            once.push(format!("{} is the same as {}", file::name(path), shown(&before.name)));
            continue;
        }
        let share = Share::read(&text).map_err(|why| refuse(path, &why))?;
        share.check((&plan, &digest), &items, &*checker).map_err(|why| refuse(path, &why))?;
        let vouched = vouched::check(&share, authorities.as_ref()).map_err(|(seq, why)| {
            let message = format!("{}: entry {seq} (device): the attestation: {why}", file::name(path));
            Error { message, ..Error::from(why) }
        })?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        taken.push(Taken { name, text, share, vouched });
    }
    let (gathered, twice) = gather(taken.iter().map(|taken| &taken.share));
    let named = |at: usize| taken.get(at).map(|taken| shown(&taken.name).to_string()).unwrap_or_default();
    let mut said = BTreeSet::new();
    for double in &twice {
        let (first, again) = (named(double.first), named(double.again));
        said.insert(format!("{} signed in {first} and in {again}", words::name(&plan, &double.key)));
    }
    once.extend(said);
    for double in &once {
        ctx.out.say(&format!("{double}: that counts once"));
    }
    if let Some(missing) = missing(&plan, &items, &gathered) {
        return Err(missing);
    }
    let mut notes = vec![Noted::Merged(Merged {
        format: FORMAT.to_owned(),
        plan: String::from_utf8(plan.write()).unwrap_or_default(),
        tool: TOOL.to_owned(),
        rehearsal: plan.occasion == Occasion::Rehearsal,
    })];
    notes.extend(
        taken
            .iter()
            .map(|taken| Noted::Share(Included { name: taken.name.clone(), transcript: taken.text.clone() })),
    );
    for item in &items {
        notes.push(Noted::Completed(complete(item, &gathered, &checker)?));
    }
    Book::write_new(&args.out, &notes, moment)?;
    answer(ctx, args, &plan, &taken, &once)
}

fn complete(
    item: &Item<'_>,
    gathered: &BTreeMap<Gun, Gathered>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Completed, Error> {
    let gun = &item.repository.gun;
    let wrong = |why: String| {
        Error::new(Reason::CeremonyInvalid, format!("the signed root of {gun} would be refused: {why}"))
            .hint("touchmark ceremony show PLAN; touchmark ceremony plan makes a new one")
    };
    let one = gathered.get(gun).cloned().unwrap_or_default();
    let file = one.complete(item, checker).map_err(wrong)?;
    Ok(Completed {
        repository: gun.clone(),
        version: item.root.version.get(),
        digest: item.digest,
        file: String::from_utf8(file).map_err(|why| wrong(why.to_string()))?,
        signers: one.signers.into_iter().collect(),
    })
}

/// Who still has to sign what, if anybody has.
fn missing(plan: &Plan, items: &[Item<'_>], gathered: &BTreeMap<Gun, Gathered>) -> Option<Error> {
    let nobody = BTreeSet::new();
    let mut groups: BTreeMap<(usize, Vec<KeyId>), BTreeSet<&Gun>> = BTreeMap::new();
    for item in items {
        let gun = &item.repository.gun;
        let signed = gathered.get(gun).map_or(&nobody, |one| &one.signers);
        for (side, count) in item.quorum.missing(signed) {
            let open = side.keys.iter().filter(|key| !signed.contains(*key)).copied().collect();
            groups.entry((count, open)).or_default().insert(gun);
        }
    }
    if groups.is_empty() {
        return None;
    }
    let line = |((count, keys), guns): (&(usize, Vec<KeyId>), &BTreeSet<&Gun>)| {
        let names: Vec<String> = keys.iter().map(|key| words::name(plan, key)).collect();
        let more = match guns.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = guns.first().map(ToString::to_string).unwrap_or_default();
        format!("{first}{more}: {count} more of {}", names.join(", "))
    };
    let lines: Vec<String> = groups.iter().map(line).collect();
    let message = format!("signatures are missing, and nothing was written: {}", lines.join("; "));
    Some(Error::new(Reason::CeremonyIncomplete, message).hint(
        "touchmark ceremony sign PLAN --token NAME --out FILE there, then merge again with that file too",
    ))
}

fn refuse(path: &Path, why: &ShareError) -> Error {
    let name = file::name(path);
    let hint = match why {
        ShareError::Unsealed => {
            format!("touchmark ceremony sign PLAN --token NAME --out {name} there: it goes on and seals it")
        }
        ShareError::Plan { .. } | ShareError::Occasion => {
            "merge it with the plan that it was signed for, or have this plan signed".to_owned()
        }
        _ => "copy it again from where it was signed; what touchmarkd signed there is not lost".to_owned(),
    };
    let message = format!("{name} does not count, and nothing was written: {why}");
    Error::new(Reason::CeremonyInvalid, message).hint(hint)
}

fn answer(
    ctx: &Ctx,
    args: &CeremonyMergeArgs,
    plan: &Plan,
    taken: &[Taken],
    once: &[String],
) -> Result<(), Error> {
    let record = file::name(&args.out);
    let digest = touchmark_tuf::Sha256Digest::of(&file::read(&args.out)?);
    let count = plan.repositories.len();
    let mut text = format!(
        "Complete: {count} root{} of \"{}\", in {record}\n",
        if count == 1 { "" } else { "s" },
        shown(&plan.title)
    );
    let mut shares = Vec::new();
    for taken in taken {
        let mut keys: Vec<KeyId> = taken.share.signed().map(|(_, signed)| signed.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let names: Vec<String> = keys.iter().map(|key| words::name(plan, key)).collect();
        let signed = taken.share.signed().count();
        text += &format!(
            "  {}: {signed} signed by {}; {}\n",
            shown(&taken.name),
            names.join(", "),
            taken.vouched.in_words()
        );
        shares.push(json!({
            "name": taken.name,
            "keys": keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "signed": signed,
            "attestation": taken.vouched.as_str(),
        }));
    }
    let next = match plan.occasion {
        Occasion::Earnest => "next, online: touchmark ceremony publish",
        Occasion::Rehearsal => "a rehearsal, never published; next: touchmark ceremony publish",
    };
    text += &format!("{next} {record}");
    let document = json!({
        "record": args.out.to_string_lossy(),
        "title": plan.title,
        "rehearsal": plan.occasion == Occasion::Rehearsal,
        "repositories": count,
        "shares": shares,
        "counted_once": once,
        "sha256": digest.to_string(),
        "fingerprint": fingerprint::words(&digest),
    });
    ctx.out.answer(&text, &document)
}
