//! Slots: packing, growth, wiping.
use std::sync::Arc;

use super::super::{Locked, MemoryError, MemoryKind};
use super::{SLAB_LEN, Slots};

fn memory() -> Arc<Locked> {
    Locked::open(Some(MemoryKind::Mlock), 1).unwrap()
}

#[test]
fn ten_thousand_keys_take_a_third_of_a_mebibyte() {
    let locked = memory();
    let before = locked.locked_bytes();
    let mut slots = Slots::new(Arc::clone(&locked));
    let taken: Vec<_> = (0..10_000).map(|_| slots.take().unwrap()).collect();
    assert_eq!(locked.locked_bytes() - before, 20 * SLAB_LEN);
    for (number, slot) in (0_u32..).zip(&taken) {
        locked
            .inside(|inside| slots.write(slot, inside).unwrap()[..4].copy_from_slice(&number.to_be_bytes()))
            .unwrap();
    }
    for (number, slot) in (0_u32..).zip(&taken) {
        let same =
            locked.inside(|inside| slots.read(slot, inside).unwrap()[..4] == number.to_be_bytes()).unwrap();
        assert!(same, "slot {number} is shared with another");
    }
}

#[test]
fn slot_given_back_is_wiped_before_it_is_used_again() {
    let locked = memory();
    let mut slots = Slots::new(Arc::clone(&locked));
    let slot = slots.take().unwrap();
    locked.inside(|inside| slots.write(&slot, inside).unwrap().fill(7)).unwrap();
    let place = (slot.slab, slot.index);
    slots.give_back(slot);
    let again = slots.take().unwrap();
    assert_eq!((again.slab, again.index), place);
    assert!(locked.inside(|inside| slots.read(&again, inside).unwrap() == &[0; 32]).unwrap());
}

#[test]
fn growth_stops_at_the_budget_with_an_error() {
    let locked = memory();
    let rest = locked.account.charge(locked.limit_bytes() - locked.locked_bytes() - 10 * SLAB_LEN).unwrap();
    let mut slots = Slots::new(Arc::clone(&locked));
    let refused = loop {
        if let Err(refused) = slots.take() {
            break refused;
        }
    };
    assert!(matches!(refused, MemoryError::Limit { wanted: SLAB_LEN, .. }), "{refused}");
    assert_eq!(slots.slabs.len(), 10);
    drop((slots, rest));
    assert_eq!(locked.locked_bytes(), 64 * 1024);
}

#[test]
fn slot_of_other_slots_is_none() {
    let locked = memory();
    let (mut some, mut none) = (Slots::new(Arc::clone(&locked)), Slots::new(Arc::clone(&locked)));
    let slot = some.take().unwrap();
    let found =
        locked.inside(|inside| (none.read(&slot, inside).is_some(), none.write(&slot, inside).is_some()));
    assert_eq!(found.unwrap(), (false, false));
}
