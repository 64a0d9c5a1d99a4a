//! The next version of a document: what a client builds and a daemon signs. Each result reads back exactly.
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::canonical::exact;
use crate::certificate::RootCertificate;
use crate::document::{Document, FileMeta, RoleKeys};
use crate::error::EditError;
use crate::ids::{DelegationName, Gun, KeyId, RoleName, TargetName, Version};
use crate::instant::Expires;
use crate::key::PublicKey;
use crate::root::{Root, RootRoles};
use crate::snapshot::Snapshot;
use crate::targets::{DelegatedRole, Delegations, Target, Targets};

/// One change of a targets document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetChange {
    /// A tag stands for this from now on.
    Set {
        /// The tag.
        name: TargetName,
        /// What it stands for.
        target: Target,
    },
    /// A tag is no longer signed. It must be there.
    Remove {
        /// The tag.
        name: TargetName,
    },
    /// A role may sign: made with threshold 1, or given these keys and paths in addition to what it has.
    AddDelegation {
        /// The role.
        name: DelegationName,
        /// Keys that may sign for it; each suffices.
        keys: Vec<PublicKey>,
        /// Prefixes of the tags that it may sign; `""` is every tag.
        paths: Vec<String>,
    },
    /// A role may no longer sign. It must be there.
    RemoveDelegation {
        /// The role.
        name: DelegationName,
    },
    /// A signer as Docker lays it out: the role `name` and `targets/releases`, every tag, the same keys in both.
    AddSigner {
        /// The signer's own role.
        name: DelegationName,
        /// The signer's keys.
        keys: Vec<PublicKey>,
    },
    /// A signer goes: its role, and those of its keys in `targets/releases` that no other signer has. The last signer
    /// takes `targets/releases` along, which Docker would leave behind without keys and unusable.
    RemoveSigner {
        /// The signer's own role.
        name: DelegationName,
    },
}

/// One change of a root document. In which order several come does not matter to what is allowed: whether the keys fit
/// is looked at when all are made. A key gets a new certificate by adding the new one and removing the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootChange {
    /// A root key more; its certificate must be for the repository.
    AddRootKey(PublicKey),
    /// A root key less. Its certificate stays described, as Notary leaves it.
    RemoveRootKey(KeyId),
    /// That many root keys must sign from now on.
    SetThreshold(NonZeroU32),
    /// Another key for `targets`, `snapshot` or `timestamp`, instead of all that it had.
    SetRoleKey(RoleName, PublicKey),
}

/// The first root of a repository, version 1: `threshold` of the root keys have to sign it, and whatever replaces it.
///
/// # Errors
/// If there are fewer root keys than that, or one of them has no certificate for the repository.
pub fn first_root(
    gun: &Gun,
    root_certs: &[PublicKey],
    threshold: NonZeroU32,
    targets: &PublicKey,
    snapshot: &PublicKey,
    timestamp: &PublicKey,
    expires: Expires,
) -> Result<Root, EditError> {
    let mut keys = BTreeMap::new();
    let mut role = |listed: &[&PublicKey]| {
        keys.extend(listed.iter().map(|key| (key.id(), (*key).clone())));
        RoleKeys::any_of(listed.iter().map(|key| key.id()).collect())
    };
    let roles = RootRoles {
        root: RoleKeys { threshold, ..role(&root_certs.iter().collect::<Vec<_>>()) },
        snapshot: role(&[snapshot]),
        targets: role(&[targets]),
        timestamp: role(&[timestamp]),
    };
    for key in root_certs {
        check_certificate(gun, key)?;
    }
    let root = Root { consistent_snapshot: false, expires, keys, roles, version: Version::FIRST };
    check_root_keys(&root, &root_certs.iter().map(PublicKey::id).collect::<Vec<_>>())?;
    checked(root)
}

/// The root that follows `base`. It needs the signatures of the old root keys and of the new ones.
///
/// # Errors
/// If a change does not fit or the result breaks a rule.
pub fn next_root(
    gun: &Gun,
    base: &Root,
    changes: &[RootChange],
    expires: Expires,
) -> Result<Root, EditError> {
    let mut root = Root { expires, version: following(base.version)?, ..base.clone() };
    let mut added = Vec::new();
    for change in changes {
        match change {
            RootChange::AddRootKey(key) => {
                check_certificate(gun, key)?;
                root.keys.insert(key.id(), key.clone());
                if !root.roles.root.key_ids.contains(&key.id()) {
                    root.roles.root.key_ids.push(key.id());
                    added.push(key.id());
                }
            }
            RootChange::RemoveRootKey(key_id) => {
                let listed = &mut root.roles.root.key_ids;
                let at = listed.iter().position(|id| id == key_id);
                listed.remove(at.ok_or(EditError::NoSuchKey(*key_id, RoleName::Root))?);
            }
            RootChange::SetThreshold(threshold) => root.roles.root.threshold = *threshold,
            RootChange::SetRoleKey(role, key) => set_role_key(&mut root, role, key)?,
        }
    }
    check_root_keys(&root, &added)?;
    checked(root)
}

/// The first targets document: no tags, no delegations, version 1.
#[must_use]
pub const fn first_targets(expires: Expires) -> Targets {
    Targets {
        delegations: Delegations { keys: BTreeMap::new(), roles: Vec::new() },
        expires,
        targets: BTreeMap::new(),
        version: Version::FIRST,
    }
}

/// The targets document that follows `base`, for `targets` or a delegation. No change at all is a mere refresh.
///
/// # Errors
/// If a change does not fit or the result breaks a rule.
pub fn next_targets(
    base: &Targets,
    changes: &[TargetChange],
    expires: Expires,
) -> Result<Targets, EditError> {
    let mut next = Targets { expires, version: following(base.version)?, ..base.clone() };
    for change in changes {
        match change {
            TargetChange::Set { name, target } => {
                next.targets.insert(name.clone(), target.clone());
            }
            TargetChange::Remove { name } => {
                next.targets.remove(name).ok_or_else(|| EditError::NoSuchTag(name.clone()))?;
            }
            TargetChange::AddDelegation { name, keys, paths } => {
                add_delegation(&mut next.delegations, name, keys, paths)?;
            }
            TargetChange::RemoveDelegation { name } => {
                remove_delegation(&mut next.delegations, name)?;
            }
            TargetChange::AddSigner { name, keys } => {
                let every = [String::new()];
                add_delegation(&mut next.delegations, name, keys, &every)?;
                add_delegation(&mut next.delegations, &DelegationName::releases(), keys, &every)?;
            }
            TargetChange::RemoveSigner { name } => remove_signer(&mut next.delegations, name)?,
        }
    }
    checked(next)
}

/// The snapshot that follows `base` (or the first one): the files given replace what it listed for their roles, the
/// rest stays. The first one needs root and targets.
///
/// # Errors
/// If root or targets is missing, or the version cannot grow.
pub fn next_snapshot(
    base: Option<&Snapshot>,
    files: &[(RoleName, &[u8])],
    expires: Expires,
) -> Result<Snapshot, EditError> {
    let mut meta = base.map(|base| base.meta.clone()).unwrap_or_default();
    meta.extend(files.iter().map(|(role, file)| (role.clone(), FileMeta::of(file))));
    let version = base.map_or(Ok(Version::FIRST), |base| following(base.version))?;
    checked(Snapshot { expires, meta, version })
}

fn following(version: Version) -> Result<Version, EditError> {
    version.next().ok_or(EditError::LastVersion(version))
}

/// What was made must read back as itself: the reader's rules and limits hold for the writer too.
fn checked<D: Document + PartialEq>(document: D) -> Result<D, EditError> {
    let back: D = exact(&document.write())?;
    if back == document { Ok(document) } else { Err(EditError::ReadBack) }
}

fn check_certificate(gun: &Gun, key: &PublicKey) -> Result<(), EditError> {
    let certificate = key.key_type().is_certificate().then(|| RootCertificate::from_pem(key.public()));
    match certificate {
        Some(Ok(certificate)) if certificate.matches(gun) => Ok(()),
        _ => Err(EditError::RootCertificate(key.id())),
    }
}

/// Enough different root keys for the threshold, and none of the `added` ones a second time in another certificate:
/// Notary's readers would count that as two signers.
fn check_root_keys(root: &Root, added: &[KeyId]) -> Result<(), EditError> {
    for id in added {
        let Some(key) = root.keys_of(&RoleName::Root).find(|key| key.id() == *id) else { continue };
        let twin = |other: &&PublicKey| other.id() != *id && other.canonical_id() == key.canonical_id();
        if let Some(other) = root.keys_of(&RoleName::Root).find(twin) {
            return Err(EditError::SameRootKey { listed: other.id(), added: *id });
        }
    }
    let needed = usize::try_from(root.roles.root.threshold.get()).unwrap_or(usize::MAX);
    let keys = root.different_keys(&RoleName::Root);
    if keys < needed { Err(EditError::TooFewRootKeys { keys, needed }) } else { Ok(()) }
}

fn set_role_key(root: &mut Root, role: &RoleName, key: &PublicKey) -> Result<(), EditError> {
    let listed = match role {
        RoleName::Targets => &mut root.roles.targets,
        RoleName::Snapshot => &mut root.roles.snapshot,
        RoleName::Timestamp => &mut root.roles.timestamp,
        RoleName::Root | RoleName::Delegation(_) => {
            return Err(EditError::NoSuchKey(key.id(), role.clone()));
        }
    };
    let retired = std::mem::replace(listed, RoleKeys::any_of(vec![key.id()])).key_ids;
    root.keys.insert(key.id(), key.clone());
    let RootRoles { root: root_role, snapshot, targets, timestamp } = &root.roles;
    let used = [root_role, snapshot, targets, timestamp];
    for key_id in retired {
        if !used.iter().any(|role| role.key_ids.contains(&key_id)) {
            root.keys.remove(&key_id);
        }
    }
    Ok(())
}

fn add_delegation(
    delegations: &mut Delegations,
    name: &DelegationName,
    keys: &[PublicKey],
    paths: &[String],
) -> Result<(), EditError> {
    delegations.keys.extend(keys.iter().map(|key| (key.id(), key.clone())));
    let at = delegations.roles.iter().position(|role| role.name == *name);
    let at = at.unwrap_or_else(|| {
        delegations.roles.push(DelegatedRole {
            name: name.clone(),
            key_ids: Vec::new(),
            threshold: NonZeroU32::MIN,
            paths: Vec::new(),
        });
        delegations.roles.len() - 1
    });
    let role = delegations.roles.get_mut(at).ok_or_else(|| EditError::NoSuchDelegation(name.clone()))?;
    for key in keys {
        if !role.key_ids.contains(&key.id()) {
            role.key_ids.push(key.id());
        }
    }
    for path in paths {
        if !role.paths.contains(path) {
            role.paths.push(path.clone());
        }
    }
    if role.key_ids.is_empty() { Err(EditError::NoKeys(name.clone())) } else { Ok(()) }
}

fn remove_delegation(
    delegations: &mut Delegations,
    name: &DelegationName,
) -> Result<DelegatedRole, EditError> {
    let at = delegations.roles.iter().position(|role| role.name == *name);
    let removed = delegations.roles.remove(at.ok_or_else(|| EditError::NoSuchDelegation(name.clone()))?);
    drop_unused_keys(delegations);
    Ok(removed)
}

fn remove_signer(delegations: &mut Delegations, name: &DelegationName) -> Result<(), EditError> {
    let removed = remove_delegation(delegations, name)?;
    let releases = DelegationName::releases();
    let others: Vec<KeyId> = delegations
        .roles
        .iter()
        .filter(|role| role.name != releases)
        .flat_map(|role| role.key_ids.iter().copied())
        .collect();
    if let Some(role) = delegations.roles.iter_mut().find(|role| role.name == releases) {
        role.key_ids.retain(|key_id| others.contains(key_id) || !removed.key_ids.contains(key_id));
    }
    delegations.roles.retain(|role| role.name != releases || !role.key_ids.is_empty());
    drop_unused_keys(delegations);
    Ok(())
}

fn drop_unused_keys(delegations: &mut Delegations) {
    let Delegations { keys, roles } = delegations;
    let listed: BTreeSet<_> = roles.iter().flat_map(|role| &role.key_ids).collect();
    keys.retain(|key_id, _| listed.contains(key_id));
}

#[cfg(test)]
mod tests;
