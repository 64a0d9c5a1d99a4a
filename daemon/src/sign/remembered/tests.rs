//! The shelf: what stays, what goes, and that nothing is taken for something else.
use std::sync::Arc;

use super::{EACH, Shelf};

#[test]
fn the_first_goes_first_and_the_sum_is_kept() {
    let mut shelf = Shelf::new(3 * (EACH + 10));
    for number in 0..10_u32 {
        shelf.put(number, &Arc::new(number), 10);
    }
    assert_eq!((0..10).filter_map(|number| shelf.get(&number)).map(|n| *n).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(shelf.weight, 3 * (EACH + 10));
    assert_eq!(shelf.order.len(), 3);
}

#[test]
fn what_is_put_again_counts_once() {
    let mut shelf = Shelf::new(3 * (EACH + 10));
    for value in 0..10_u32 {
        shelf.put("same", &Arc::new(value), 10);
    }
    assert_eq!((*shelf.get(&"same").unwrap(), shelf.weight, shelf.order.len()), (9, EACH + 10, 1));
}

#[test]
fn what_is_too_heavy_is_not_kept_and_drives_nothing_out() {
    let mut shelf = Shelf::new(2 * EACH);
    shelf.put("small", &Arc::new(()), 1);
    shelf.put("large", &Arc::new(()), 2 * EACH);
    assert!(shelf.get(&"small").is_some() && shelf.get(&"large").is_none());
}
