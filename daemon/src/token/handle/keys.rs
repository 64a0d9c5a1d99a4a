//! What is known of a token's keys without asking it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::{KeyPolicy, KeyRef, PinPolicy, TokenKey, TouchPolicy};

/// The keys of one token. Shared between its handles and its keeper.
#[derive(Default)]
pub(super) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Those that the daemon counts on.
    enrolled: Vec<KeyRef>,
    /// What they ask of a person, as the token said last.
    policies: Vec<Told>,
}

/// What a key asks of a person.
struct Told {
    key: KeyRef,
    policy: KeyPolicy,
    /// Whether the token said so before it took its PIN last: another program may have changed the key meanwhile, which
    /// ends a login.
    before_login: bool,
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
        self.known().policies.iter().find(|told| told.key == *key).map(|told| told.policy)
    }

    /// Whether the key needs no finger, and that cannot have changed as long as the token is logged in. One that asks for
    /// no PIN either is used without a login.
    pub(super) fn needs_no_finger(&self, key: &KeyRef) -> bool {
        let sure =
            |told: &&Told| told.key == *key && !told.before_login && told.policy.pin != PinPolicy::Never;
        self.known().policies.iter().find(sure).is_some_and(|told| told.policy.touch == TouchPolicy::Never)
    }

    /// The token has taken its PIN.
    pub(super) fn logged_in(&self) {
        self.known().policies.iter_mut().for_each(|told| told.before_login = true);
    }

    pub(super) fn note_policy(&self, key: &KeyRef, policy: Option<KeyPolicy>) {
        let mut known = self.known();
        known.policies.retain(|told| told.key != *key);
        known.policies.extend(policy.map(|policy| Told { key: key.clone(), policy, before_login: false }));
    }

    pub(super) fn note(&self, key: &TokenKey) {
        self.note_policy(&key.key_ref(), key.policy);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
