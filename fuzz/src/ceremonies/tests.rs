use super::*;

/// A kept input without its first byte.
macro_rules! kept {
    ($name:literal) => {
        &include_bytes!(concat!("../../seeds/ceremonies/", $name))[1..]
    };
}

#[test]
fn what_is_kept_gets_behind_the_digest_of_a_plan() {
    let file = made(Kind::Plan, kept!("plan-content")).unwrap();
    assert!(plan(file.as_bytes()).is_some(), "{:?}", Plan::parse(file.as_bytes()));
    assert!(plan(kept!("plan")).is_some());
}

#[test]
fn what_is_kept_gets_behind_the_digest_of_a_root_key_file() {
    let file = made(Kind::RootKey, kept!("key-content")).unwrap();
    assert_eq!(keys::file(file.as_bytes()).map(|file| file.certificates.len()), Some(1));
    assert!(keys::file(kept!("key")).is_some());
}
