use super::*;
use crate::canonical::exact;
use crate::testing::days;

#[test]
fn a_snapshot_lists_root_and_targets_at_least() {
    let meta = |roles: &[&str]| {
        roles.iter().map(|role| (role.parse().unwrap(), FileMeta::of(role.as_bytes()))).collect()
    };
    let snapshot = |roles: &[&str]| Snapshot { expires: days(1), meta: meta(roles), version: Version::FIRST };
    let full = snapshot(&["root", "targets", "targets/releases"]);
    assert_eq!(exact::<Snapshot>(&full.write()), Ok(full));
    for (roles, role) in
        [(["root", "timestamp"], RoleName::Targets), (["targets", "snapshot"], RoleName::Root)]
    {
        let refused = exact::<Snapshot>(&snapshot(&roles).write());
        assert_eq!(refused, Err(DocumentError::MissingRole { role }.into()));
    }
}

#[test]
fn a_file_is_known_by_length_and_every_digest() {
    let meta = FileMeta::of(b"file");
    assert!(meta.describes(b"file"));
    assert!(!meta.describes(b"fil"));
    assert!(!meta.describes(b"fill"));
    assert!(!FileMeta { length: 5, ..meta.clone() }.describes(b"file"));
    assert!(!FileMeta { sha512: FileMeta::of(b"other").sha512, ..meta.clone() }.describes(b"file"));
    assert!(FileMeta { sha512: None, ..meta }.describes(b"file"));
}
