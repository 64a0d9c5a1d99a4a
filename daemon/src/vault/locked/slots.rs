//! Slots: 32-byte secrets packed into locked slabs, readable on a locked stack only.
use std::sync::Arc;

use super::Locked;
use super::error::MemoryError;
use super::region::{Region, wipe};
use super::stack::Inside;

/// Bytes of one secret: a P-256 scalar or a vault key.
pub(crate) const SLOT_LEN: usize = 32;
/// Bytes of one slab: 512 slots.
const SLAB_LEN: usize = 16 * 1024;

/// Where one secret is. Good for the [`Slots`] that gave it out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    slab: usize,
    index: usize,
}

/// Locked slabs that grow with the number of secrets, up to the memory budget; wiped when dropped.
pub(crate) struct Slots {
    locked: Arc<Locked>,
    slabs: Vec<Region>,
    free: Vec<Slot>,
}

impl Slots {
    /// Without any slab yet.
    pub(crate) fn new(locked: Arc<Locked>) -> Self {
        Self { locked, slabs: Vec::new(), free: Vec::new() }
    }

    /// A slot of zeros; maps another slab when all are taken.
    ///
    /// # Errors
    /// [`MemoryError::Limit`] when no further slab fits.
    pub(crate) fn take(&mut self) -> Result<Slot, MemoryError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let region = self.locked.region(SLAB_LEN)?;
        let (slab, slots) = (self.slabs.len(), region.len() / SLOT_LEN);
        self.slabs.push(region);
        self.free.extend((1..slots).rev().map(|index| Slot { slab, index }));
        Ok(Slot { slab, index: 0 })
    }

    /// Wipes the slot and keeps it for another secret.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        if let Some(bytes) = self.bytes_mut(&slot) {
            wipe(bytes);
            self.free.push(slot);
        }
    }

    /// The secret; `None` for a slot of other `Slots`.
    pub(crate) fn read<'a>(&'a self, slot: &Slot, _: &'a Inside<'_>) -> Option<&'a [u8; SLOT_LEN]> {
        self.slabs.get(slot.slab)?.bytes().as_chunks().0.get(slot.index)
    }

    /// The place to write the secret to; `None` for a slot of other `Slots`.
    pub(crate) fn write<'a>(&'a mut self, slot: &Slot, _: &'a Inside<'_>) -> Option<&'a mut [u8; SLOT_LEN]> {
        self.bytes_mut(slot)
    }

    fn bytes_mut(&mut self, slot: &Slot) -> Option<&mut [u8; SLOT_LEN]> {
        self.slabs.get_mut(slot.slab)?.bytes_mut().as_chunks_mut().0.get_mut(slot.index)
    }
}

#[cfg(test)]
mod tests;
