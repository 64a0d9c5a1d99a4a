//! What is known of a token's keys without asking it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::{KeyPolicy, KeyRef, TokenKey};

/// The keys of one token. Shared between its handles and its keeper.
#[derive(Default)]
pub(super) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Those that the daemon counts on.
    enrolled: Vec<KeyRef>,
    /// What they ask of a person, as the token said last.
    policies: Vec<(KeyRef, KeyPolicy)>,
}

impl Keys {
    pub(super) fn enrol(&self, key: &KeyRef) {
        let mut known = self.known();
        if !known.enrolled.contains(key) {
            known.enrolled.push(key.clone());
        }
    }

    pub(super) fn disenrol(&self, key: &KeyRef) {
        self.known().enrolled.retain(|known| known != key);
    }

    pub(super) fn enrolled(&self) -> Vec<KeyRef> {
        self.known().enrolled.clone()
    }

    pub(super) fn policy(&self, key: &KeyRef) -> Option<KeyPolicy> {
        self.known().policies.iter().find(|(known, _)| known == key).map(|(_, policy)| *policy)
    }

    pub(super) fn note_policy(&self, key: &KeyRef, policy: Option<KeyPolicy>) {
        let mut known = self.known();
        known.policies.retain(|(known, _)| known != key);
        known.policies.extend(policy.map(|policy| (key.clone(), policy)));
    }

    pub(super) fn note(&self, key: &TokenKey) {
        self.note_policy(&key.key_ref(), key.policy);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
