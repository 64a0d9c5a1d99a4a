//! From the current root, or none, and what is wanted to the next root document. Pure: certificates and keys are
//! brought along by whoever asks. A ceremony of many and a rotation on one workstation are designed here alike.
mod error;

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use touchmark_tuf::{
    EditError, Expires, Gun, Instant, KeyId, PublicKey, RoleName, Root, RootCertificate, RootChange,
    first_root, next_root,
};

use crate::publish::ROOT_LIFE;

pub use error::DesignError;

/// What is wanted of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Root keys more, each as its certificate for the repository.
    pub add: Vec<PublicKey>,
    /// Root keys less, by canonical ids: see [`meant`].
    pub remove: Vec<KeyId>,
    /// How many root keys must sign from now on. `None`: as many as before; for a new root one.
    pub threshold: Option<NonZeroU32>,
    /// Root keys that stay, each as a new certificate.
    pub renewed: Vec<PublicKey>,
    /// Another tagging key. A new root needs one.
    pub targets: Option<PublicKey>,
    /// Another snapshot key. A new root needs one.
    pub snapshot: Option<PublicKey>,
    /// Another timestamp key. A new root needs one.
    pub timestamp: Option<PublicKey>,
    /// What to do where all that is wanted stands already.
    pub unchanged: Unchanged,
}

/// Whether a root that changes nothing but its expiry is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unchanged {
    /// It would be a mistake.
    #[default]
    Refuse,
    /// A new expiry is what is wanted.
    Renew,
}

/// The root that follows `base`, or the first one. Good for as long as roots are, from `now` on.
///
/// # Errors
/// The first wish that does not fit, or that nothing would change.
pub fn design(gun: &Gun, base: Option<&Root>, wishes: &Wishes, now: Instant) -> Result<Root, DesignError> {
    for certificate in wishes.add.iter().chain(&wishes.renewed) {
        is_for(gun, certificate)?;
    }
    let expires = Expires::at(now.plus(ROOT_LIFE));
    let root = match base {
        Some(base) => next(gun, base, wishes, expires)?,
        None => first(gun, wishes, expires)?,
    };
    has_one_role_each(gun, &root)?;
    Ok(root)
}

/// The canonical id of the root key that somebody wrote: an id, as the root lists it or canonical, or a unique
/// beginning of one.
///
/// # Errors
/// [`DesignError::Unknown`], [`DesignError::Ambiguous`]
pub fn meant(gun: &Gun, root: &Root, written: &str) -> Result<KeyId, DesignError> {
    let bare = written.to_lowercase();
    let begins = |id: KeyId| !bare.is_empty() && id.to_string().starts_with(&bare);
    let of = root.keys_of(&RoleName::Root).filter(|key| begins(key.id()) || begins(key.canonical_id()));
    let found: BTreeSet<KeyId> = of.map(PublicKey::canonical_id).collect();
    let (gun, written) = (gun.clone(), written.to_owned());
    let keys = || root_keys(root).into_iter().collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(DesignError::Unknown { gun, written, keys: keys() }),
        (Some(_), Some(_)) => Err(DesignError::Ambiguous { gun, written, keys: keys() }),
    }
}

/// The root keys, by canonical ids: one with two certificates is one.
#[must_use]
pub fn root_keys(root: &Root) -> BTreeSet<KeyId> {
    root.keys_of(&RoleName::Root).map(PublicKey::canonical_id).collect()
}

/// How many root keys may be lost, and the repository can still be kept.
#[must_use]
pub fn spares(root: &Root) -> usize {
    root_keys(root).len().saturating_sub(needed(root.roles.root.threshold))
}

fn first(gun: &Gun, wishes: &Wishes, expires: Expires) -> Result<Root, DesignError> {
    if wishes.add.is_empty() {
        return Err(DesignError::NoRootKey { gun: gun.clone() });
    }
    let mut added = BTreeSet::new();
    for key in wishes.add.iter().map(PublicKey::canonical_id) {
        if !added.insert(key) {
            return Err(DesignError::AddedTwice { gun: gun.clone(), key });
        }
    }
    if let Some(key) = wishes.remove.first() {
        return Err(DesignError::Unknown { gun: gun.clone(), written: key.to_string(), keys: Vec::new() });
    }
    if let Some(key) = wishes.renewed.first().map(PublicKey::canonical_id) {
        return Err(DesignError::Certificate { gun: gun.clone(), key, why: "it is new" });
    }
    let key = |role: RoleName, key: &Option<PublicKey>| {
        key.clone().ok_or_else(|| DesignError::NoKey { gun: gun.clone(), role })
    };
    let targets = key(RoleName::Targets, &wishes.targets)?;
    let snapshot = key(RoleName::Snapshot, &wishes.snapshot)?;
    let timestamp = key(RoleName::Timestamp, &wishes.timestamp)?;
    let threshold = wishes.threshold.unwrap_or(NonZeroU32::MIN);
    is_within(gun, threshold, added.len())?;
    first_root(gun, &wishes.add, threshold, &targets, &snapshot, &timestamp, expires).map_err(edit(gun))
}

fn next(gun: &Gun, base: &Root, wishes: &Wishes, expires: Expires) -> Result<Root, DesignError> {
    let mut keys = root_keys(base);
    let mut changes = Vec::new();
    for certificate in &wishes.add {
        let key = certificate.canonical_id();
        if wishes.remove.contains(&key) {
            return Err(DesignError::AddedAndRemoved { gun: gun.clone(), key });
        }
        if !keys.insert(key) {
            return Err(DesignError::AddedTwice { gun: gun.clone(), key });
        }
        changes.push(RootChange::AddRootKey(certificate.clone()));
    }
    for key in &wishes.remove {
        if !keys.remove(key) {
            let keys = root_keys(base).into_iter().collect();
            return Err(DesignError::Unknown { gun: gun.clone(), written: key.to_string(), keys });
        }
        changes.extend(listings(base, key).map(RootChange::RemoveRootKey));
    }
    for certificate in &wishes.renewed {
        let key = certificate.canonical_id();
        let refused = |why| DesignError::Certificate { gun: gun.clone(), key, why };
        if !keys.contains(&key) || listings(base, &key).next().is_none() {
            return Err(refused("it is no root key that stays"));
        }
        if listings(base, &key).any(|id| id == certificate.id()) {
            return Err(refused("it is the one that is listed"));
        }
        changes.extend(listings(base, &key).map(RootChange::RemoveRootKey));
        changes.push(RootChange::AddRootKey(certificate.clone()));
    }
    for (role, key) in [
        (RoleName::Targets, &wishes.targets),
        (RoleName::Snapshot, &wishes.snapshot),
        (RoleName::Timestamp, &wishes.timestamp),
    ] {
        if let Some(key) = key.as_ref().filter(|key| !is_the_only_key(base, &role, key)) {
            changes.push(RootChange::SetRoleKey(role, key.clone()));
        }
    }
    if keys.is_empty() {
        return Err(DesignError::LastKey { gun: gun.clone() });
    }
    let threshold = wishes.threshold.unwrap_or(base.roles.root.threshold);
    is_within(gun, threshold, keys.len())?;
    if threshold != base.roles.root.threshold {
        changes.push(RootChange::SetThreshold(threshold));
    }
    if changes.is_empty() && wishes.unchanged == Unchanged::Refuse {
        return Err(DesignError::Nothing { gun: gun.clone() });
    }
    next_root(gun, base, &changes, expires).map_err(edit(gun))
}

/// The ids under which a root lists a root key (canonical id).
fn listings<'r>(root: &'r Root, key: &'r KeyId) -> impl Iterator<Item = KeyId> + 'r {
    root.keys_of(&RoleName::Root).filter(move |listed| listed.canonical_id() == *key).map(PublicKey::id)
}

fn is_the_only_key(root: &Root, role: &RoleName, key: &PublicKey) -> bool {
    root.keys_of(role).all(|listed| listed.canonical_id() == key.canonical_id())
}

fn is_within(gun: &Gun, threshold: NonZeroU32, keys: usize) -> Result<(), DesignError> {
    if needed(threshold) <= keys {
        return Ok(());
    }
    Err(DesignError::Threshold { gun: gun.clone(), threshold: threshold.get(), keys })
}

fn needed(threshold: NonZeroU32) -> usize {
    usize::try_from(threshold.get()).unwrap_or(usize::MAX)
}

/// A root does not name its repository; its certificates do, and exactly so.
fn is_for(gun: &Gun, key: &PublicKey) -> Result<(), DesignError> {
    let certificate = key.key_type().is_certificate().then(|| RootCertificate::from_pem(key.public()));
    let Some(Ok(certificate)) = certificate else {
        return Err(edit(gun)(EditError::RootCertificate(key.id())));
    };
    if certificate.common_name() == gun.as_str() {
        return Ok(());
    }
    let of = certificate.common_name().to_owned();
    Err(DesignError::OtherRepository { gun: gun.clone(), key: key.canonical_id(), of })
}

fn has_one_role_each(gun: &Gun, root: &Root) -> Result<(), DesignError> {
    let mut seen: Vec<(KeyId, RoleName)> = Vec::new();
    for role in [RoleName::Root, RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
        for key in root.keys_of(&role).map(PublicKey::canonical_id) {
            match seen.iter().find(|(other, _)| *other == key) {
                Some((_, other)) if *other != role => {
                    return Err(DesignError::TwoRoles {
                        gun: gun.clone(),
                        key,
                        roles: (other.clone(), role.clone()),
                    });
                }
                _ => seen.push((key, role.clone())),
            }
        }
    }
    Ok(())
}

fn edit(gun: &Gun) -> impl Fn(EditError) -> DesignError {
    let gun = gun.clone();
    move |cause| DesignError::Edit { gun: gun.clone(), cause }
}

#[cfg(test)]
mod tests;
