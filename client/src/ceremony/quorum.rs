//! Who has to sign a root document: enough keys of the root before it, and enough of its own.
use std::collections::BTreeSet;

use touchmark_tuf::{KeyId, PublicKey, RoleName, Root};

/// Which root lists the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The root before.
    Old,
    /// The new one itself.
    New,
}

/// One of the two groups of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Which.
    pub whose: Whose,
    /// How many of the keys must sign.
    pub threshold: usize,
    /// Canonical ids of the keys, each once: a key with two certificates counts once.
    pub keys: Vec<KeyId>,
}

/// Everybody who has to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    sides: Vec<Side>,
}

impl Quorum {
    /// For a root that follows `base`; without one it is the first of a repository.
    #[must_use]
    pub fn of(base: Option<&Root>, new: &Root) -> Self {
        let sides = base.map(|base| side(Whose::Old, base)).into_iter().chain([side(Whose::New, new)]);
        Self { sides: sides.collect() }
    }

    /// The groups: the old one if there is one, then the new one.
    #[must_use]
    pub fn sides(&self) -> &[Side] {
        &self.sides
    }

    /// Every key that may sign, canonical ids.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<KeyId> {
        self.sides.iter().flat_map(|side| side.keys.iter().copied()).collect()
    }

    /// Keys that suffice: those that come first in `held`, and as few of them as do. Where all together do not suffice, all
    /// that help.
    #[must_use]
    pub fn choose(&self, held: &[KeyId]) -> Vec<KeyId> {
        let mut chosen = BTreeSet::new();
        for count in 1..=held.len() {
            chosen = self.fewest(held.get(..count).unwrap_or_default());
            if self.missing(&chosen).is_empty() {
                break;
            }
        }
        held.iter().filter(|key| chosen.contains(key)).copied().collect()
    }

    /// Of these keys those in both groups first, then others that help.
    fn fewest(&self, held: &[KeyId]) -> BTreeSet<KeyId> {
        let groups = |key: &KeyId| self.sides.iter().filter(|side| side.keys.contains(key)).count();
        let mut wanted: Vec<&KeyId> = held.iter().collect();
        wanted.sort_by_key(|key| std::cmp::Reverse(groups(key)));
        let mut chosen = BTreeSet::new();
        for key in wanted {
            if self.missing(&chosen).iter().any(|(side, _)| side.keys.contains(key)) {
                chosen.insert(*key);
            }
        }
        chosen
    }

    /// The groups of which too few keys are among `signed`, and how many are missing.
    #[must_use]
    pub fn missing(&self, signed: &BTreeSet<KeyId>) -> Vec<(&Side, usize)> {
        let missing = |side: &Side| {
            side.threshold.saturating_sub(side.keys.iter().filter(|key| signed.contains(key)).count())
        };
        self.sides.iter().map(|side| (side, missing(side))).filter(|(_, missing)| *missing > 0).collect()
    }
}

fn side(whose: Whose, root: &Root) -> Side {
    let mut keys: Vec<KeyId> = Vec::new();
    for id in root.keys_of(&RoleName::Root).map(PublicKey::canonical_id) {
        if !keys.contains(&id) {
            keys.push(id);
        }
    }
    let threshold = usize::try_from(root.roles.root.threshold.get()).unwrap_or(usize::MAX);
    Side { whose, threshold, keys }
}

#[cfg(test)]
mod tests;
