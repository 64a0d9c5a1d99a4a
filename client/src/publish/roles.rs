//! Which roles sign, and with which keys: by what the root and the targets document list and what the daemon holds.
//! Pure.
use std::collections::{BTreeMap, BTreeSet};

use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Gun, KeyId, PublicKey, RoleKeys, RoleName, Root, TargetChange, TargetName, Targets};

use super::plan::Goal;
use crate::error::Error;

/// The keys of one repository that the daemon holds, by their canonical ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    root: BTreeSet<KeyId>,
    tagging: BTreeSet<KeyId>,
    snapshot: BTreeSet<KeyId>,
}

/// A role, who may sign for it, and which of those keys are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The role.
    pub role: RoleName,
    /// The keys that may sign and how many must.
    pub role_keys: RoleKeys,
    /// What those keys are.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Canonical ids of the keys to sign with: as many as the threshold wants.
    pub with: Vec<KeyId>,
}

impl Keyring {
    /// Sorts the daemon's keys for a repository.
    #[must_use]
    pub fn of(gun: &Gun, keys: &[v1::Key]) -> Self {
        let mut ring = Self::default();
        for key in keys {
            let Ok(id) = key.id.parse() else { continue };
            let is_ours = key.repositories.iter().any(|repository| repository == gun.as_str());
            match key.role() {
                v1::Role::Root => drop(ring.root.insert(id)),
                v1::Role::Targets | v1::Role::Delegation if is_ours => drop(ring.tagging.insert(id)),
                v1::Role::Snapshot if is_ours => drop(ring.snapshot.insert(id)),
                _ => {}
            }
        }
        ring
    }

    fn for_role(&self, role: &RoleName) -> &BTreeSet<KeyId> {
        match role {
            RoleName::Root => &self.root,
            RoleName::Snapshot => &self.snapshot,
            RoleName::Targets | RoleName::Delegation(_) | RoleName::Timestamp => &self.tagging,
        }
    }

    /// How a role is signed with what is held here; `None` if the threshold is not reached.
    #[must_use]
    pub fn signing(
        &self,
        role: &RoleName,
        role_keys: &RoleKeys,
        keys: &BTreeMap<KeyId, PublicKey>,
    ) -> Option<Signing> {
        let held = self.for_role(role);
        let listed = role_keys.key_ids.iter().filter_map(|id| keys.get(id));
        let wanted = usize::try_from(role_keys.threshold.get()).ok()?;
        let mut with: Vec<KeyId> = Vec::new();
        for id in listed.map(PublicKey::canonical_id).filter(|id| held.contains(id)) {
            if with.len() < wanted && !with.contains(&id) {
                with.push(id);
            }
        }
        let keys = role_keys
            .key_ids
            .iter()
            .filter_map(|id| Some((*id, keys.get(id)?.clone())))
            .collect::<BTreeMap<_, _>>();
        (with.len() == wanted).then(|| Signing {
            role: role.clone(),
            role_keys: role_keys.clone(),
            keys,
            with,
        })
    }

    /// A base role of the root document.
    #[must_use]
    pub fn base_role(&self, role: &RoleName, root: &Root) -> Option<Signing> {
        self.signing(role, root.role(role)?, &root.keys)
    }

    /// Every direct delegation of `targets` that can be signed here.
    #[must_use]
    pub fn delegations(&self, targets: &Targets) -> Vec<Signing> {
        let roles = targets.delegations.roles.iter();
        roles
            .filter(|role| role.name.parent() == RoleName::Targets)
            .filter_map(|role| {
                self.signing(&role.name.clone().into(), &role.role_keys(), &targets.delegations.keys)
            })
            .collect()
    }
}

/// The roles that a goal concerns. Docker's rule for signing tags: without delegations `targets`; with them every
/// one whose key is held, and never `targets`, so that a signer's tags show who signed them.
///
/// # Errors
/// `KEY_UNKNOWN`, naming the keys one of which would do.
pub fn choose(
    gun: &Gun,
    goal: &Goal,
    ring: &Keyring,
    root: &Root,
    targets: &Targets,
) -> Result<Vec<Signing>, Error> {
    let own = ring.base_role(&RoleName::Targets, root);
    let delegated = ring.delegations(targets);
    let chosen: Vec<Signing> = match goal {
        Goal::Apply(changes) if targets.delegations.roles.is_empty() => {
            own.into_iter().filter(|_| !changes.is_empty()).collect()
        }
        Goal::Apply(changes) => {
            // A tag that stands in `targets` itself is withdrawn there too.
            let is_there = |name: &TargetName| targets.targets.contains_key(name);
            let withdrawn = own.filter(|_| removed(changes).any(is_there));
            delegated.into_iter().chain(withdrawn).collect()
        }
        Goal::Refresh(_) | Goal::Publish => own.into_iter().chain(delegated).collect(),
    };
    if !chosen.is_empty() || *goal == Goal::Publish {
        return Ok(chosen);
    }
    Err(no_key(gun, root, targets))
}

fn removed(changes: &[TargetChange]) -> impl Iterator<Item = &TargetName> {
    changes.iter().filter_map(|change| match change {
        TargetChange::Remove { name } => Some(name),
        _ => None,
    })
}

fn no_key(gun: &Gun, root: &Root, targets: &Targets) -> Error {
    let roles = &targets.delegations.roles;
    let names: Vec<String> = if roles.is_empty() {
        root.keys_of(&RoleName::Targets).map(|key| key.canonical_id().to_string()).collect()
    } else {
        let keys = roles.iter().flat_map(|role| &role.key_ids);
        keys.filter_map(|id| targets.delegations.keys.get(id))
            .map(|key| key.canonical_id().to_string())
            .collect()
    };
    let which = match names.len() {
        0 => "nobody may sign for it any more".to_owned(),
        _ => format!("it wants one of {}", names.join(", ")),
    };
    Error::new(Reason::KeyUnknown, format!("touchmarkd holds no key that may sign tags of {gun}: {which}"))
        .hint("touchmark key ls; touchmark key import FILE")
}

#[cfg(test)]
mod tests;
