//! A card that signs wrongly.

use hsm_tests::piv::Malformed;
use touchmark_proto::reason::Reason;

use crate::world::World;

#[test]
fn a_wrong_signature_by_the_card_reaches_nobody() {
    let world = World::new();
    world.card().malform(Some(Malformed::WrongSignature));
    let refused = world.root().unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::TokenFailed), "{refused:?}");
    assert!(format!("{refused:?}").contains("wrong signature"), "{refused:?}");
    world.card().malform(None);
    world.root().unwrap();
    assert_eq!(world.pins_wasted(), (0, 3));
}
