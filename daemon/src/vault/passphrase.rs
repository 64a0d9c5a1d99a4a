//! A passphrase as a way to open the vault: Argon2id (RFC 9106) in locked memory. The weaker choice, and named so.
use argon2::{Algorithm, Argon2, Params, Version};

use super::error::VaultError;
use super::locked::{Blocks, Inside, Locked};

/// What one derivation costs. Stored with each way, so that later ways can cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Cost {
    /// 7 MiB, so that stacks and keys still fit under the 8 MiB that may be locked; the passes make up for it
    /// (OWASP's smallest set of parameters with that memory has as many).
    pub(super) const NEW: Self = Self { memory_kib: 7 * 1024, passes: 5, lanes: 1 };

    /// Whether a stored cost is one that this version would ever write, with room for more passes.
    pub(super) const fn is_allowed(self) -> bool {
        self.memory_kib == Self::NEW.memory_kib && self.passes >= 1 && self.passes <= 64 && self.lanes == 1
    }

    /// The blocks to derive in; mapped before the locked stack is entered.
    pub(super) fn blocks(self, locked: &Locked) -> Result<Blocks<'_>, VaultError> {
        Ok(Blocks::map(locked, usize::try_from(self.memory_kib).unwrap_or(usize::MAX))?)
    }
}

/// Derives 32 bytes into `shared`.
pub(super) fn derive(
    cost: Cost,
    salt: &[u8; 16],
    passphrase: &[u8],
    blocks: &mut Blocks<'_>,
    shared: &mut [u8; 32],
    _: &Inside<'_>,
) -> Result<(), VaultError> {
    let refused = |_| VaultError::Primitive("Argon2id");
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(shared.len())).map_err(refused)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, shared, blocks)
        .map_err(refused)
}

#[cfg(test)]
mod tests;
