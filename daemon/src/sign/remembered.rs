//! What was read before: verified roots and parsed documents, found again by their very bytes or their digest. So
//! this may lack something and is never out of date; whether a document still counts is the store's word alone.
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use touchmark_tuf::{
    CheckSignature, Gun, Method, PublicKey, Ring, RoleName, RootSource, Sha256Digest, TrustError, Trusted,
};

use crate::document::{Body, DocumentError, Exact};
use crate::store::documents::Kept;

/// Bytes of documents that are remembered in all; a larger document is read anew each time.
const BODIES: usize = 2 * 1024 * 1024;
/// Bytes of root files that are remembered in all.
const ROOTS: usize = 1024 * 1024;
/// What remembering a small document costs beside its bytes, roughly: a parsed one is in many pieces.
const EACH: usize = 4096;

/// Bytes that remembering good signatures may cost in all.
const CHECKED: usize = 64 * EACH;

/// What was read before.
pub struct Remembered {
    roots: Mutex<Shelf<Gun, Trusted>>,
    bodies: Mutex<Shelf<Sha256Digest, Body>>,
    checked: Arc<Checked>,
}

impl Default for Remembered {
    fn default() -> Self {
        let (roots, bodies) = (Mutex::new(Shelf::new(ROOTS)), Mutex::new(Shelf::new(BODIES)));
        Self { roots, bodies, checked: Arc::default() }
    }
}

impl Remembered {
    /// The root of a repository, from a file that was trusted before.
    ///
    /// # Errors
    /// Where the file does not verify.
    pub(super) fn root(&self, gun: &Gun, file: &[u8]) -> Result<Arc<Trusted>, TrustError> {
        if let Some(root) = lock(&self.roots).get(gun)
            && root.root().file() == file
        {
            return Ok(root);
        }
        let root = Arc::new(Trusted::start(gun, RootSource::Cached(file), self.checker())?);
        self.keep_root(&root);
        Ok(root)
    }

    /// Remembers a root that verified; the store may come to trust it.
    pub(super) fn keep_root(&self, root: &Arc<Trusted>) {
        lock(&self.roots).put(root.gun().clone(), root, root.root().file().len());
    }

    /// What checks signatures, and knows the good ones again.
    pub(super) fn checker(&self) -> Arc<dyn CheckSignature + Send + Sync> {
        Arc::clone(&self.checked) as Arc<_>
    }

    /// What a kept document says.
    ///
    /// # Errors
    /// Where it is no document of its role.
    pub(super) fn body(&self, kept: &Kept) -> Result<Arc<Body>, DocumentError> {
        if let Some(body) = lock(&self.bodies).get(&kept.digest)
            && is_of(&body, &kept.role)
        {
            return Ok(body);
        }
        let body = Arc::new(Body::of_known(&kept.role, &kept.signed, &kept.signatures)?);
        lock(&self.bodies).put(kept.digest, &body, kept.signed.len());
        Ok(body)
    }

    /// Remembers a document that was signed: the next one follows it.
    pub(super) fn keep(&self, exact: &Exact) {
        lock(&self.bodies).put(exact.digest, &exact.body, exact.bytes.len());
    }
}

/// Checks signatures, each good one once: a root's own is asked for by the old keys, by the new ones and by the next
/// root. Good ones are known again by all that the check depends on, so nothing else passes for one.
struct Checked(Mutex<Shelf<Sha256Digest, ()>>);

impl Default for Checked {
    fn default() -> Self {
        Self(Mutex::new(Shelf::new(CHECKED)))
    }
}

impl CheckSignature for Checked {
    fn check(&self, key: &PublicKey, method: Method, message: &[u8], signature: &[u8]) -> bool {
        let (Some(point), Method::Ecdsa) = (key.p256_point(), method) else {
            return Ring.check(key, method, message, signature);
        };
        // Point and digest have one length each, so no two questions are written alike.
        let question = [point.as_slice(), Sha256Digest::of(message).as_bytes(), signature].concat();
        let question = Sha256Digest::of(&question);
        if lock(&self.0).get(&question).is_some() {
            return true;
        }
        let good = Ring.check(key, method, message, signature);
        if good {
            lock(&self.0).put(question, &Arc::new(()), 0);
        }
        good
    }
}

fn is_of(body: &Body, role: &RoleName) -> bool {
    match body {
        Body::Root(_) => *role == RoleName::Root,
        Body::Targets(_) => matches!(role, RoleName::Targets | RoleName::Delegation(_)),
        Body::Snapshot(_) => *role == RoleName::Snapshot,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values up to a sum of weights; the one that was put there first goes first.
struct Shelf<K, V> {
    values: HashMap<K, (Arc<V>, usize)>,
    order: VecDeque<K>,
    weight: usize,
    most: usize,
}

impl<K: Clone + Eq + Hash, V> Shelf<K, V> {
    fn new(most: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), weight: 0, most }
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.values.get(key).map(|(value, _)| Arc::clone(value))
    }

    fn put(&mut self, key: K, value: &Arc<V>, bytes: usize) {
        let weight = bytes.saturating_add(EACH);
        if weight > self.most {
            return;
        }
        match self.values.insert(key.clone(), (Arc::clone(value), weight)) {
            Some((_, before)) => self.weight -= before,
            None => self.order.push_back(key),
        }
        self.weight += weight;
        while self.weight > self.most {
            let Some(oldest) = self.order.pop_front() else { return };
            self.weight -= self.values.remove(&oldest).map_or(0, |(_, weight)| weight);
        }
    }
}

#[cfg(test)]
mod tests;
