use super::*;
use crate::canonical::exact;
use crate::edit::first_targets;
use crate::testing::{days, tag, target};

fn role(paths: &[&str]) -> DelegatedRole {
    DelegatedRole {
        name: DelegationName::releases(),
        key_ids: Vec::new(),
        threshold: NonZeroU32::MIN,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

#[test]
fn paths_are_prefixes_and_none_is_no_tag() {
    assert!(role(&[""]).covers(&tag("anything")));
    assert!(!role(&[]).covers(&tag("anything")));
    assert!(role(&["x", "v1."]).covers(&tag("v1.2")));
    assert!(!role(&["x", "v1."]).covers(&tag("v2")));
}

#[test]
fn a_role_left_without_keys_is_written_as_go_writes_it() {
    let mut targets = first_targets(days(1));
    targets.delegations.roles.push(role(&[]));
    let text = String::from_utf8(targets.write()).unwrap();
    assert!(text.contains(r#""roles":[{"keyids":null,"name":"targets/releases","threshold":1}]"#), "{text}");
    assert_eq!(exact::<Targets>(text.as_bytes()), Ok(targets));
}

#[test]
fn every_part_of_a_target_is_written_and_read() {
    let mut targets = first_targets(days(1));
    let mut one = target("one");
    one.hashes.sha512 = Some(Box::new(crate::Sha512Digest::of(b"one")));
    one.custom = Some(r#"{"a":[1,"<&>"],"b":null}"#.into());
    targets.targets.insert(tag("quote \" backslash \\ é"), one);
    targets.targets.insert(tag("plain"), target("plain"));
    assert_eq!(exact::<Targets>(&targets.write()), Ok(targets));
}

#[test]
fn a_custom_value_has_a_size() {
    let with = |length: usize| {
        let mut targets = first_targets(days(1));
        let custom = Some(format!("\"{}\"", "x".repeat(length - 2)).into());
        targets.targets.insert(tag("1"), Target { custom, ..target("one") });
        exact::<Targets>(&targets.write()).is_ok()
    };
    assert!(with(limits::CUSTOM_BYTES));
    assert!(!with(limits::CUSTOM_BYTES + 1));
}
