use super::*;

const MIB: u64 = 1024 * 1024;

#[test]
fn one_uid_holds_its_own_share_and_no_more() {
    let budget = Budget::default();
    let first = budget.take(1, 16 * MIB).unwrap();
    let _second = budget.take(1, 16 * MIB).unwrap();
    assert_eq!(budget.take(1, 1).unwrap_err().reason, Reason::Overloaded);
    let _other = budget.take(2, 16 * MIB).unwrap();
    drop(first);
    let _third = budget.take(1, 16 * MIB).unwrap();
}

#[test]
fn all_together_hold_no_more_than_all() {
    let budget = Budget::default();
    let held: Vec<_> = (0..4).map(|uid| budget.take(uid, EACH).unwrap()).collect();
    assert_eq!(budget.take(9, 1).unwrap_err().reason, Reason::Overloaded);
    drop(held);
    let _again = budget.take(9, EACH).unwrap();
    assert!(budget.take(8, u64::MAX).is_err());
}
