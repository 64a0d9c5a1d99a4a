//! Signatures are checked once a command: each reading of a repository meets the same root and the same cached files.
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use touchmark_tuf::{CheckSignature, Method, PublicKey, Ring};

/// Remembers what was good. A signature that is good for a key and a message stays good.
#[derive(Debug, Default)]
pub struct Checked {
    good: Mutex<HashSet<[u8; 32]>>,
}

impl CheckSignature for Checked {
    fn check(&self, key: &PublicKey, method: Method, message: &[u8], signature: &[u8]) -> bool {
        let question = question(key, method, message, signature);
        if self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&question) {
            return true;
        }
        let is_good = Ring.check(key, method, message, signature);
        if is_good {
            self.good.lock().unwrap_or_else(PoisonError::into_inner).insert(question);
        }
        is_good
    }
}

/// One question, by a digest over all of it: the key's id is a digest of its kind and its bytes.
fn question(key: &PublicKey, method: Method, message: &[u8], signature: &[u8]) -> [u8; 32] {
    let method = method.as_str();
    let mut hash = Sha256::new();
    for part in [key.id().as_bytes(), method.as_bytes(), signature, message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
