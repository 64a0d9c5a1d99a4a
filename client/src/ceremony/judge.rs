//! Whether a ceremony was as its record says, years later: from the file and from published roots alone. Everything in it
//! is computed again; the first thing that does not fit is named.
//!
//! Who vouches for what: each share is sealed by a root key, and the seal is over the digest of the plan, so over every
//! document of it. That the key is a root key is what a published root says, never the record. Entries outside of the
//! shares are signed by nobody: what can be computed again is, and the rest is listed by [`UNSIGNED`].
mod change;
mod completed;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use touchmark_tuf::{CheckSignature, Gun, KeyId, PublicKey, Root};

pub use change::{Change, Within};
pub use share::{LoneShare, lone};

use super::anchors::Anchors;
use super::item::Item;
use super::plan::Occasion;
use super::record::{Noted, Record};
use super::transcript::Share;
use super::vouched::{self, Vouched};
use crate::attestation::Authorities;
use crate::error::Error;

/// What nobody signed and nothing can confirm, in words.
pub const UNSIGNED: &str = "signed by no token, and not to be confirmed by anything: the times of the entries merged, \
                            share, completed, published, failed and finished, the names of the transcripts' files, \
                            the version of touchmark that merged and published, what failed and why, what readers \
                            saw when it was published, whether entries are missing at the end, and of each seal its \
                            own time and the row of touchmarkd's record";

/// How the published root of a repository relates to the ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It is the root that was signed, to the byte.
    Same,
    /// It is a later one, of this version, that still describes the root keys of this one.
    Later(u64),
    /// It is the one that the plan begins with: nothing was published yet.
    Before,
    /// None was given.
    Absent,
    /// It is a rehearsal: there is none.
    MadeUp,
}

impl Anchor {
    /// As a word for scripts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Later(_) => "later",
            Self::Before => "before",
            Self::Absent => "not-given",
            Self::MadeUp => "rehearsal",
        }
    }
}

/// One share that fits.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Number of its entry in the record.
    pub seq: u64,
    /// Name of its file.
    pub name: String,
    /// What it says.
    pub share: Share,
    /// What is proved of its keys.
    pub vouched: Vouched,
}

/// A record in which everything fits.
#[derive(Debug)]
pub struct Verdict<'r> {
    /// The record.
    pub record: &'r Record,
    /// Every repository of its plan.
    pub items: Vec<Item<'r>>,
    /// How the published roots relate to it, in the order of `items`.
    pub anchors: Vec<Anchor>,
    /// What each signer did.
    pub shares: Vec<Judged>,
}

/// Reads a record.
///
/// # Errors
/// The first entry that is wrong.
pub fn read(text: &str) -> Result<Record, Change> {
    Record::read(text).map_err(|why| change::of_record(&why))
}

/// Judges a record.
///
/// # Errors
/// The first thing that does not fit.
pub fn judge<'r>(
    record: &'r Record,
    published: &Anchors,
    authorities: Option<&Authorities>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Verdict<'r>, Change> {
    let (items, shares) = inside(record, authorities, checker)?;
    let anchors =
        items.iter().map(|item| anchor(record, item, published, checker)).collect::<Result<Vec<_>, _>>()?;
    sealed_by_root_keys(&items, &anchors, published, &shares)?;
    Ok(Verdict { record, items, anchors, shares })
}

/// Judges a record by nothing but itself, as far as that goes: before it is published.
///
/// # Errors
/// The first thing that does not fit.
pub fn itself<'r>(
    record: &'r Record,
    authorities: Option<&Authorities>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Vec<Item<'r>>, Error> {
    Ok(inside(record, authorities, checker)?.0)
}

/// Everything that the record alone tells.
fn inside<'r>(
    record: &'r Record,
    authorities: Option<&Authorities>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<(Vec<Item<'r>>, Vec<Judged>), Change> {
    let plan = &record.plan;
    let items = plan.repositories.iter().map(|one| Item::check(one, plan.occasion, checker));
    let items: Vec<Item<'r>> = items.collect::<Result<_, _>>().map_err(change::of_item)?;
    let mut shares = Vec::new();
    for (seq, included) in record.shares() {
        let within = |entry| Within { name: included.name.clone(), entry };
        let wrong = |entry, why: String| Change::of_share(seq, within(entry), why);
        let share = Share::read(&included.transcript)
            .map_err(|why| wrong(change::entry_of(&why), why.to_string()))?;
        share
            .check((plan, &record.plan_digest), &items, &**checker)
            .map_err(|why| wrong(change::entry_of(&why), why.to_string()))?;
        let vouched = vouched::check(&share, authorities)
            .map_err(|(entry, why)| wrong(Some(entry), why.to_string()).of_attestation())?;
        share::seal_names_a_token(&share)
            .map_err(|entry| wrong(Some(entry), "sealed: the serial is that of no token in it".to_owned()))?;
        shares.push(Judged { seq, name: included.name.clone(), share, vouched });
    }
    completed::check(record, &items, &shares, checker)?;
    events(record, &items)?;
    Ok((items, shares))
}

/// What publishing noted, as far as it can be computed.
fn events(record: &Record, items: &[Item<'_>]) -> Result<(), Change> {
    let items: BTreeMap<&Gun, &Item<'_>> = items.iter().map(|item| (&item.repository.gun, item)).collect();
    let rehearsal = record.plan.occasion == Occasion::Rehearsal;
    let mut published: BTreeSet<&Gun> = BTreeSet::new();
    for (entry, noted) in &record.entries {
        let wrong = |why: String| Err(Change::of_entry(entry.seq, noted.kind(), why, change::EVENT));
        let about = match noted {
            Noted::Published(one) => Some((&one.repository, Some(one.version))),
            Noted::Rehearsed(one) => Some((&one.repository, Some(one.version))),
            Noted::Failed(one) => Some((&one.repository, None)),
            Noted::Merged(_) | Noted::Share(_) | Noted::Completed(_) | Noted::Finished(_) => None,
        };
        if let Some((gun, version)) = about {
            let Some(item) = items.get(gun) else { return wrong(format!("{gun} is not in the plan")) };
            if let Some(version) = version.filter(|version| *version != item.root.version.get()) {
                let planned = item.root.version;
                return wrong(format!("version {version} of {gun}, and the plan has version {planned}"));
            }
        }
        match noted {
            Noted::Published(_) if rehearsal => return wrong("a rehearsal is never published".to_owned()),
            Noted::Rehearsed(_) if !rehearsal => return wrong("this is no rehearsal".to_owned()),
            Noted::Published(one) => {
                let planned = items.get(&one.repository).map(|item| item.repository.server.as_str());
                if planned != Some(one.server.as_str()) {
                    return wrong(format!("{} was planned for another server", one.repository));
                }
                published.insert(&one.repository);
            }
            Noted::Finished(one)
                if (one.published, one.of) != (published.len() as u64, items.len() as u64) =>
            {
                let (count, all) = (published.len(), items.len());
                return wrong(format!("the entries before it say {count} of {all} published"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn anchor(
    record: &Record,
    item: &Item<'_>,
    published: &Anchors,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Anchor, Change> {
    if record.plan.occasion == Occasion::Rehearsal {
        return Ok(Anchor::MadeUp);
    }
    let gun = &item.repository.gun;
    let claim = record.published().find(|(_, one)| one.repository == *gun).map(|(seq, _)| seq);
    let made = record.completed().find(|(_, one)| one.repository == *gun).map_or(1, |(seq, _)| seq);
    let Some(roots) = published.of(gun) else { return Ok(Anchor::Absent) };
    let ours = item.root.version.get();
    if let Some(same) = roots.get(&ours) {
        if same.signed_bytes() != item.repository.root {
            let why = format!("the published root version {ours} of {gun} is another document");
            return Err(Change::of_entry(made, "completed", why, change::OTHER_ROOT));
        }
        super::assembly::follow(item, same.file(), checker).map_err(|why| {
            let why =
                format!("the published root of {gun} does not follow what the plan has before it: {why}");
            Change::of_entry(1, "merged", why, change::PLAN)
        })?;
        return Ok(Anchor::Same);
    }
    if let Some((version, later)) = roots.last_key_value().filter(|(version, _)| **version > ours) {
        let described = |key: &PublicKey| later.keys.contains_key(&key.id());
        if item.root.keys_of(&touchmark_tuf::RoleName::Root).all(described) {
            return Ok(Anchor::Later(*version));
        }
        let why =
            format!("the published root version {version} of {gun} knows nothing of the root keys in it");
        return Err(Change::of_entry(made, "completed", why, change::OTHER_ROOT));
    }
    let base = item.base.as_ref().map(|base| base.root());
    match base.and_then(|base| roots.get(&base.version.get()).map(|given| (base, given))) {
        Some((base, given)) if base.signed_bytes() == given.signed_bytes() => match claim {
            None => Ok(Anchor::Before),
            Some(seq) => {
                let why = format!("{gun} is not published: its published root is version {}", given.version);
                Err(Change::of_entry(seq, "published", why, change::NOT_PUBLISHED))
            }
        },
        Some((base, _)) => {
            let why = format!("the published root version {} of {gun} is another document", base.version);
            Err(Change::of_entry(1, "merged", why, change::PLAN))
        }
        None => {
            let given = roots.keys().last().copied().unwrap_or_default();
            let why =
                format!("version {given} of {gun} is too old to compare with: version {ours} is needed");
            Err(Change::of_entry(made, "completed", why, change::OTHER_ROOT))
        }
    }
}

/// Each seal is by a key of which a published root says that it is a root key.
fn sealed_by_root_keys(
    items: &[Item<'_>],
    anchors: &[Anchor],
    published: &Anchors,
    shares: &[Judged],
) -> Result<(), Change> {
    if anchors.iter().all(|anchor| matches!(anchor, Anchor::MadeUp)) {
        return Ok(());
    }
    let mut known: BTreeSet<KeyId> = BTreeSet::new();
    for (item, anchor) in items.iter().zip(anchors) {
        let roots = published.of(&item.repository.gun);
        let given = |version: u64| roots.and_then(|roots| roots.get(&version)).map(|root| certified(root));
        match anchor {
            Anchor::Same => known.extend(given(item.root.version.get()).into_iter().flatten()),
            Anchor::Later(version) => known.extend(given(*version).into_iter().flatten()),
            // The new root is signed by enough keys of the published one: that was checked when it was completed.
            Anchor::Before => {
                let before = item.base.iter().flat_map(|base| certified(base.root()));
                known.extend(before.chain(certified(&item.root)));
            }
            Anchor::Absent | Anchor::MadeUp => {}
        }
    }
    for judged in shares {
        let key = judged.share.begun.key;
        if !known.contains(&key) {
            let why = format!(
                "it is sealed by the key {key}, of which no published root says that it is a root key"
            );
            let within = Within { name: judged.name.clone(), entry: None };
            return Err(Change::of_share(judged.seq, within, why));
        }
    }
    Ok(())
}

/// Every key that a root describes by a certificate; retired ones stay there.
fn certified(root: &Root) -> Vec<KeyId> {
    let certificates = root.keys.values().filter(|key| key.key_type().is_certificate());
    certificates.map(PublicKey::canonical_id).collect()
}

#[cfg(test)]
mod tests;
