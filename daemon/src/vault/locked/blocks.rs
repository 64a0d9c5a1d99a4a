//! Argon2's memory: mapped for one derivation, wiped and unmapped after it.
use std::sync::{MutexGuard, PoisonError};

use argon2::Block;

use super::Locked;
use super::error::MemoryError;
use super::region::Region;

/// Locked blocks of 1 KiB for one derivation. Only one set exists at a time.
pub(crate) struct Blocks<'a> {
    region: Region,
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Blocks<'a> {
    /// Waits for its turn and maps `count` blocks.
    ///
    /// # Errors
    /// [`MemoryError::Limit`] when they do not fit the budget beside what is locked now.
    pub(crate) fn map(locked: &'a Locked, count: usize) -> Result<Self, MemoryError> {
        let turn = locked.derivation.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { region: locked.region(count.saturating_mul(Block::SIZE))?, _turn: turn })
    }
}

impl AsMut<[Block]> for Blocks<'_> {
    fn as_mut(&mut self) -> &mut [Block] {
        const { assert!(size_of::<Block>() == Block::SIZE && align_of::<Block>() <= 4096) };
        let bytes = self.region.bytes_mut();
        // SAFETY: `Block` is 128 `u64`, for which every bit pattern is valid; the region starts on a page, which is
        // more than its alignment; the count covers only whole blocks; the borrow of `bytes` is given on.
        unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len() / Block::SIZE) }
    }
}
