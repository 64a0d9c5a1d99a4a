//! What is written before and after a signature: intent and reservation in one durable write, then the outcome. A
//! request that ends in any other way, dropped by its client too, gives its versions back.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use touchmark_tuf::{Gun, Pin, RoleName, RootSource, Sha256Digest, Signature, Trusted, Version, assemble};

use super::base::News;
use super::plan::{Plan, Planned};
use super::remembered::Remembered;
use super::{Seen, SignError};
use crate::audit::event::Outcome;
use crate::audit::{Event, Receipt, RequestId};
use crate::document::{Exact, NewExpiry};
use crate::ledger::Slot;
use crate::policy::Caller;
use crate::store::documents::{Kept, Source};
use crate::store::roots::TrustedRoot;
use crate::store::{Store, StoreError, Tx};

/// The versions that a request holds, from the moment they are about to be written.
pub(super) struct Reservation {
    store: Store,
    request: RequestId,
    caller: Caller,
    plan: Arc<Plan>,
    /// Set in the transaction that reserves, taken back if that fails: without it there is nothing to give back.
    written: Arc<AtomicBool>,
    open: bool,
}

impl Reservation {
    pub(super) fn new(store: &Store, request: RequestId, caller: &Caller, plan: &Arc<Plan>) -> Self {
        let written = Arc::new(AtomicBool::new(false));
        Self {
            store: store.clone(),
            request,
            caller: caller.clone(),
            plan: Arc::clone(plan),
            written,
            open: true,
        }
    }

    /// Writes what was learned, the reservations, the documents and the intents, all or nothing. On the disk when it
    /// returns.
    ///
    /// # Errors
    /// The ledger's refusals, `SignError::Conflict` where another request was quicker, `PolicyRefused` where the clock
    /// went back, `AuditUnavailable` where it cannot be written.
    pub(super) async fn write(&self) -> Result<Receipt, SignError> {
        let (plan, caller, request) = (Arc::clone(&self.plan), self.caller.clone(), self.request);
        let (written, lost) = (Arc::clone(&self.written), Arc::clone(&self.written));
        let job = move |tx: &Tx<'_>| {
            let receipt = reserve(tx, request, &caller, &plan)?;
            written.store(true, Ordering::SeqCst);
            Ok(receipt)
        };
        self.store.write_or(job, move || lost.store(false, Ordering::SeqCst)).await
    }

    /// The signatures leave. Returns once that is on its way to the disk; `durable` is for a touch that must not be
    /// lost: then it is there.
    pub(super) async fn release(
        mut self,
        signatures: Vec<Vec<Signature>>,
        root: Option<TrustedRoot>,
        durable: Durable,
    ) -> Result<(), SignError> {
        self.open = false;
        let (plan, request) = (Arc::clone(&self.plan), self.request);
        let job = move |tx: &Tx<'_>| release(tx, request, &plan, &signatures, root.as_ref());
        match durable {
            Durable::Now => {
                // Where that fails no signature leaves.
                let kept = self.store.write(job).await;
                kept.inspect_err(|error: &StoreError| self.give_back(error.to_string()))?;
            }
            Durable::WithTheNext => self.store.write_outcome(job),
        }
        Ok(())
    }

    /// No signature leaves.
    pub(super) fn void(mut self, why: &SignError) {
        self.open = false;
        self.give_back(why.to_string());
    }

    fn give_back(&self, why: String) {
        let (plan, request, written) = (Arc::clone(&self.plan), self.request, Arc::clone(&self.written));
        // Behind the reservation in the writer's queue, so `written` tells.
        self.store.write_outcome(move |tx| {
            if written.load(Ordering::SeqCst) { void(tx, request, &plan, &why) } else { Ok(()) }
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open {
            self.give_back("the request was given up".to_owned());
        }
    }
}

/// When an outcome has to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    /// Before the answer.
    Now,
    /// With whatever is written next; after a crash the intent reads as "may have left".
    WithTheNext,
}

fn reserve(tx: &Tx<'_>, request: RequestId, caller: &Caller, plan: &Plan) -> Result<Receipt, SignError> {
    if plan.new_expiry == NewExpiry::Yes
        && let Some(behind) = tx.clock_behind_ms()?
    {
        let why = format!(
            "the clock is {} minutes behind the latest time seen here, so no new expiry is signed; set the clock, or, \
             where that time was wrong, type: touchmark ledger believe-clock --reason TEXT",
            behind / 60_000
        );
        return Err(SignError::PolicyRefused { why });
    }
    for seen in &plan.seen {
        still_last(tx, &plan.gun, seen)?;
    }
    for news in &plan.news {
        learn(tx, request, caller, &plan.gun, news)?;
    }
    let mut receipt = None;
    for document in &plan.documents {
        let exact = &document.exact;
        let slot = Slot { gun: plan.gun.clone(), role: exact.role.clone(), version: exact.version() };
        still_follows(tx, plan, &exact.role, document.base)?;
        tx.reserve(&slot, &exact.digest)?;
        tx.keep_draft(&plan.gun, &draft(exact))?;
        receipt = Some(tx.append(&Event::Intent {
            request: request.to_string(),
            uid: caller.uid,
            user: caller.name.clone(),
            gun: plan.gun.to_string(),
            role: exact.role.to_string(),
            version: exact.version().get(),
            digest: exact.digest.to_string(),
            previous: document.base.map(|(_, digest)| digest.to_string()),
            keys: document.signers.iter().map(|signer| signer.key.id.to_string()).collect(),
            differences: document.differences.iter().map(|text| text.chars().take(400).collect()).collect(),
            more_differences: document.more_differences,
        })?);
    }
    receipt.ok_or_else(|| SignError::Field { field: "documents", why: "there is none".to_owned() })
}

fn draft(exact: &Exact) -> Kept {
    Kept {
        role: exact.role.clone(),
        version: exact.version(),
        digest: exact.digest,
        signed: exact.bytes.to_vec(),
        signatures: Vec::new(),
        source: Source::Signed,
        published: false,
        confirmed: true,
    }
}

/// Between the client's reading and this, another request may have signed what this one does not have in it. To go on
/// from a document of the server would take that away.
fn still_last(tx: &Tx<'_>, gun: &Gun, seen: &Seen) -> Result<(), SignError> {
    if tx.shown_digest(gun, &seen.role)? == seen.digest {
        return Ok(());
    }
    Err(SignError::Conflict { why: format!("another request signed {} of {gun} meanwhile", seen.role) })
}

/// Between reading and writing another request may have been quicker.
fn still_follows(
    tx: &Tx<'_>,
    plan: &Plan,
    role: &RoleName,
    base: Option<(Version, Sha256Digest)>,
) -> Result<(), SignError> {
    let now = match role {
        RoleName::Root => tx.trusted_root(&plan.gun)?.map(|root| root.version),
        _ => tx.kept_version(&plan.gun, role)?,
    };
    if now == base.map(|(version, _)| version) {
        return Ok(());
    }
    Err(SignError::Conflict { why: format!("another request changed {role} of {} meanwhile", plan.gun) })
}

fn learn(tx: &Tx<'_>, request: RequestId, caller: &Caller, gun: &Gun, news: &News) -> Result<(), SignError> {
    let (request, uid) = (request.to_string(), caller.uid);
    match news {
        News::FirstRoot { root, root_keys, pinned } => {
            newer_root(tx, gun, root)?;
            tx.trust_root(gun, root)?;
            tx.append(&Event::RootFirstUse {
                request,
                uid,
                gun: gun.to_string(),
                version: root.version.get(),
                root_keys: root_keys.iter().map(ToString::to_string).collect(),
                pinned: *pinned,
            })?;
        }
        News::NextRoot { root, digest } => {
            newer_root(tx, gun, root)?;
            tx.trust_root(gun, root)?;
            let (gun, version, digest) = (gun.to_string(), root.version.get(), digest.to_string());
            tx.append(&Event::RootMoved { request, uid, gun, version, digest })?;
        }
        News::Accepted(document) => {
            if tx.kept_version(gun, &document.role)?.is_some_and(|have| have > document.version) {
                let why = format!("another request changed {} of {gun} meanwhile", document.role);
                return Err(SignError::Conflict { why });
            }
            tx.accept(gun, document)?;
            if document.role != RoleName::Root {
                let (role, version) = (document.role.to_string(), document.version.get());
                let (gun, digest) = (gun.to_string(), document.digest.to_string());
                tx.append(&Event::BaseAccepted { request, uid, gun, role, version, digest })?;
            }
        }
        News::Published { role, version } => tx.mark_published(gun, role, *version)?,
        News::Confirmed { role, version } => tx.confirm(gun, role, *version)?,
    }
    Ok(())
}

fn newer_root(tx: &Tx<'_>, gun: &Gun, root: &TrustedRoot) -> Result<(), SignError> {
    match tx.trusted_root(gun)? {
        Some(have) if have.version >= root.version => {
            Err(SignError::Conflict { why: format!("another request changed the root of {gun} meanwhile") })
        }
        _ => Ok(()),
    }
}

fn release(
    tx: &Tx<'_>,
    request: RequestId,
    plan: &Plan,
    signatures: &[Vec<Signature>],
    root: Option<&TrustedRoot>,
) -> Result<(), StoreError> {
    for (document, signatures) in plan.documents.iter().zip(signatures) {
        let exact = &document.exact;
        let slot = Slot { gun: plan.gun.clone(), role: exact.role.clone(), version: exact.version() };
        tx.release(&slot, &exact.digest)?;
        tx.add_signatures(&plan.gun, &exact.role, exact.version(), signatures)?;
        if let Some((before, _)) = document.base.filter(|(version, _)| *version < exact.version()) {
            tx.forget_before(&plan.gun, &exact.role, before)?;
        }
        for signer in &document.signers {
            tx.key_used(&signer.key.id)?;
        }
        if let Some(root) = root.filter(|_| exact.role == RoleName::Root) {
            tx.trust_root(&plan.gun, root)?;
        }
        tx.append(&outcome(request, plan, document, Outcome::Released, None))?;
    }
    Ok(())
}

fn void(tx: &Tx<'_>, request: RequestId, plan: &Plan, why: &str) -> Result<(), StoreError> {
    for document in &plan.documents {
        let exact = &document.exact;
        let slot = Slot { gun: plan.gun.clone(), role: exact.role.clone(), version: exact.version() };
        tx.void(&slot, &exact.digest)?;
        tx.append(&outcome(request, plan, document, Outcome::Void, Some(why.chars().take(400).collect())))?;
    }
    Ok(())
}

fn outcome(
    request: RequestId,
    plan: &Plan,
    document: &Planned,
    outcome: Outcome,
    why: Option<String>,
) -> Event {
    Event::Outcome {
        request: request.to_string(),
        gun: plan.gun.to_string(),
        role: document.exact.role.to_string(),
        version: document.exact.version().get(),
        digest: document.exact.digest.to_string(),
        outcome,
        why,
    }
}

/// The root of the plan once enough keys signed it, old ones and new ones; with its release it is the trusted one.
pub(super) fn complete_root(
    plan: &Plan,
    made: &[Vec<Signature>],
    remembered: &Remembered,
) -> Option<TrustedRoot> {
    let (document, made) =
        plan.documents.iter().zip(made).find(|(document, _)| document.exact.role == RoleName::Root)?;
    let mut signatures: Vec<Signature> = document.earlier.iter().chain(made).cloned().collect();
    let mut seen = Vec::new();
    signatures.retain(|signature| {
        !seen.contains(&signature.key_id) && {
            seen.push(signature.key_id);
            true
        }
    });
    let file = assemble(&document.exact.bytes, &signatures).ok()?;
    let trusted = match &plan.root {
        None => {
            let first = RootSource::First { file: &file, pin: &Pin::FirstUse };
            Trusted::start(&plan.gun, first, remembered.checker()).ok()?
        }
        Some(old) => {
            let mut trusted = Trusted::clone(old);
            trusted.advance_root(&file).ok()?;
            trusted
        }
    };
    remembered.keep_root(&Arc::new(trusted));
    Some(TrustedRoot { version: document.exact.version(), file })
}
