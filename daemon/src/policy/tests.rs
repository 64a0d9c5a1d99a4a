use super::*;

const OWN: u32 = 900;
const ALICE: u32 = 1001;
const RELEASE: u32 = 2001;

fn gun(text: &str) -> Gun {
    Gun::try_from(text).unwrap()
}

fn tag(text: &str) -> TargetName {
    TargetName::try_from(text).unwrap()
}

fn caller(uid: u32, groups: &[u32]) -> Caller {
    Caller { uid, gid: uid, groups: groups.to_vec(), name: None }
}

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::parse(text).unwrap()).collect()
}

fn grant(who: Who, repositories: &[&str], tags: Option<&[&str]>, actions: &[Action]) -> Grant {
    Grant {
        who,
        repositories: globs(repositories),
        tags: tags.map(globs),
        actions: actions.iter().copied().collect(),
    }
}

fn policy(grants: Vec<Grant>) -> Policy {
    Policy::new(OWN, grants, MaxExpiry::default())
}

fn refused(decision: &Decision) -> bool {
    matches!(decision, Decision::Refused(_))
}

#[test]
fn patterns_cover_what_they_say() {
    for (pattern, name, covered) in [
        ("r.example.com/team/*", "r.example.com/team/app", true),
        ("r.example.com/team/*", "r.example.com/team/app/sub", false),
        ("r.example.com/team/*", "r.example.com/team/", true),
        ("r.example.com/**", "r.example.com/team/app/sub", true),
        ("**", "anything/at/all", true),
        ("**/app", "a/b/app", true),
        ("**/app", "app", false),
        ("*", "a/b", false),
        ("v*", "v1.2", true),
        ("v*", "V1.2", false),
        ("v*.0", "v1.0.0", true),
        ("a*b*c", "abcabc", true),
        ("a*b*c", "abcab", false),
        ("latest", "latest", true),
        ("latest", "latest2", false),
    ] {
        assert_eq!(Glob::parse(pattern).unwrap().matches(name), covered, "{pattern} on {name}");
    }
}

#[test]
fn bad_patterns_are_refused() {
    for (pattern, error) in [
        (String::new(), GlobError::Empty),
        ("a b".to_owned(), GlobError::Character),
        ("a\n".to_owned(), GlobError::Character),
        ("***".to_owned(), GlobError::Stars),
        ("a".repeat(513), GlobError::TooLong),
    ] {
        assert_eq!(Glob::parse(&pattern), Err(error), "{pattern}");
    }
}

#[test]
fn a_hostile_pattern_takes_no_longer_than_its_length_times_the_names() {
    let pattern = Glob::parse(&"*a".repeat(200)).unwrap();
    assert!(!pattern.matches(&"a".repeat(199)));
    assert!(pattern.matches(&"a".repeat(250)));
}

#[test]
fn with_nothing_listed_the_own_uid_signs_freely_and_the_rest_wants_a_pin() {
    let policy = policy(vec![]);
    let own = caller(OWN, &[]);
    for action in Action::ALL {
        let free =
            [Action::Read, Action::Sign, Action::Revoke, Action::Refresh, Action::Unlock].contains(&action);
        let expected = if free { Decision::Allowed } else { Decision::NeedsPin };
        assert_eq!(policy.decide(&own, &gun("a/b"), &[Need::of(action)]), expected, "{action}");
        assert_eq!(policy.may(&own, action), expected, "{action}");
    }
    for action in Action::ALL {
        assert!(refused(&policy.may(&caller(ALICE, &[OWN]), action)), "another uid, {action}");
        assert!(refused(&policy.may(&caller(0, &[]), action)), "root, {action}");
    }
    assert!(!policy.admits(&caller(ALICE, &[])));
}

#[test]
fn once_one_is_listed_the_own_uid_only_reads() {
    let policy = policy(vec![grant(Who::User(ALICE), &["a/*"], None, &[Action::Sign])]);
    let own = caller(OWN, &[]);
    for action in Action::ALL {
        let decision = policy.decide(&own, &gun("a/b"), &[Need::of(action)]);
        if action == Action::Read {
            assert_eq!(decision, Decision::Allowed);
        } else {
            assert!(refused(&decision), "{action}");
        }
    }
    assert!(policy.sees(&own, &gun("x/y")));
}

#[test]
fn a_grant_gives_what_it_lists_and_no_more() {
    let policy = policy(vec![grant(
        Who::User(ALICE),
        &["r.example.com/team/*"],
        Some(&["v*", "latest"]),
        &[Action::Sign, Action::Revoke],
    )]);
    let alice = caller(ALICE, &[]);
    let app = gun("r.example.com/team/app");
    for (needs, allowed) in [
        (vec![Need::on(Action::Sign, tag("v1"))], true),
        (vec![Need::on(Action::Revoke, tag("latest"))], true),
        (vec![Need::on(Action::Sign, tag("edge"))], false),
        (vec![Need::on(Action::Sign, tag("v1")), Need::on(Action::Sign, tag("edge"))], false),
        (vec![Need::on(Action::Sign, tag("v1")), Need::of(Action::Delegate)], false),
        (vec![Need::of(Action::Refresh)], false),
        (vec![Need::of(Action::Read)], false),
    ] {
        assert_eq!(policy.decide(&alice, &app, &needs) == Decision::Allowed, allowed, "{needs:?}");
    }
    assert!(refused(&policy.decide(
        &alice,
        &gun("r.example.com/other/app"),
        &[Need::on(Action::Sign, tag("v1"))]
    )));
    assert!(policy.sees(&alice, &app));
    assert!(!policy.sees(&alice, &gun("r.example.com/other/app")));
}

#[test]
fn several_grants_add_up_but_never_mix_inside_one_need() {
    let policy = policy(vec![
        grant(Who::User(ALICE), &["a/b"], Some(&["v*"]), &[Action::Sign]),
        grant(Who::Group(RELEASE), &["a/b"], Some(&["latest"]), &[Action::Sign, Action::Revoke]),
    ]);
    let both = caller(ALICE, &[RELEASE]);
    let repository = gun("a/b");
    let needs = [Need::on(Action::Sign, tag("v1")), Need::on(Action::Sign, tag("latest"))];
    assert_eq!(policy.decide(&both, &repository, &needs), Decision::Allowed);
    // The tag of one grant and the action of the other make no right.
    assert!(refused(&policy.decide(&both, &repository, &[Need::on(Action::Revoke, tag("v1"))])));
    assert!(refused(&policy.decide(&caller(ALICE, &[]), &repository, &needs)));
}

#[test]
fn a_key_of_several_repositories_needs_the_right_in_each() {
    let policy = policy(vec![grant(Who::User(ALICE), &["a/b"], None, &[Action::Sign])]);
    let alice = caller(ALICE, &[]);
    let needs = [Need::on(Action::Sign, tag("v1"))];
    assert_eq!(policy.decide_each(&alice, [&gun("a/b")], &needs), Decision::Allowed);
    assert!(refused(&policy.decide_each(&alice, [&gun("a/b"), &gun("c/d")], &needs)));
}

#[test]
fn a_refusal_names_caller_action_tag_and_repository() {
    let policy = policy(vec![grant(Who::User(ALICE), &["a/b"], None, &[Action::Read])]);
    let alice = Caller { name: Some("alice".to_owned()), ..caller(ALICE, &[]) };
    let Decision::Refused(why) = policy.decide(&alice, &gun("a/b"), &[Need::on(Action::Sign, tag("v1"))])
    else {
        panic!("allowed");
    };
    assert_eq!(why.to_string(), "alice (uid 1001) may not sign the tag v1 in a/b");
}

#[test]
fn actions_read_back_as_they_are_written() {
    for action in Action::ALL {
        assert_eq!(action.as_str().parse::<Action>(), Ok(action));
    }
    assert!("SIGN".parse::<Action>().is_err());
}

/// The plain meaning of a pattern, by trying every way.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([b'*', b'*', rest @ ..], _) => (0..=name.len()).any(|at| covers(rest, &name[at..])),
        ([b'*', rest @ ..], _) => {
            let segment = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=segment).any(|at| covers(rest, &name[at..]))
        }
        ([first, rest @ ..], [byte, name @ ..]) => first == byte && covers(rest, name),
        ([], []) => true,
        _ => false,
    }
}

proptest::proptest! {
    #[test]
    fn patterns_mean_what_every_way_of_reading_them_finds(pattern in "[ab/*]{1,8}", name in "[ab/]{0,8}") {
        if let Ok(glob) = Glob::parse(&pattern) {
            proptest::prop_assert_eq!(glob.matches(&name), covers(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
