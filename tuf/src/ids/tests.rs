use super::*;

#[test]
fn repository_names_are_safe_as_paths() {
    for good in
        ["alpine", "docker.io/library/alpine", "localhost:5000/ntry/a", "UPPER/Case", "a/b_c-d.e", "é/a"]
    {
        assert_eq!(good.parse::<Gun>().unwrap().as_str(), good);
    }
    let segment = IdError::Segment { what: "repository name" };
    for bad in ["/a", "a/", "a//b", ".", "..", "a/../b", "a/./b"] {
        assert_eq!(bad.parse::<Gun>(), Err(segment.clone()), "{bad}");
    }
    for bad in ["a b", "a\\b", "a*", "a\nb", "a\u{85}b", "a\u{a0}b"] {
        assert!(matches!(bad.parse::<Gun>(), Err(IdError::Character { .. })), "{bad:?}");
    }
    assert_eq!("".parse::<Gun>(), Err(IdError::Empty { what: "repository name" }));
    assert!("a".repeat(255).parse::<Gun>().is_ok());
    assert!(matches!("a".repeat(256).parse::<Gun>(), Err(IdError::TooLong { limit: 255, .. })));
}

#[test]
fn delegations_are_what_notary_accepts() {
    assert_eq!(DelegationName::new("releases").unwrap(), DelegationName::releases());
    assert_eq!("targets/a/b".parse::<DelegationName>().unwrap().short(), "a/b");
    for bad in [
        "targets/Foo",
        "targets/a.b",
        "targets//x",
        "targets/",
        "targets/x/",
        "targets/a b",
        "targets",
        "other/x",
    ] {
        assert!(bad.parse::<DelegationName>().is_err(), "{bad}");
    }
    let longest = 255 - "targets/".len();
    assert!(DelegationName::new(&"x".repeat(longest)).is_ok());
    assert!(DelegationName::new(&"x".repeat(longest + 1)).is_err());
}

#[test]
fn a_delegations_parent_is_the_role_above_it() {
    let parent = |name: &str| name.parse::<DelegationName>().unwrap().parent().to_string();
    assert_eq!(parent("targets/a"), "targets");
    assert_eq!(parent("targets/a/b"), "targets/a");
    assert_eq!(parent("targets/a/b/c"), "targets/a/b");
}

#[test]
fn roles_read_write_and_sort_as_text() {
    let texts = ["root", "snapshot", "targets", "targets/a", "targets/a/b", "targets/releases", "timestamp"];
    let roles: Vec<RoleName> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(roles.is_sorted());
    assert_eq!(roles.iter().map(RoleName::as_str).collect::<Vec<_>>(), texts);
    assert_eq!("Root".parse::<RoleName>(), Err(IdError::NotADelegation));
}

#[test]
fn tags_have_no_control_characters() {
    for good in ["latest", "v1.0", "a/b", "weird \u{202e} but no control", "\"\\<>&"] {
        assert!(good.parse::<TargetName>().is_ok(), "{good}");
    }
    for bad in ["", "a\tb", "a\u{7f}", "a\u{9b}"] {
        assert!(bad.parse::<TargetName>().is_err(), "{bad:?}");
    }
    assert!("x".repeat(1025).parse::<TargetName>().is_err());
}

#[test]
fn key_ids_are_sixty_four_lower_case_digits() {
    let text = "c9c3796d7b1c409ca189f530a0cbe1ea50dea9ba3746dc4827351829c84bc89a";
    assert_eq!(text.parse::<KeyId>().unwrap().to_string(), text);
    for bad in [&text[1..], &text.to_uppercase(), &text.replace('c', "g"), &format!("{text}0")] {
        assert_eq!(bad.parse::<KeyId>(), Err(IdError::NotHex { what: "key id", digits: 64 }));
    }
}

#[test]
fn versions_end_below_two_to_the_fifty_third() {
    assert_eq!(Version::try_from(0), Err(IdError::Version(0)));
    assert_eq!(Version::try_from(1 << 53), Err(IdError::Version(1 << 53)));
    assert_eq!(Version::FIRST.next().unwrap().get(), 2);
    assert_eq!(Version::LAST.next(), None);
}

#[test]
fn shown_names_are_printable_ascii() {
    let name = "a\u{202e}b\u{1b}[31m\u{212a}é\\\u{200b}\n~";
    let text = shown(name).to_string();
    assert_eq!(text, "a\\u{202e}b\\u{1b}[31m\\u{212a}\\u{e9}\\\\\\u{200b}\\u{a}~");
    assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
}
