//! The vault: tagging keys, in the clear only in locked memory, and at rest only sealed.
//!
//! A random vault key seals every key ([`Sealed`]); the vault key itself is wrapped in one or more ways ([`Way`]): to
//! a token by ECDH or RSA-OAEP, or to a passphrase. Keys are made, unsealed and used on locked stacks
//! ([`Locked::inside`]); what leaves are signatures, public keys and sealed boxes.
//!
//! This room knows no store, no token and no request: whoever calls it keeps `Sealed` and `Way`, asks the token or
//! the person, and brings the answer in a [`SecretBuf`].
mod aead;
mod binding;
mod codec;
mod error;
mod key_file;
mod keys;
mod locked;
mod oaep;
mod passphrase;
mod scalar;
mod sealed;
mod way;
mod wrap;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use subtle::ConstantTimeEq as _;
use touchmark_tuf::KeyId;

pub use binding::{Binding, KeyRole};
pub use codec::FormatError;
pub use error::VaultError;
pub use key_file::{KeyFileError, KeyFileHeader, PlainKey, key_file_needs_passphrase, take_plain};
pub use keys::{Imported, KeyToLoad, Wanted};
pub use locked::{Inside, Limit, Locked, MemoryError, MemoryKind, Public, SecretBuf};
pub use sealed::Sealed;
pub use way::{Way, WayAsk};
pub use wrap::WrapTo;

use locked::{Slot, Slots};
use scalar::Point;

/// The keys of one daemon. Closed at first; everything but [`Vault::create`] and [`Vault::open`] wants it open.
pub struct Vault {
    locked: Arc<Locked>,
    state: RwLock<Option<Open>>,
}

/// What there is while the vault is open; dropping it wipes all of it.
struct Open {
    slots: Slots,
    vault_key: Slot,
    keys: HashMap<KeyId, Entry>,
}

/// One loaded key.
struct Entry {
    slot: Slot,
    /// Compared with the scalar at each use, and not before: ten thousand keys are opened at once.
    point: Point,
}

/// What `status` says of locked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// How memory is kept from others.
    pub kind: MemoryKind,
    /// Bytes locked now, stacks included.
    pub locked_bytes: usize,
    /// Bytes that may be locked in all.
    pub limit: usize,
    /// Keys loaded now.
    pub keys: usize,
}

impl Vault {
    /// A closed vault in that memory.
    #[must_use]
    pub const fn new(locked: Arc<Locked>) -> Self {
        Self { locked, state: RwLock::new(None) }
    }

    /// Makes a new random vault key; the vault is open and empty then. Wrap it at least once before it is locked, or
    /// what was sealed under it is lost.
    ///
    /// # Errors
    /// [`VaultError::AlreadyOpen`]; [`VaultError::Memory`] and [`VaultError::Random`] when the machine refuses.
    pub fn create(&self) -> Result<(), VaultError> {
        let mut state = self.write();
        if state.is_some() {
            return Err(VaultError::AlreadyOpen);
        }
        *state = Some(Open::with_key(&self.locked, |key, _| Ok(getrandom::fill(key)?))?);
        Ok(())
    }

    /// Opens the vault by one of its ways. `answer`: what the token made of [`Way::ask`] (32 bytes), or the
    /// passphrase. When the vault is open already, only says whether the answer is right.
    ///
    /// # Errors
    /// [`VaultError::Wrong`] when the answer does not open this way; asking again may help. [`VaultError::Memory`]
    /// when Argon2's blocks do not fit.
    pub fn open(&self, way: &Way, answer: &SecretBuf) -> Result<(), VaultError> {
        let opened = Open::with_key(&self.locked, |_, _| Ok(()))?; // its slot, before Argon2's blocks take the room
        let opened = wrap::unwrap(&self.locked, way, answer, opened)?; // may take long: nobody waits for it
        let mut state = self.write();
        match &*state {
            None => *state = Some(opened),
            Some(open) => {
                let same = self.locked.inside(|inside| {
                    let pair = open
                        .slots
                        .read(&open.vault_key, inside)
                        .zip(opened.slots.read(&opened.vault_key, inside));
                    pair.is_some_and(|(ours, theirs)| bool::from(ours.ct_eq(theirs)))
                })?;
                if !same {
                    return Err(VaultError::Wrong);
                }
            }
        }
        Ok(())
    }

    /// One more way to open the vault, for the caller to keep.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; [`VaultError::TokenKey`] when the token's key is none that can be wrapped to;
    /// [`VaultError::NoPassphrase`]; [`VaultError::Memory`].
    pub fn wrap(&self, to: WrapTo<'_>) -> Result<Way, VaultError> {
        let state = self.read();
        let open = state.as_ref().ok_or(VaultError::Locked)?;
        wrap::wrap(&self.locked, open, to)
    }

    /// Wipes every key and the vault key. Signatures under way end first; later ones are refused.
    pub fn lock(&self) {
        let open = self.write().take();
        drop(open); // wipes
    }

    /// Whether keys can be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.read().is_some()
    }

    /// The memory that all secrets are in.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Locked> {
        &self.locked
    }

    /// What `status` says of locked memory.
    #[must_use]
    pub fn report(&self) -> MemoryReport {
        MemoryReport {
            kind: self.locked.kind(),
            locked_bytes: self.locked.locked_bytes(),
            limit: self.locked.limit_bytes(),
            keys: self.read().as_ref().map_or(0, |open| open.keys.len()),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Open>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Open>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// An empty open vault whose key `fill` writes, on a locked stack.
    fn with_key(
        locked: &Arc<Locked>,
        fill: impl FnOnce(&mut [u8; 32], &Inside<'_>) -> Result<(), VaultError>,
    ) -> Result<Self, VaultError> {
        let mut slots = Slots::new(Arc::clone(locked));
        let vault_key = slots.take()?;
        locked.inside(|inside| {
            let key = slots.write(&vault_key, inside).ok_or(VaultError::LostSlot)?;
            fill(key, inside)
        })??;
        Ok(Self { slots, vault_key, keys: HashMap::new() })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
