//! The transcript of one signer, read and checked against the plan: what merging, verifying and going on rest on.
use std::collections::BTreeSet;

use touchmark_proto::transcript::{Chain, Entry, TranscriptError};
use touchmark_tuf::{CheckSignature, Gun, KeyId, Method, RoleName, Sha256Digest, verify_p256};

use super::entry::{Begun, FORMAT, Said, Sealed, SignedRoot};
use crate::ceremony::entry::EntryError;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan};

/// What one signer did, in order.
#[derive(Clone, Debug)]
pub struct Share {
    /// The first entry.
    pub begun: Begun,
    /// Every entry, with its number and time.
    pub entries: Vec<(Entry, Said)>,
    /// The seal, if it is there yet.
    pub sealed: Option<Sealed>,
    /// The chain up to the seal.
    chain: Chain,
}

/// Why a transcript is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// One of its entries is wrong.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// It holds nothing.
    #[error("it is empty")]
    Empty,
    /// It does not begin as transcripts do.
    #[error("it is no transcript of a version that is known here ({FORMAT})")]
    Format,
    /// It is about another plan.
    #[error("it is about the plan {got}, and this one is {wanted}")]
    Plan {
        /// The plan that it should be about.
        wanted: Sha256Digest,
        /// The one that it names.
        got: Sha256Digest,
    },
    /// It says otherwise than the plan whether it is in earnest.
    #[error("one of the two is a rehearsal and the other is none")]
    Occasion,
    /// A repository that the plan does not have, or another document of it.
    #[error("entry {seq} is about {gun}, and not about what the plan has of it")]
    Document {
        /// Its number.
        seq: u64,
        /// The repository.
        gun: Gun,
    },
    /// A signer of whom the plan knows nothing there.
    #[error("entry {seq}: the key {key} has nothing to sign of {gun}")]
    Stranger {
        /// Its number.
        seq: u64,
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
    },
    /// A signature that does not verify, or is missing.
    #[error("entry {seq}: the signatures of the key {key} over the root of {gun} are not all good")]
    Signature {
        /// Its number.
        seq: u64,
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
    },
    /// One key signed one repository twice.
    #[error("entry {seq}: the key {key} signed {gun} before")]
    Twice {
        /// Its number.
        seq: u64,
        /// The repository.
        gun: Gun,
        /// Canonical id.
        key: KeyId,
    },
    /// There is no seal.
    #[error("it is not sealed: signing was not finished")]
    Unsealed,
    /// The key that should have sealed it is in no root of the plan.
    #[error("it is sealed by the key {0}, which has nothing to sign in this plan")]
    Sealer(KeyId),
    /// The seal is not the key's signature over this chain.
    #[error("the seal of the key {0} does not fit: something was changed after it was sealed")]
    Seal(KeyId),
}

impl Share {
    /// Reads a transcript: its chain is whole, `begun` is the first entry and `sealed`, if there is one, the last.
    ///
    /// # Errors
    /// [`ShareError`], naming the first entry that is wrong.
    pub fn read(text: &str) -> Result<Self, ShareError> {
        let mut chain = Chain::default();
        let mut entries = Vec::new();
        for line in text.split_inclusive('\n') {
            let cut_off = TranscriptError::CutOff { seq: chain.seq() };
            let line = line.strip_suffix('\n').ok_or(EntryError::Chain(cut_off))?;
            let before = chain.clone();
            let entry = chain.push(line).map_err(EntryError::from)?;
            let said = Said::read(&entry).ok_or_else(|| EntryError::unreadable(&entry))?;
            if matches!(said, Said::Sealed(_)) {
                // Whatever follows is named below.
                chain = before;
                entries.push((entry, said));
                let rest = text.split_inclusive('\n').nth(entries.len());
                return match rest {
                    None => Self::of(entries, chain),
                    Some(_) => Err(EntryError::Misplaced { seq: chain.seq() + 1, kind: "sealed" }.into()),
                };
            }
            entries.push((entry, said));
        }
        Self::of(entries, chain)
    }

    fn of(entries: Vec<(Entry, Said)>, chain: Chain) -> Result<Self, ShareError> {
        let (_, first) = entries.first().ok_or(ShareError::Empty)?;
        let Said::Begun(begun) = first else { return Err(ShareError::Format) };
        if begun.format != FORMAT {
            return Err(ShareError::Format);
        }
        let begun = begun.clone();
        if let Some((again, _)) = entries.iter().skip(1).find(|(_, said)| matches!(said, Said::Begun(_))) {
            return Err(EntryError::Misplaced { seq: again.seq, kind: "begun" }.into());
        }
        let sealed = match entries.last() {
            Some((_, Said::Sealed(sealed))) => Some(sealed.clone()),
            _ => None,
        };
        Ok(Self { begun, entries, sealed, chain })
    }

    /// The chain before the seal; where there is none, all of it.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What was signed, with the number of each entry.
    pub fn signed(&self) -> impl Iterator<Item = (u64, &SignedRoot)> {
        self.entries.iter().filter_map(|(entry, said)| match said {
            Said::Signed(signed) => Some((entry.seq, signed)),
            _ => None,
        })
    }

    /// Checks a share that is not sealed yet: it is about this plan, and every signature in it is good for the plan's
    /// own documents.
    ///
    /// # Errors
    /// [`ShareError`], naming the first entry that is wrong.
    pub fn check_unsealed(
        &self,
        plan: (&Plan, &Sha256Digest),
        items: &[Item<'_>],
        checker: &dyn CheckSignature,
    ) -> Result<(), ShareError> {
        let (plan, digest) = plan;
        if self.begun.plan != *digest {
            return Err(ShareError::Plan { wanted: *digest, got: self.begun.plan });
        }
        if self.begun.rehearsal != (plan.occasion == Occasion::Rehearsal) {
            return Err(ShareError::Occasion);
        }
        let items: std::collections::BTreeMap<&Gun, &Item<'_>> =
            items.iter().map(|item| (&item.repository.gun, item)).collect();
        let mut seen = BTreeSet::new();
        for (seq, signed) in self.signed() {
            let gun = &signed.repository;
            let item = items.get(gun).ok_or_else(|| ShareError::Document { seq, gun: gun.clone() })?;
            check_signed(seq, signed, item, checker)?;
            if !seen.insert((gun, signed.key)) {
                return Err(ShareError::Twice { seq, gun: gun.clone(), key: signed.key });
            }
        }
        Ok(())
    }

    /// Checks a whole share: as [`Share::check_unsealed`], and the seal is the signature of the key named first, whose
    /// public key the plan's documents give.
    ///
    /// # Errors
    /// [`ShareError`], naming the first thing that is wrong.
    pub fn check(
        &self,
        plan: (&Plan, &Sha256Digest),
        items: &[Item<'_>],
        checker: &dyn CheckSignature,
    ) -> Result<(), ShareError> {
        self.check_unsealed(plan, items, checker)?;
        let sealed = self.sealed.as_ref().ok_or(ShareError::Unsealed)?;
        let key = self.begun.key;
        if sealed.key != key {
            return Err(ShareError::Seal(key));
        }
        let public = items.iter().find_map(|item| item.public(&key)).ok_or(ShareError::Sealer(key))?;
        let fits = match (public.p256_point(), sealed.ecdsa()) {
            (Some(point), Some(signature)) => verify_p256(&point, &self.chain.seal_message(), &signature),
            _ => false,
        };
        if fits { Ok(()) } else { Err(ShareError::Seal(key)) }
    }
}

/// Whether the signatures of one entry are all that the key owes, and good over the plan's own bytes.
fn check_signed(
    seq: u64,
    signed: &SignedRoot,
    item: &Item<'_>,
    checker: &dyn CheckSignature,
) -> Result<(), ShareError> {
    let gun = signed.repository.clone();
    let same = signed.role == RoleName::Root.to_string()
        && signed.version == item.root.version.get()
        && signed.digest == item.digest;
    if !same {
        return Err(ShareError::Document { seq, gun });
    }
    let key = signed.key;
    let mut wanted = item.listed_as(&key);
    if wanted.is_empty() {
        return Err(ShareError::Stranger { seq, gun, key });
    }
    for one in &signed.signatures {
        let known = wanted.iter().position(|id| *id == one.keyid);
        let public = item.listed(&one.keyid);
        let good = one.method == Method::Ecdsa.as_str()
            && public.is_some_and(|key| checker.check(key, Method::Ecdsa, &item.repository.root, &one.sig));
        match known {
            Some(at) if good => drop(wanted.swap_remove(at)),
            _ => return Err(ShareError::Signature { seq, gun, key }),
        }
    }
    if wanted.is_empty() { Ok(()) } else { Err(ShareError::Signature { seq, gun, key }) }
}

#[cfg(test)]
mod tests;
