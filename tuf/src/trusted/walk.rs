//! Looking tags up: which roles may speak about a tag, and who is asked first.
use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Signed, Trusted};
use crate::envelope::Verified;
use crate::error::TrustError;
use crate::ids::{DelegationName, RoleName, TargetName};
use crate::targets::{DelegatedRole, Targets};

impl Trusted {
    /// What a tag stands for: `targets/releases` is asked first, then `targets`, as Docker does. Nobody else is.
    ///
    /// # Errors
    /// `NotRead` if `targets`, or a `targets/releases` that could decide, was not taken: a broken one is never passed
    /// over in favour of `targets`.
    pub fn lookup(&self, tag: &TargetName) -> Result<Option<Found<'_>>, TrustError> {
        let not_read = |role| TrustError::NotRead { role };
        let targets = self.targets.get(&RoleName::Targets).ok_or_else(|| not_read(RoleName::Targets))?;
        let releases = RoleName::releases();
        if self.wanted().iter().any(|wanted| wanted.role == releases) {
            return Err(not_read(releases));
        }
        if let Some(document) = self.targets.get(&releases)
            && self.may_sign(&DelegationName::releases(), tag)
            && let Some(target) = document.targets.get(tag)
        {
            return Ok(Some(Found { role: releases, target }));
        }
        Ok(targets.targets.get(tag).map(|target| Found { role: RoleName::Targets, target }))
    }

    /// Every tag with all roles that signed it and may.
    ///
    /// # Errors
    /// `NotRead` if a document that should be there was not taken.
    pub fn all(&self) -> Result<Vec<Signed<'_>>, TrustError> {
        if !self.targets.contains_key(&RoleName::Targets) {
            return Err(TrustError::NotRead { role: RoleName::Targets });
        }
        if let Some(wanted) = self.wanted().into_iter().next() {
            return Err(TrustError::NotRead { role: wanted.role });
        }
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for (role, document) in self.walk() {
            for (tag, target) in &document.targets {
                let may = match &role {
                    RoleName::Delegation(name) => self.may_sign(name, tag),
                    _ => true,
                };
                if may {
                    found.entry(tag).or_default().push((role.clone(), target));
                }
            }
        }
        Ok(found.into_iter().map(|(tag, by)| Signed { tag, by }).collect())
    }

    /// The documents taken: `targets`, then its delegations in their order, then theirs.
    pub fn walk(&self) -> Vec<(RoleName, &Verified<Targets>)> {
        let roles =
            std::iter::once(RoleName::Targets).chain(self.delegated().into_iter().map(RoleName::Delegation));
        roles.filter_map(|role| self.targets.get(&role).map(|document| (role, document))).collect()
    }

    /// Every delegation that a document taken lists, each once, nearest first. A role is listed only by the role right
    /// above it in name: anybody else's word about it does not count.
    pub(super) fn delegated(&self) -> Vec<DelegationName> {
        let mut seen = BTreeSet::new();
        let mut order = Vec::new();
        let mut level = vec![RoleName::Targets];
        while !level.is_empty() {
            let mut below = Vec::new();
            for parent in &level {
                let roles = self.targets.get(parent).map(|document| document.delegations.roles.as_slice());
                for role in roles.unwrap_or_default() {
                    if role.name.parent() == *parent && seen.insert(role.name.clone()) {
                        order.push(role.name.clone());
                        below.push(RoleName::Delegation(role.name.clone()));
                    }
                }
            }
            level = below;
        }
        order
    }

    /// The delegation as its parent lists it.
    fn delegation(&self, name: &DelegationName) -> Option<&DelegatedRole> {
        self.targets.get(&name.parent())?.delegation(name)
    }

    /// Whether the delegation has any key at all.
    pub(super) fn can_sign(&self, name: &DelegationName) -> bool {
        self.delegation(name).is_some_and(|role| !role.key_ids.is_empty())
    }

    /// Whether a delegation may sign the tag: its own paths and those of every role above it must cover the tag.
    fn may_sign(&self, name: &DelegationName, tag: &TargetName) -> bool {
        let mut name = name.clone();
        loop {
            if !self.delegation(&name).is_some_and(|role| role.covers(tag)) {
                return false;
            }
            match name.parent() {
                RoleName::Delegation(parent) => name = parent,
                _ => return true,
            }
        }
    }
}
