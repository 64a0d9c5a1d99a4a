//! Who is needed for a plan: how many repositories each root key may sign, what that asks of a finger, and what is to be
//! worried about before anybody travels.
use std::collections::{BTreeMap, BTreeSet};

use touchmark_tuf::{Instant, KeyId, RootCertificate};

use super::item::Item;
use super::plan::{Occasion, Plan, RootKey};
use super::words::{day, name, place, repositories};

/// From how many touches on a hint at a touch policy of "cached" is worth it.
const MANY_TOUCHES: usize = 10;

/// A root key and what it may sign.
#[derive(Debug)]
pub struct NeededKey<'p> {
    /// Canonical id.
    pub id: KeyId,
    /// What is known of it.
    pub known: Option<&'p RootKey>,
    /// How many repositories of the plan it may sign.
    pub repositories: usize,
    /// How many of these cannot do without it.
    pub indispensable: usize,
}

impl NeededKey<'_> {
    /// How often its token asks to be touched; `None`: that is not known.
    #[must_use]
    pub fn touches(&self) -> Option<usize> {
        // One for each repository and one for the seal.
        touches(self.known.map(|key| key.touch_policy.as_str()), self.repositories + 1)
    }

    /// In one line.
    #[must_use]
    pub fn in_words(&self, plan: &Plan) -> String {
        let touches = match self.touches() {
            Some(0) => String::new(),
            Some(1) => ", one touch now and then".to_owned(),
            Some(touches) => format!(", {touches} touches"),
            None => String::new(),
        };
        let must = match self.indispensable {
            0 => ", may be left out if others sign".to_owned(),
            all if all == self.repositories => String::new(),
            some => format!(", cannot be left out for {some} of them"),
        };
        let place = self.known.map_or_else(|| "no key file of it was given".to_owned(), place);
        format!("{}: signs {}{must}{touches}; {place}", name(plan, &self.id), repositories(self.repositories))
    }
}

/// How many touches so many signatures take.
#[must_use]
pub fn touches(policy: Option<&str>, signatures: usize) -> Option<usize> {
    match policy? {
        "always" => Some(signatures),
        // One touch holds for 15 seconds.
        "cached" => Some(1),
        "never" => Some(0),
        _ => None,
    }
}

/// Every root key that may sign something of the plan.
#[must_use]
pub fn keys<'p>(plan: &'p Plan, items: &[Item<'_>]) -> Vec<NeededKey<'p>> {
    let mut counts: BTreeMap<KeyId, (usize, usize)> = BTreeMap::new();
    for item in items {
        let must = indispensable(item);
        for key in item.quorum.keys() {
            let count = counts.entry(key).or_default();
            count.0 += 1;
            count.1 += usize::from(must.contains(&key));
        }
    }
    let each = counts.into_iter();
    each.map(|(id, (repositories, indispensable))| NeededKey {
        id,
        known: plan.key(&id),
        repositories,
        indispensable,
    })
    .collect()
}

/// The keys without which one of the sides is not complete.
fn indispensable(item: &Item<'_>) -> BTreeSet<KeyId> {
    let sides = item.quorum.sides().iter();
    sides
        .filter(|side| side.keys.len() <= side.threshold)
        .flat_map(|side| side.keys.iter().copied())
        .collect()
}

/// What is to be worried about, one line each.
#[must_use]
pub fn warnings(plan: &Plan, items: &[Item<'_>]) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = |is: &dyn Fn(&Item<'_>) -> bool| items.iter().filter(|item| is(item)).count();
    let alone = count(&|item| item.quorum.sides().last().is_some_and(|new| new.keys.len() <= 1));
    if alone > 0 {
        let have = if alone == 1 { "has" } else { "have" };
        warnings.push(format!(
            "{} {have} one root key only: if its token is lost, nobody can go on; --add-root takes spares",
            repositories(alone)
        ));
    }
    let no_spare = count(&|item| {
        item.quorum.sides().last().is_some_and(|new| new.keys.len() > 1 && new.keys.len() <= new.threshold)
    });
    if no_spare > 0 {
        let need = if no_spare == 1 { "needs" } else { "need" };
        warnings.push(format!(
            "{} {need} every root key: if one token is lost, nobody can go on",
            repositories(no_spare)
        ));
    }
    let ending = count(&|item| item.root.expires.instant() < plan.good_until);
    if ending > 0 {
        warnings.push(format!(
            "the new root of {} ends before the plan does ({})",
            repositories(ending),
            day(plan.good_until)
        ));
    }
    let certificates = count(&|item| certificate_end(item).is_some_and(|end| end < plan.good_until));
    if certificates > 0 {
        warnings.push(format!(
            "a root key's certificate for {} ends before the plan does ({}); touchmark ceremony key --renew",
            repositories(certificates),
            day(plan.good_until)
        ));
    }
    for key in keys(plan, items) {
        if key.known.is_none() {
            warnings.push(format!(
                "of the root key {} only its id is known: with the file of `touchmark ceremony key` the plan could name \
                 its token",
                name(plan, &key.id)
            ));
        }
        if let Some(touches) = key.touches().filter(|touches| *touches > MANY_TOUCHES) {
            warnings.push(format!(
                "{} has to be touched {touches} times; a key with the touch policy \"cached\" wants one touch every 15 \
                 seconds",
                name(plan, &key.id)
            ));
        }
    }
    if plan.occasion == Occasion::Rehearsal {
        warnings.push("this is a rehearsal: nothing of it can ever be published".to_owned());
    }
    warnings
}

/// When the first certificate of a root key of the new root ends.
#[must_use]
pub fn certificate_end(item: &Item<'_>) -> Option<Instant> {
    let keys = item.root.keys_of(&touchmark_tuf::RoleName::Root);
    keys.filter_map(|key| RootCertificate::from_pem(key.public()).ok()).map(|one| one.not_after()).min()
}

#[cfg(test)]
mod tests;
