//! `ceremony sign`: everything is checked again from the documents themselves, before anybody touches anything; then one
//! token signs what it can, each signature on the stick before the next one is asked for, and a root key seals it all.
mod checks;
mod standing;

use std::collections::BTreeSet;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature as _, KeyId, RoleName, Sha256Digest, Signature, shown};

use super::{device, plan as planning, show};
use crate::args::CeremonySignArgs;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan};
use crate::ceremony::transcript::{
    Asked, Audit, Begun, By, Device, FORMAT, Found, Refused, Resumed, Said, Sealed, Share, SignedRoot,
    Transcript, WrittenSignature,
};
use crate::ceremony::words::{self, repositories};
use crate::ceremony::{TOOL, file, growing, needs, vouched};
use crate::context::Ctx;
use crate::daemon::{Daemon, DocumentToSign, SignJob};
use crate::error::Error;
use crate::prompt::{self, Consent, PromptError, Prompter};

use standing::Standing;

/// Up to how many repositories each is told in a line of its own.
const TOLD: usize = 20;

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

/// Who signs, with what, and how far that has come.
struct Signer<'a> {
    ctx: &'a Ctx,
    args: &'a CeremonySignArgs,
    daemon: &'a Daemon,
    token: &'a v1::Token,
    transcript: Transcript,
    /// What the transcript has, by repository and key.
    done: BTreeSet<(String, KeyId)>,
    /// How many signatures there are in the end.
    total: usize,
}

/// One repository that still wants signatures of this token.
struct Todo<'i, 'p> {
    item: &'i Item<'p>,
    keys: Vec<KeyId>,
    standing: Standing,
}

impl Signer<'_> {
    async fn all(
        &mut self,
        plan: &Plan,
        digest: &Sha256Digest,
        items: &[Item<'_>],
        keys: &[KeyId],
    ) -> Result<(), Error> {
        let mut todo = Vec::new();
        for item in items {
            let part = item.quorum.keys();
            let own: Vec<KeyId> = keys.iter().copied().filter(|key| part.contains(key)).collect();
            self.total += own.len();
            let gun = item.repository.gun.as_str();
            let missing: Vec<KeyId> =
                own.into_iter().filter(|key| !self.done.contains(&(gun.to_owned(), *key))).collect();
            if !missing.is_empty() {
                let standing = Standing::of(self.daemon, item).await;
                let standing = standing.inspect_err(|cause| self.refused(Some(item), cause))?;
                todo.push(Todo { item, keys: missing, standing });
            }
        }
        self.show(plan, digest, items, &todo);
        self.ask(&todo).await?;
        let lines = todo.len() <= TOLD;
        let bar = if lines {
            indicatif::ProgressBar::hidden()
        } else {
            self.ctx.out.count_bar("signed", self.total)
        };
        for one in &todo {
            bar.set_position(self.done.len() as u64);
            self.one(one).await.inspect_err(|cause| self.refused(Some(one.item), cause))?;
            if lines {
                self.ctx.out.say(&format!(
                    "signed {} of {}: {}",
                    self.done.len(),
                    self.total,
                    one.item.repository.gun
                ));
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// What is about to be signed, and what that takes.
    fn show(&self, plan: &Plan, digest: &Sha256Digest, items: &[Item<'_>], todo: &[Todo<'_, '_>]) {
        for line in show::describe(plan, digest, items, show::Detail::Folded) {
            self.ctx.out.say(&line);
        }
        show::warn(self.ctx, plan, items);
        let new = todo.iter().filter(|one| one.standing.is_first_contact()).count();
        if new > 0 {
            self.ctx.out.warn(&format!(
                "touchmarkd here has not seen {} before: the published root keys are taken from the plan, and trusted here \
                 from now on",
                repositories(new)
            ));
        }
        let unsigned = todo.iter().filter(|one| !one.is_signed()).count();
        if unsigned > 1 && asks_each_time(self.daemon.status().caller.as_ref()) {
            self.ctx.out.warn(&format!(
                "touchmarkd asks for the PIN {unsigned} times, once for each repository; an [[allow]] in its \
                 configuration with actions = [\"read\", \"init\", \"rotate\", \"refresh\"] for you makes that one"
            ));
        }
    }

    async fn ask(&mut self, todo: &[Todo<'_, '_>]) -> Result<(), Error> {
        let signatures: usize = todo.iter().map(|one| one.keys.len()).sum();
        let touches = self.touches(todo);
        let question = if signatures == 0 {
            format!("Seal {} with the token {}?", self.transcript.name(), shown(&self.token.name))
        } else {
            let documents = if signatures == 1 { "root document" } else { "root documents" };
            format!("Sign {signatures} {documents} with the token {}{touches}?", shown(&self.token.name))
        };
        let consent = Consent::from(self.args.yes);
        let answer = prompt::confirm(&question, consent, "--yes").await;
        let by = if consent == Consent::Given { By::Flag } else { By::Terminal };
        let word = match &answer {
            Ok(()) => "yes",
            Err(PromptError::Declined { .. }) => "no",
            Err(_) => return Ok(answer?),
        };
        self.transcript.append(&Said::Asked(Asked { question, answer: word.to_owned(), by }))?;
        Ok(answer?)
    }

    fn touches(&self, todo: &[Todo<'_, '_>]) -> String {
        let policy = |key: &KeyId| {
            let id = key.to_string();
            self.token.keys.iter().find(|one| one.id == id).map(|one| one.touch_policy.as_str())
        };
        let unsigned = todo.iter().filter(|one| !one.is_signed()).flat_map(|one| &one.keys);
        let of: Vec<Option<&str>> = unsigned.map(policy).collect();
        let always = of.iter().filter(|policy| **policy == Some("always")).count();
        match always {
            0 if of.contains(&Some("cached")) => ", touching it every 15 seconds".to_owned(),
            0 => String::new(),
            // The seal is one more.
            always => format!(", {} touches", always + 1),
        }
    }

    /// Signs one repository, or takes over what touchmarkd has signed of it.
    async fn one(&mut self, todo: &Todo<'_, '_>) -> Result<(), Error> {
        let Todo { item, keys, standing } = todo;
        let gun = &item.repository.gun;
        let missing: Vec<KeyId> =
            keys.iter().copied().filter(|key| standing.signed(item, key).is_none()).collect();
        for key in keys {
            if let Some(signatures) = standing.signed(item, key) {
                self.note(item, key, &signatures, words::changes_in_full(item), None)?;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (bases, accept_root) = standing.bases(item);
        let job = SignJob {
            gun: gun.clone(),
            documents: vec![DocumentToSign {
                role: RoleName::Root,
                keys: missing.clone(),
                bytes: item.repository.root.clone(),
            }],
            bases,
            accept_root,
            seen: Vec::new(),
        };
        let signed = self.daemon.sign(&job).await.map_err(|cause| standing::explained(item, cause))?;
        let made = signed.documents.first().map(|document| document.signatures.clone()).unwrap_or_default();
        let head = signed.audit.1.parse().map_err(|_| Error::internal("touchmarkd's audit head is none"))?;
        for key in &missing {
            let audit = Audit { seq: signed.audit.0, head };
            self.note(item, key, &made, signed.differences.clone(), Some(audit))?;
        }
        Ok(())
    }

    /// Verifies what a key signed, and writes it down.
    fn note(
        &mut self,
        item: &Item<'_>,
        key: &KeyId,
        made: &[Signature],
        differences: Vec<String>,
        audit: Option<Audit>,
    ) -> Result<(), Error> {
        let gun = &item.repository.gun;
        let listed = item.listed_as(key);
        let own: Vec<&Signature> = made.iter().filter(|one| listed.contains(&one.key_id)).collect();
        let good = |one: &&Signature| {
            let public = item.listed(&one.key_id);
            let checked = &self.ctx.checked;
            public.is_some_and(|key| checked.check(key, one.method, &item.repository.root, &one.bytes))
        };
        if own.len() != listed.len() || !own.iter().all(good) {
            return Err(Error::internal(format!(
                "what touchmarkd signed for {gun} with {key} does not verify"
            )));
        }
        self.transcript.append(&Said::Signed(SignedRoot {
            repository: gun.clone(),
            role: RoleName::Root.to_string(),
            version: item.root.version.get(),
            digest: item.digest,
            key: *key,
            signatures: own.into_iter().map(WrittenSignature::of).collect(),
            differences,
            audit,
            serial: self.token.serial.clone(),
        }))?;
        self.done.insert((gun.to_string(), *key));
        Ok(())
    }

    /// Writes down that something was refused, as far as that can be written.
    fn refused(&mut self, item: Option<&Item<'_>>, cause: &Error) {
        let refused = Refused {
            repository: item.map(|item| item.repository.gun.to_string()),
            reason: cause.reason.to_string(),
            message: cause.message.clone(),
        };
        drop(self.transcript.append(&Said::Refused(refused)));
    }

    fn unfinished(&self, cause: Error) -> Error {
        let so_far =
            format!("signed {} of {}, kept in {}", self.done.len(), self.total, self.transcript.name());
        again(self.args, so_far, cause)
    }
}

impl Todo<'_, '_> {
    /// Whether touchmarkd has signed all of it before.
    fn is_signed(&self) -> bool {
        self.keys.iter().all(|key| self.standing.signed(self.item, key).is_some())
    }
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

/// Whether the PIN is wanted for each repository by itself.
fn asks_each_time(caller: Option<&v1::Caller>) -> bool {
    let actions = || caller.into_iter().flat_map(|caller| &caller.grants).flat_map(|grant| &grant.actions);
    let asks = |action: &str| actions().any(|one| one.starts_with(action) && one != action);
    let free = |action: &str| actions().any(|one| one == action);
    ["init", "rotate"].into_iter().any(|action| asks(action) && !free(action))
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
        Some(first) => format!("{first}; then {command} goes on"),
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
            "touches_known": needs::keys(plan, items).iter().all(|key| key.touches().is_some()),
        }),
    )
}
