//! What the vault's tests share: memory, secrets, stored samples, an independent check of signatures.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use touchmark_tuf::{EcdsaSignature, PublicKey};

use super::{Binding, KeyRole, Locked, MemoryKind, SecretBuf, Vault};

pub(super) fn memory() -> Arc<Locked> {
    Locked::open(Some(MemoryKind::Mlock), 2).unwrap()
}

/// Tests that derive a key from a passphrase take turns: a user who is not root may lock 8 MiB, and each takes 7.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open, empty vault.
pub(super) fn open_vault() -> Vault {
    let vault = Vault::new(memory());
    vault.create().unwrap();
    vault
}

pub(super) fn secret(locked: &Arc<Locked>, bytes: &[u8]) -> SecretBuf {
    let mut buffer = SecretBuf::new(locked, bytes.len()).unwrap();
    buffer.extend_from_slice(bytes).unwrap();
    buffer
}

pub(super) fn targets_of(gun: &str) -> Binding {
    Binding::new(KeyRole::Targets, vec![gun.parse().unwrap()])
}

/// p256's own verification; the daemon uses another implementation.
pub(super) fn verifies(public: &PublicKey, message: &[u8], signature: &EcdsaSignature) -> bool {
    let key = VerifyingKey::from_sec1_bytes(&public.p256_point().unwrap()).unwrap();
    key.verify(message, &Signature::from_slice(signature.as_bytes()).unwrap()).is_ok()
}

/// The `name: hex` lines of a sample file.
pub(super) fn sample(text: &str) -> BTreeMap<&str, Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(name, hex)| (name, unhex(hex))).collect()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
