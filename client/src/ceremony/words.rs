//! What a plan changes, for people: one line a change, alike for every repository that changes alike, so that a fleet is
//! read once. Ids that differ from repository to repository stand in the differences themselves, which come along.
use std::collections::BTreeMap;

use touchmark_tuf::{Instant, KeyId, PublicKey, RoleName, Root, shown};

use super::item::Item;
use super::plan::{Also, Plan, RootKey};
use super::quorum::{Side, Whose};

/// Digits of a key id that are enough for people.
const SHORT: usize = 12;

/// Repositories that change alike.
#[derive(Debug)]
pub struct Alike<'a, 'p> {
    /// What changes, one line each.
    pub lines: Vec<String>,
    /// Which they are, in the order of the plan.
    pub items: Vec<&'a Item<'p>>,
}

/// Puts together what changes alike, in the order of the plan.
#[must_use]
pub fn folded<'a, 'p>(plan: &Plan, items: &'a [Item<'p>]) -> Vec<Alike<'a, 'p>> {
    let mut groups: Vec<Alike<'a, 'p>> = Vec::new();
    let mut known: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for item in items {
        let lines = changes(plan, item);
        match known.get(&lines).and_then(|at| groups.get_mut(*at)) {
            Some(group) => group.items.push(item),
            None => {
                known.insert(lines.clone(), groups.len());
                groups.push(Alike { lines, items: vec![item] });
            }
        }
    }
    groups
}

/// What changes in one repository, without what is its alone.
#[must_use]
pub fn changes(plan: &Plan, item: &Item<'_>) -> Vec<String> {
    let (old, new) = (item.base.as_ref().map(|trusted| &**trusted.root()), &item.root);
    let before = old.map(root_keys).unwrap_or_default();
    let after = root_keys(new);
    let mut lines = Vec::new();
    if old.is_none() {
        lines.push("a new repository".to_owned());
    }
    for (key, listed) in &after {
        match before.get(key) {
            None => lines.push(format!("root key {} comes in", name(plan, key))),
            Some(earlier) if earlier != listed => {
                lines.push(format!("root key {} gets a new certificate", name(plan, key)));
            }
            Some(_) => {}
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(key)) {
        lines.push(format!("root key {} goes out", name(plan, key)));
    }
    let needed = new.roles.root.threshold.get();
    let so_far = old.map(|old| old.roles.root.threshold.get());
    if so_far != Some(needed) {
        let so_far = so_far.map(|so_far| format!(", so far {so_far}")).unwrap_or_default();
        lines.push(format!("{needed} of {} root keys must sign from now on{so_far}", after.len()));
    }
    for (role, what) in [
        (RoleName::Targets, "tagging key"),
        (RoleName::Snapshot, "snapshot key"),
        (RoleName::Timestamp, "timestamp key"),
    ] {
        if let Some(old) = old
            && (canonical(old, &role), threshold(old, &role))
                != (canonical(new, &role), threshold(new, &role))
        {
            lines.push(format!("another {what}"));
        }
    }
    lines.push(format!("root version {}, valid until {}", new.version, day(new.expires.instant())));
    if let Some(old) = old
        && new.expires.instant() < old.expires.instant()
    {
        lines.push(format!("that is earlier than so far: {}", day(old.expires.instant())));
    }
    if item.repository.also == Also::Targets {
        lines.push("its tags are signed anew by its tagging key when it is published".to_owned());
    }
    lines.extend(item.quorum.sides().iter().map(|side| format!("to sign: {}", side_in_words(plan, side))));
    lines.dedup_by(|later, earlier| later == earlier);
    lines
}

/// Every difference, with its ids.
#[must_use]
pub fn changes_in_full(item: &Item<'_>) -> Vec<String> {
    item.differences.iter().map(ToString::to_string).collect()
}

/// A side of the quorum: "2 of alice (3f..), bob (a0..), carol (77..)".
#[must_use]
pub fn side_in_words(plan: &Plan, side: &Side) -> String {
    let names: Vec<String> = side.keys.iter().map(|key| name(plan, key)).collect();
    let of = match side.whose {
        Whose::Old => "the root keys so far",
        Whose::New => "the new root keys",
    };
    format!("{} of {} ({of})", side.threshold, names.join(", "))
}

/// What people call a root key, with the beginning of its id.
#[must_use]
pub fn name(plan: &Plan, key: &KeyId) -> String {
    let id = short(key);
    match plan.key(key).map(|known| known.label.as_str()) {
        Some(label) if !label.is_empty() => format!("{} ({id})", shown(label)),
        _ => id,
    }
}

/// Where a key lives and what it asks, as its holder told.
#[must_use]
pub fn place(key: &RootKey) -> String {
    let kind = match key.token_kind.as_str() {
        "" => "token not known".to_owned(),
        "yubikey" => format!("YubiKey {}", shown(&key.serial)),
        kind => format!("{} token, serial {}", shown(kind), shown(&key.serial)),
    };
    let firmware = match key.firmware.as_str() {
        "" => String::new(),
        firmware => format!(", firmware {}", shown(firmware)),
    };
    let policies = [("touch", &key.touch_policy), ("PIN", &key.pin_policy)].map(|(of, policy)| {
        if policy.is_empty() { String::new() } else { format!(", {of} {}", shown(policy)) }
    });
    format!("{kind}{firmware}{}", policies.concat())
}

/// The beginning of an id.
#[must_use]
pub fn short(key: &KeyId) -> String {
    key.to_string().chars().take(SHORT).collect()
}

/// The day of a time, UTC.
#[must_use]
pub fn day(instant: Instant) -> String {
    instant.to_string().split('T').next().unwrap_or_default().to_owned()
}

/// `1 repository`, `2 repositories`.
#[must_use]
pub fn repositories(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}

/// Canonical ids of the root keys, each with the ids under which it is listed.
fn root_keys(root: &Root) -> BTreeMap<KeyId, Vec<KeyId>> {
    let mut keys: BTreeMap<KeyId, Vec<KeyId>> = BTreeMap::new();
    for key in root.keys_of(&RoleName::Root) {
        keys.entry(key.canonical_id()).or_default().push(key.id());
    }
    keys.values_mut().for_each(|listed| listed.sort_unstable());
    keys
}

fn canonical(root: &Root, role: &RoleName) -> Vec<KeyId> {
    let mut keys: Vec<KeyId> = root.keys_of(role).map(PublicKey::canonical_id).collect();
    keys.sort_unstable();
    keys
}

fn threshold(root: &Root, role: &RoleName) -> u32 {
    root.role(role).map_or(0, |keys| keys.threshold.get())
}

#[cfg(test)]
mod tests;
