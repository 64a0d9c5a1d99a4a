//! Argon2id in locked blocks.
use super::{Cost, derive};
use crate::vault::testing::{memory, turn, unhex};

/// Against the reference implementation's command line program (`argon2 saltsaltsaltsalt -id -t 5 -k 7168 -p 1 -l 32`).
#[test]
fn derives_what_the_reference_derives() {
    let _turn = turn();
    let locked = memory();
    let mut blocks = Cost::NEW.blocks(&locked).unwrap();
    let mut shared = [0; 32];
    locked
        .aside(|inside| derive(Cost::NEW, b"saltsaltsaltsalt", b"password", &mut blocks, &mut shared, inside))
        .unwrap()
        .unwrap();
    assert_eq!(shared.as_slice(), unhex("ecf0b0ea54eb55ca99078baf32497b34e523c46b6f00b2794b262b2100045ac7"));
}

#[test]
fn blocks_take_seven_mebibytes_for_the_derivation_only() {
    let _turn = turn();
    let locked = memory();
    let before = locked.locked_bytes();
    let blocks = Cost::NEW.blocks(&locked).unwrap();
    assert_eq!(locked.locked_bytes() - before, 7 * 1024 * 1024);
    drop(blocks);
    assert_eq!(locked.locked_bytes(), before);
}
