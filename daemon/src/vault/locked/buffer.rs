//! One secret on its way: a PIN, a passphrase, a key file, a shared secret from a token.
use std::fmt;
use std::sync::Arc;

use super::Locked;
use super::error::MemoryError;
use super::region::{Region, wipe};

/// A secret of at most `capacity` bytes in locked memory of its own. Wiped when dropped; neither cloned nor printed.
pub struct SecretBuf {
    region: Region,
    capacity: usize,
    len: usize,
}

impl SecretBuf {
    /// An empty buffer for `capacity` bytes; takes whole pages of the budget.
    ///
    /// # Errors
    /// [`MemoryError::Limit`] when it does not fit at the moment.
    pub fn new(locked: &Arc<Locked>, capacity: usize) -> Result<Self, MemoryError> {
        Ok(Self { region: locked.region(capacity)?, capacity, len: 0 })
    }

    /// All of the buffer, to read a secret into; say how much it was with [`SecretBuf::set_len`].
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let capacity = self.capacity;
        self.region.bytes_mut().get_mut(..capacity).unwrap_or_default()
    }

    /// Says how many bytes are the secret; those after it are wiped.
    ///
    /// # Errors
    /// [`MemoryError::TooLong`] when that is more than the capacity; the buffer keeps its length.
    pub fn set_len(&mut self, len: usize) -> Result<(), MemoryError> {
        let capacity = self.capacity;
        let rest = self.as_mut_slice().get_mut(len..).ok_or(MemoryError::TooLong { given: len, capacity })?;
        wipe(rest);
        self.len = len;
        Ok(())
    }

    /// Appends bytes that are locked already, or that the caller wipes.
    ///
    /// # Errors
    /// [`MemoryError::TooLong`] when they do not fit; nothing is appended then.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        let (from, to, capacity) = (self.len, self.len.saturating_add(bytes.len()), self.capacity);
        let room =
            self.as_mut_slice().get_mut(from..to).ok_or(MemoryError::TooLong { given: to, capacity })?;
        room.copy_from_slice(bytes);
        self.len = to;
        Ok(())
    }

    /// The secret itself: to write it to a helper's pipe, and for the vault. Never copy it elsewhere.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.region.bytes().get(..self.len).unwrap_or_default()
    }

    /// Bytes of the secret.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no secret in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl fmt::Debug for SecretBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuf")
    }
}

#[cfg(test)]
mod tests;
