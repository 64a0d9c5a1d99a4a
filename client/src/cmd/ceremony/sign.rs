//! `ceremony sign`: everything is checked again from the documents themselves, before anybody touches anything; then one
//! token signs what it can, each signature on the stick before the next one is asked for, and a root key seals it all.
mod checks;
mod signer;
mod standing;

use std::collections::BTreeSet;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{KeyId, Sha256Digest, shown};

use super::{device, plan as planning, show};
use crate::args::CeremonySignArgs;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan};
use crate::ceremony::transcript::{
    Audit, Begun, Device, FORMAT, Found, Resumed, Said, Sealed, Share, Transcript,
};
use crate::ceremony::words::{self, repositories};
use crate::ceremony::{TOOL, file, growing, vouched};
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::prompt::Prompter;

use signer::Signer;

pub(super) async fn run(ctx: &Ctx, args: CeremonySignArgs) -> Result<(), Error> {
    let (plan, digest) = Plan::load(&args.plan)?;
    let mut asked = vec![checks::fingerprint(ctx, &args, &digest).await?];
    checks::occasion(&plan, Occasion::of(&args.rehearsal))?;
    checks::clock(&plan, ctx.now)?;
    let items = planning::checked(ctx, &plan)?;
    checks::ends(&items, ctx.now)?;
    let authorities = vouched::authorities(ctx, args.ca.as_deref())?;

    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let token = device::ready(&daemon, &args.token).await?;
    let keys = checks::keys_of(&plan, &items, &token)?;
    let said = proofs(ctx, &daemon, &plan, &items, &token, authorities.as_ref()).await?;

    let (mut transcript, done) = begin(&args, &plan, &digest, &items, &daemon, &keys, ctx)?;
    transcript.append(&Said::Device(said))?;
    asked.drain(..).try_for_each(|one| transcript.append(&Said::Asked(one)))?;
    let mut signer = Signer { ctx, args: &args, daemon: &daemon, token: &token, transcript, done, total: 0 };
    let signed = signer.all(&plan, &digest, &items, &keys).await;
    if let Err(cause) = signed {
        return Err(signer.unfinished(cause));
    }
    let Signer { mut transcript, total, .. } = signer;
    let seal = seal(&daemon, &token, &mut transcript, &keys).await;
    seal.map_err(|cause| again(&args, format!("all {total} are signed, but not sealed"), cause))?;
    let share = Share::read(&transcript.text()?).map_err(|why| Error::internal(why.to_string()))?;
    share.check((&plan, &digest), &items, &*ctx.checked).map_err(|why| {
        Error::internal(format!("{} does not read back as it was written: {why}", transcript.name()))
    })?;
    told(ctx, &args, &plan, &items, &share, &transcript)
}

/// What the token proves of its keys; those that are new in the plan must be proved where somebody says whom to trust.
async fn proofs(
    ctx: &Ctx,
    daemon: &Daemon,
    plan: &Plan,
    items: &[Item<'_>],
    token: &v1::Token,
    authorities: Option<&crate::attestation::Authorities>,
) -> Result<Device, Error> {
    let (mut attestation, mut proved) = (std::collections::BTreeMap::new(), Vec::new());
    let mut keys = Vec::new();
    for (id, public, _) in device::root_keys(token)? {
        if !items.iter().any(|item| item.quorum.keys().contains(&id)) {
            continue;
        }
        keys.push(id);
        let is_new = items.iter().any(|item| item.is_new_key(&id));
        let asked = device::attest(ctx, daemon, token, &public, authorities.filter(|_| is_new)).await;
        let proof = match asked {
            Ok(proof) => proof,
            Err(cause) if is_new && authorities.is_some() => return Err(cause),
            Err(cause) => {
                ctx.out.warn(&format!("{}: {}", words::name(plan, &id), cause.message));
                continue;
            }
        };
        if !proof.certificates.is_empty() {
            let encoded = proof.certificates.iter().map(|der| device::base64(der)).collect();
            attestation.insert(id.to_string(), encoded);
        }
        match &proof.attested {
            Some(attested) => proved.push(format!("{id}: {}", device::proved(attested))),
            None if is_new && token.kind == "yubikey" => ctx.out.warn(&format!(
                "{}: that this key was made on the YubiKey is not checked here; --ca FILE checks it",
                words::name(plan, &id)
            )),
            None => {}
        }
    }
    Ok(Device {
        token: token.name.clone(),
        token_kind: token.kind.clone(),
        serial: token.serial.clone(),
        label: token.label.clone(),
        firmware: token.firmware.clone(),
        keys,
        attestation,
        attested: (!proved.is_empty()).then(|| proved.join("; ")),
    })
}

/// Opens the transcript: a new one, or one that fits.
fn begin(
    args: &CeremonySignArgs,
    plan: &Plan,
    digest: &Sha256Digest,
    items: &[Item<'_>],
    daemon: &Daemon,
    keys: &[KeyId],
    ctx: &Ctx,
) -> Result<(Transcript, BTreeSet<(String, KeyId)>), Error> {
    let key = keys.first().copied().ok_or_else(|| Error::internal("no key is left"))?;
    let (mut transcript, found) = Transcript::open(&args.out, growing::moment)?;
    let invalid = |why: String, hint: String| {
        Err(Error::new(Reason::CeremonyInvalid, format!("{}: {why}", file::name(&args.out))).hint(hint))
    };
    let another = || "another --out, or move it away".to_owned();
    match found {
        Found::Nothing => transcript.append(&Said::Begun(Begun {
            format: FORMAT.to_owned(),
            plan: *digest,
            title: plan.title.clone(),
            rehearsal: plan.occasion == Occasion::Rehearsal,
            tool: TOOL.to_owned(),
            daemon: format!("touchmarkd {}", daemon.status().version),
            key,
        }))?,
        Found::Earlier(share, dropped) => {
            if let Err(why) = share.check_unsealed((plan, digest), items, &*ctx.checked) {
                return invalid(why.to_string(), another());
            }
            if share.begun.key != key {
                return invalid(format!("it was begun with the key {}", share.begun.key), another());
            }
            if share.sealed.is_some() {
                let merge = format!(
                    "touchmark ceremony merge {} {} --out RECORD",
                    file::name(&args.plan),
                    file::name(&args.out)
                );
                return invalid("it is sealed already, so there is nothing left to sign".to_owned(), merge);
            }
            transcript.append(&Said::Resumed(Resumed { dropped }))?;
            let done =
                share.signed().map(|(_, signed)| (signed.repository.to_string(), signed.key)).collect();
            return Ok((transcript, done));
        }
    }
    Ok((transcript, BTreeSet::new()))
}

/// Has the first key of the token seal what was written.
async fn seal(
    daemon: &Daemon,
    token: &v1::Token,
    transcript: &mut Transcript,
    keys: &[KeyId],
) -> Result<(), Error> {
    let key = keys.first().copied().ok_or_else(|| Error::internal("no key is left"))?;
    let seal = daemon.seal(&key, &transcript.text()?).await?;
    let head = seal.audit.1.parse().map_err(|_| Error::internal("touchmarkd's audit head is none"))?;
    transcript.append(&Said::Sealed(Sealed {
        key,
        serial: token.serial.clone(),
        signature: seal.signature.as_bytes().to_vec(),
        audit: Audit { seq: seal.audit.0, head },
    }))
}

fn again(args: &CeremonySignArgs, so_far: String, cause: Error) -> Error {
    let mut command = format!(
        "touchmark ceremony sign {} --token {} --out {}",
        file::name(&args.plan),
        shown(&args.token),
        file::name(&args.out)
    );
    if args.rehearsal.rehearsal {
        command += " --rehearsal";
    }
    let hint = match &cause.hint {
        Some(first) => format!("{first}; {command} goes on"),
        None => format!("{command} goes on"),
    };
    let message = format!("{} ({so_far})", cause.message);
    Error { message, ..cause }.hint(hint)
}

fn told(
    ctx: &Ctx,
    args: &CeremonySignArgs,
    plan: &Plan,
    items: &[Item<'_>],
    share: &Share,
    transcript: &Transcript,
) -> Result<(), Error> {
    let count = share.signed().count();
    let signed: BTreeSet<(&str, KeyId)> =
        share.signed().map(|(_, one)| (one.repository.as_str(), one.key)).collect();
    let mut missing: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for item in items {
        let gun = item.repository.gun.as_str();
        let keys = signed.iter().filter(|(of, _)| *of == gun).map(|(_, key)| *key).collect();
        for (side, _) in item.quorum.missing(&keys) {
            *missing.entry(words::side_in_words(plan, side)).or_default() += 1;
        }
    }
    let mut lines = vec![format!("Signed {count} of {count}, and sealed: {}", transcript.name())];
    if missing.is_empty() {
        lines.push("Nobody else has to sign.".to_owned());
    }
    lines.extend(
        missing.iter().map(|(side, of)| format!("Still to be complete for {}: {side}", repositories(*of))),
    );
    lines.push(format!(
        "next: touchmark ceremony merge {} {} ... --out RECORD",
        file::name(&args.plan),
        transcript.name()
    ));
    ctx.out.answer(
        &lines.join("\n"),
        &json!({
            "transcript": args.out.to_string_lossy(),
            "signed": count,
            "key": share.begun.key.to_string(),
            "sealed": true,
            "rehearsal": share.begun.rehearsal,
            "missing": missing.keys().collect::<Vec<_>>(),
        }),
    )
}
