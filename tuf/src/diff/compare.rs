//! Finding the differences: one walk through two sorted documents.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use crate::document::RoleKeys;
use crate::ids::{DelegationName, KeyId, RoleName, TargetName, shown};
use crate::instant::Expires;
use crate::key::PublicKey;
use crate::root::{Root, RootRoles};
use crate::snapshot::Snapshot;
use crate::targets::{DelegatedRole, Target, Targets};

/// What `new` changes about the tags and delegations of `base`. Nothing changed but the version: no difference.
#[must_use]
pub fn targets(base: Option<&Targets>, new: &Targets) -> Vec<Difference> {
    let mut found = Vec::new();
    header("targets", base.map(|base| &base.expires), &new.expires, &mut found);
    let none = BTreeMap::new();
    let old = base.map_or(&none, |base| &base.targets);
    merge(old, &new.targets, |tag, old, new| tag_change(tag, old, new, &mut found));

    let old = base.map(|base| base.delegations.roles.as_slice()).unwrap_or_default();
    for role in old.iter().filter(|role| new.delegation(&role.name).is_none()) {
        found.push(Difference::DelegationRemoved { name: role.name.clone() });
    }
    for role in &new.delegations.roles {
        match old.iter().find(|earlier| earlier.name == role.name) {
            Some(earlier) => found.extend(delegation_change(earlier, role)),
            None => found.push(Difference::DelegationAdded {
                name: role.name.clone(),
                keys: role.key_ids.clone(),
                paths: role.paths.clone(),
            }),
        }
    }
    if order(old, &new.delegations.roles) != order(&new.delegations.roles, old) {
        found.push(Difference::Other { what: "the order of the delegations changed".to_owned() });
    }
    let listed: BTreeSet<_> = new.delegations.roles.iter().flat_map(|role| &role.key_ids).collect();
    stray_keys(base.map(|base| &base.delegations.keys), &new.delegations.keys, &listed, &mut found);
    found
}

/// What `new` changes about who may sign.
#[must_use]
pub fn root(base: Option<&Root>, new: &Root) -> Vec<Difference> {
    let mut found = Vec::new();
    header("root", base.map(|base| &base.expires), &new.expires, &mut found);
    root_keys(base, new, &mut found);
    let threshold = new.roles.root.threshold.get();
    let before = base.map(|base| base.roles.root.threshold.get());
    if before.unwrap_or(1) != threshold {
        let of = new.different_keys(&RoleName::Root);
        found.push(Difference::RootThresholdChanged { from: before, to: threshold, of });
    }
    for role in [RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
        let (old, new) = (base.and_then(|base| base.role(&role)), new.role(&role));
        if let Some(new) = new.filter(|new| !old.is_some_and(|old| same_keys(old, new))) {
            found.push(Difference::RoleKeysChanged {
                role,
                from: old.map(|old| old.key_ids.clone()).unwrap_or_default(),
                keys: new.key_ids.clone(),
                threshold: new.threshold.get(),
            });
        }
    }
    if base.is_some_and(|base| base.consistent_snapshot) != new.consistent_snapshot {
        found.push(Difference::Other { what: "consistent_snapshot changed".to_owned() });
    }
    // Retired certificates stay described, as Notary keeps them.
    let RootRoles { root, snapshot, targets, timestamp } = &new.roles;
    let listed = [root, snapshot, targets, timestamp].into_iter().flat_map(|role| &role.key_ids).collect();
    stray_keys(base.map(|base| &base.keys), &new.keys, &listed, &mut found);
    found
}

/// Which files `new` lists that `base` did not.
#[must_use]
pub fn snapshot(base: Option<&Snapshot>, new: &Snapshot) -> Vec<Difference> {
    let mut found = Vec::new();
    header("snapshot", base.map(|base| &base.expires), &new.expires, &mut found);
    let none = BTreeMap::new();
    merge(base.map_or(&none, |base| &base.meta), &new.meta, |role, old, new| {
        if old != new {
            found.push(Difference::FileChanged { role: role.clone(), to: new.map(|meta| meta.sha256) });
        }
    });
    found
}

fn header(what: &'static str, base: Option<&Expires>, new: &Expires, found: &mut Vec<Difference>) {
    match base {
        None => found.push(Difference::Created { what, expires: new.clone() }),
        Some(base) if base != new => {
            found.push(Difference::ExpiryChanged { from: base.clone(), to: new.clone() });
        }
        Some(_) => {}
    }
}

/// Keys that are described, that no role lists and that were not there before: nobody needs them.
fn stray_keys(
    base: Option<&BTreeMap<KeyId, PublicKey>>,
    new: &BTreeMap<KeyId, PublicKey>,
    listed: &BTreeSet<&KeyId>,
    found: &mut Vec<Difference>,
) {
    let known = |key_id| base.is_some_and(|base| base.contains_key(key_id));
    for key_id in new.keys().filter(|key_id| !listed.contains(key_id) && !known(key_id)) {
        found.push(Difference::Other { what: format!("the key {key_id} is described and no role lists it") });
    }
}

fn tag_change(tag: &TargetName, old: Option<&Target>, new: Option<&Target>, found: &mut Vec<Difference>) {
    let tag_text = || shown(tag.as_str());
    found.push(match (old, new) {
        (Some(old), Some(new)) if old == new => return,
        (_, None) => Difference::TagRemoved { tag: tag.clone() },
        (old, Some(new)) => match (old.map(Target::sha256), new.sha256()) {
            (None, Some(digest)) => {
                Difference::TagAdded { tag: tag.clone(), digest: *digest, length: new.length }
            }
            (Some(Some(from)), Some(to)) => Difference::TagMoved { tag: tag.clone(), from: *from, to: *to },
            // Signed by another program without SHA-256: no reader took it, so it counts as new.
            (Some(None), Some(digest)) => {
                Difference::TagAdded { tag: tag.clone(), digest: *digest, length: new.length }
            }
            (_, None) => Difference::Other { what: format!("tag {} without sha256", tag_text()) },
        },
    });
}

fn delegation_change(old: &DelegatedRole, new: &DelegatedRole) -> Option<Difference> {
    let (added, removed) = changed(&old.key_ids, &new.key_ids);
    let threshold = (old.threshold.get(), new.threshold.get());
    let paths = (old.paths != new.paths).then(|| new.paths.clone());
    if added.is_empty() && removed.is_empty() && threshold.0 == threshold.1 && paths.is_none() {
        return None;
    }
    Some(Difference::DelegationChanged { name: new.name.clone(), added, removed, threshold, paths })
}

/// The roles that both lists have, in the order of the first.
fn order<'a>(these: &'a [DelegatedRole], those: &[DelegatedRole]) -> Vec<&'a DelegationName> {
    let both = |role: &&DelegatedRole| those.iter().any(|other| other.name == role.name);
    these.iter().filter(both).map(|role| &role.name).collect()
}

/// Root keys that come and go. One that comes in a new certificate while its old one goes is the same key.
fn root_keys(base: Option<&Root>, new: &Root, found: &mut Vec<Difference>) {
    let old = base.map(|base| base.roles.root.key_ids.as_slice()).unwrap_or_default();
    let (added, mut removed) = changed(old, &new.roles.root.key_ids);
    let key_of = |root: Option<&Root>, id: &KeyId| Some(root?.keys.get(id)?.canonical_id());
    for to in added {
        let key = key_of(Some(new), &to);
        let renewed = removed.iter().position(|from| key.is_some() && key_of(base, from) == key);
        found.push(match (key, renewed) {
            (Some(key), Some(at)) => {
                Difference::RootCertificateReplaced { key, from: removed.remove(at), to }
            }
            _ => Difference::RootKeyAdded { key_id: to },
        });
    }
    found.extend(removed.into_iter().map(|key_id| Difference::RootKeyRemoved { key_id }));
}

fn same_keys(old: &RoleKeys, new: &RoleKeys) -> bool {
    let (added, removed) = changed(&old.key_ids, &new.key_ids);
    added.is_empty() && removed.is_empty() && old.threshold == new.threshold
}

/// Keys in the second list alone, and in the first alone.
fn changed(old: &[KeyId], new: &[KeyId]) -> (Vec<KeyId>, Vec<KeyId>) {
    let only =
        |these: &[KeyId], those: &[KeyId]| these.iter().filter(|id| !those.contains(id)).copied().collect();
    (only(new, old), only(old, new))
}

/// Walks two sorted maps side by side; `each` gets every key once.
fn merge<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
    mut each: impl FnMut(&'a K, Option<&'a V>, Option<&'a V>),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let left = if order == Ordering::Greater { None } else { old.next() };
        let right = if order == Ordering::Less { None } else { new.next() };
        if let Some(key) = left.map(|(key, _)| key).or(right.map(|(key, _)| key)) {
            each(key, left.map(|(_, value)| value), right.map(|(_, value)| value));
        }
    }
}
