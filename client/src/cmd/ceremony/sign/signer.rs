//! One token signs what it can of a plan: each signature verified and on the stick before the next one is asked for.
use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature as _, KeyId, RoleName, Sha256Digest, Signature, shown};

use super::show;
use super::standing::{self, Standing};
use crate::args::CeremonySignArgs;
use crate::ceremony::item::Item;
use crate::ceremony::plan::Plan;
use crate::ceremony::transcript::{
    Asked, Audit, By, Refused, Said, SignedRoot, Transcript, WrittenSignature,
};
use crate::ceremony::words::{self, repositories};
use crate::context::Ctx;
use crate::daemon::{Daemon, DocumentToSign, SignJob};
use crate::error::Error;
use crate::prompt::{self, Consent, PromptError};

/// Repositories that touchmarkd is asked about at the same time.
const AT_ONCE: usize = 8;
/// Up to how many repositories each is told in a line of its own.
const TOLD: usize = 20;

/// Who signs, with what, and how far that has come.
pub(super) struct Signer<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) args: &'a CeremonySignArgs,
    pub(super) daemon: &'a Daemon,
    pub(super) token: &'a v1::Token,
    pub(super) transcript: Transcript,
    /// What the transcript has, by repository and key.
    pub(super) done: BTreeSet<(String, KeyId)>,
    /// How many signatures there are in the end.
    pub(super) total: usize,
}

/// One repository that still wants signatures of this token.
struct Todo<'i, 'p> {
    item: &'i Item<'p>,
    keys: Vec<KeyId>,
    standing: Standing,
}

impl Signer<'_> {
    /// Signs every repository that still wants a signature of this token.
    ///
    /// # Errors
    /// The first refusal; what was signed until then is in the transcript.
    pub(super) async fn all(
        &mut self,
        plan: &Plan,
        digest: &Sha256Digest,
        items: &[Item<'_>],
        keys: &[KeyId],
    ) -> Result<(), Error> {
        let mut wanted = Vec::new();
        for item in items {
            let part = item.quorum.keys();
            let own: Vec<KeyId> = keys.iter().copied().filter(|key| part.contains(key)).collect();
            self.total += own.len();
            let gun = item.repository.gun.as_str();
            let missing: Vec<KeyId> =
                own.into_iter().filter(|key| !self.done.contains(&(gun.to_owned(), *key))).collect();
            if !missing.is_empty() {
                wanted.push((item, missing));
            }
        }
        let asked = wanted.iter().map(|(item, _)| Standing::of(self.daemon, item));
        let standings: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let mut todo = Vec::new();
        for ((item, keys), standing) in wanted.into_iter().zip(standings) {
            let standing = standing.inspect_err(|cause| self.refused(Some(item), cause))?;
            todo.push(Todo { item, keys, standing });
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

    /// A failure, with how far it has come and the command that goes on.
    pub(super) fn unfinished(&self, cause: Error) -> Error {
        let so_far =
            format!("signed {} of {}, kept in {}", self.done.len(), self.total, self.transcript.name());
        super::again(self.args, so_far, cause)
    }
}

impl Todo<'_, '_> {
    /// Whether touchmarkd has signed all of it before.
    fn is_signed(&self) -> bool {
        self.keys.iter().all(|key| self.standing.signed(self.item, key).is_some())
    }
}

/// Whether the PIN is wanted for each repository by itself.
fn asks_each_time(caller: Option<&v1::Caller>) -> bool {
    let actions = || caller.into_iter().flat_map(|caller| &caller.grants).flat_map(|grant| &grant.actions);
    let asks = |action: &str| actions().any(|one| one.starts_with(action) && one != action);
    let free = |action: &str| actions().any(|one| one == action);
    ["init", "rotate"].into_iter().any(|action| asks(action) && !free(action))
}
