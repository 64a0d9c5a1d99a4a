//! From the signatures of several people to root files that readers believe. Each key counts once, however many
//! transcripts it stands in.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use touchmark_tuf::{
    CheckSignature, Gun, KeyId, Pin, RoleName, RootSource, Signature, TrustError, Trusted, assemble,
};

use super::item::Item;
use super::transcript::Share;

/// What several signers have for one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Canonical ids of those who signed.
    pub signers: BTreeSet<KeyId>,
    signatures: Vec<Signature>,
}

/// A key that signed one repository in two transcripts: positions of the two among the shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Twice {
    /// Canonical id.
    pub key: KeyId,
    /// The one that counts.
    pub first: usize,
    /// The one that is left out.
    pub again: usize,
}

/// Puts signatures together by repository, and says who signed twice. The shares have been checked.
pub fn gather<'s>(shares: impl IntoIterator<Item = &'s Share>) -> (BTreeMap<Gun, Gathered>, BTreeSet<Twice>) {
    let mut gathered: BTreeMap<Gun, Gathered> = BTreeMap::new();
    let mut seen: BTreeMap<(Gun, KeyId), usize> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for (at, share) in shares.into_iter().enumerate() {
        for (_, signed) in share.signed() {
            let key = signed.key;
            if let Some(first) = seen.get(&(signed.repository.clone(), key)) {
                twice.insert(Twice { key, first: *first, again: at });
                continue;
            }
            seen.insert((signed.repository.clone(), key), at);
            let one = gathered.entry(signed.repository.clone()).or_default();
            one.signers.insert(key);
            one.signatures.extend(signed.signatures());
        }
    }
    (gathered, twice)
}

impl Gathered {
    /// The root file with all of these signatures, after a reader has followed it from what is trusted before.
    ///
    /// # Errors
    /// It is not what readers take, in words.
    pub fn complete(
        &self,
        item: &Item<'_>,
        checker: &Arc<dyn CheckSignature + Send + Sync>,
    ) -> Result<Vec<u8>, String> {
        let file = assemble(&item.repository.root, &self.in_order(item)).map_err(|why| why.to_string())?;
        follow(item, &file, checker).map_err(|why| why.to_string())?;
        Ok(file)
    }

    /// The keys of the new root first, as it lists them; then those that only the old one has.
    fn in_order(&self, item: &Item<'_>) -> Vec<Signature> {
        let new = item.root.keys_of(&RoleName::Root);
        let old = item.base.iter().flat_map(|base| base.root().keys_of(&RoleName::Root));
        let mut ordered: Vec<Signature> = Vec::new();
        for id in new.chain(old).map(touchmark_tuf::PublicKey::id) {
            let is_new = ordered.iter().all(|signature| signature.key_id != id);
            ordered.extend(self.signatures.iter().find(|one| one.key_id == id && is_new).cloned());
        }
        ordered
    }
}

/// Takes a root file as a reader does who trusts what the plan has as published, or who pinned nothing where the
/// repository is new.
///
/// # Errors
/// The reader's.
pub fn follow(
    item: &Item<'_>,
    file: &[u8],
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Trusted, TrustError> {
    match &item.base {
        Some(base) => {
            let mut trusted = base.clone();
            trusted.advance_root(file)?;
            Ok(trusted)
        }
        None => {
            let source = RootSource::First { file, pin: &Pin::FirstUse };
            Trusted::start(&item.repository.gun, source, Arc::clone(checker))
        }
    }
}

#[cfg(test)]
mod tests;
