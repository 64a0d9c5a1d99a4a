//! The complete roots of a record: exactly those of its plan, made of exactly the signatures that its shares carry.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use touchmark_tuf::{CheckSignature, Gun, KeyId};

use super::change::{Change, OTHER_ROOT};
use super::{Item, Judged};
use crate::ceremony::assembly::follow;
use crate::ceremony::record::{Completed, Record};

/// Checks all of them.
pub(super) fn check(
    record: &Record,
    items: &[Item<'_>],
    shares: &[Judged],
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<(), Change> {
    let signed = signatures(shares);
    let mut open: BTreeMap<&Gun, &Item<'_>> = items.iter().map(|item| (&item.repository.gun, item)).collect();
    for (seq, completed) in record.completed() {
        let gun = &completed.repository;
        let wrong = |why: String| Change::of_entry(seq, "completed", why, OTHER_ROOT);
        let item =
            open.remove(gun).ok_or_else(|| wrong(format!("{gun} is not in the plan, or stands twice")))?;
        one(completed, item, &signed, checker).map_err(|why| wrong(format!("the root of {gun}: {why}")))?;
    }
    match open.keys().next() {
        None => Ok(()),
        Some(gun) => {
            let last = record.entries.last().map_or(1, |(entry, _)| entry.seq);
            let why = format!("no entry has the complete root of {gun}, which is in the plan");
            Err(Change::of_entry(last, "the record ends", why, OTHER_ROOT))
        }
    }
}

/// By repository: who signed (canonical id), under which id, with which bytes.
type Signed<'s> = BTreeMap<&'s Gun, Vec<(KeyId, KeyId, &'s [u8])>>;

fn signatures(shares: &[Judged]) -> Signed<'_> {
    let mut signed = Signed::new();
    for (_, one) in shares.iter().flat_map(|judged| judged.share.signed()) {
        let here = signed.entry(&one.repository).or_default();
        here.extend(one.signatures.iter().map(|written| (one.key, written.keyid, written.sig.as_slice())));
    }
    signed
}

fn one(
    completed: &Completed,
    item: &Item<'_>,
    signed: &Signed<'_>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<(), String> {
    if completed.version != item.root.version.get() || completed.digest != item.digest {
        return Err("version or digest are not those of the plan's document".to_owned());
    }
    let trusted = follow(item, completed.file.as_bytes(), checker).map_err(|why| why.to_string())?;
    let root = trusted.root();
    if root.signed_bytes() != item.repository.root || !root.is_go_form() {
        return Err("it is not the plan's document in the form that is published".to_owned());
    }
    let known = signed.get(&item.repository.gun).map(Vec::as_slice).unwrap_or_default();
    let mut signers = BTreeSet::new();
    for signature in root.signatures() {
        let (id, bytes) = (signature.key_id, signature.bytes.as_slice());
        let share = known.iter().find(|(_, keyid, sig)| *keyid == id && *sig == bytes);
        let (key, _, _) = share.ok_or_else(|| format!("no share has the signature of the key {id} in it"))?;
        signers.insert(*key);
    }
    if completed.signers.iter().copied().collect::<BTreeSet<_>>() != signers
        || completed.signers.len() != signers.len()
    {
        return Err("those who signed it are others than it says".to_owned());
    }
    Ok(())
}
