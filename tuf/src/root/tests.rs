use super::*;
use crate::canonical::exact;
use crate::error::ExactError;
use crate::testing::World;

#[test]
fn a_root_lists_keys_for_all_four_roles() {
    let root = World::new().root;
    for role in [RoleName::Root, RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
        assert_eq!(root.keys_of(&role).count(), 1, "{role}");
    }
    assert_eq!(root.keys_of(&RoleName::releases()).count(), 0);
    assert_eq!(exact::<Root>(&root.write()), Ok(root));
}

#[test]
fn a_role_that_nobody_could_sign_for_is_not_signed_into_being() {
    let mut root = World::new().root;
    root.roles.targets.threshold = 2.try_into().unwrap();
    let refused = ExactError::Document(DocumentError::TooFewKeys { role: RoleName::Targets });
    assert_eq!(exact::<Root>(&root.write()), Err(refused));
}
