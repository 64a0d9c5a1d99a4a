use touchmark_tuf::{Instant, Sha256Digest, Target};

use super::*;

fn expires() -> Expires {
    Expires::at(Instant::from_unix(2_000_000_000))
}

fn target(seed: u8) -> Target {
    Target::new(Sha256Digest::from_bytes([seed; 32]), 500)
}

fn name(tag: &str) -> TargetName {
    TargetName::try_from(tag).unwrap()
}

fn set(tag: &str, seed: u8) -> TargetChange {
    TargetChange::Set { name: name(tag), target: target(seed) }
}

fn remove(tag: &str) -> TargetChange {
    TargetChange::Remove { name: name(tag) }
}

fn document(version: u64, tags: &[(&str, u8)]) -> Targets {
    Targets {
        delegations: Default::default(),
        expires: expires(),
        targets: tags.iter().map(|(tag, seed)| (name(tag), target(*seed))).collect(),
        version: Version::try_from(version).unwrap(),
    }
}

fn held(document: &Targets) -> Held {
    Held {
        document: document.clone(),
        signed: document.write(),
        file: [b"file ", &document.write()[..]].concat(),
    }
}

fn state(server: Option<&Targets>, daemon: Option<(&Targets, Lineage)>) -> State {
    State {
        role: RoleName::Targets,
        server: server.map(held),
        daemon: daemon.map(|(document, lineage)| (held(document), lineage)),
    }
}

fn unpublished(ancestor: Option<&Targets>) -> Lineage {
    Lineage::Unpublished(ancestor.cloned())
}

fn signed(next: Next) -> (Targets, Base) {
    match next {
        Next::Sign { document, base } => (document, base),
        other => panic!("nothing is signed: {other:?}"),
    }
}

fn tags(document: &Targets) -> Vec<(&str, u8)> {
    document
        .targets
        .iter()
        .map(|(tag, target)| (tag.as_str(), target.sha256().unwrap().as_bytes()[0]))
        .collect()
}

#[test]
fn a_new_tag_on_what_server_and_daemon_agree_on() {
    let current = document(3, &[("1", 1)]);
    let state = state(Some(&current), Some((&current, Lineage::Published)));
    let (next, base) = signed(next(&state, &Goal::Apply(vec![set("2", 2)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (4, Base::Daemon));
    assert_eq!(tags(&next), [("1", 1), ("2", 2)]);
}

#[test]
fn the_same_tag_again_signs_nothing() {
    let current = document(3, &[("1", 1)]);
    let state = state(Some(&current), Some((&current, Lineage::Published)));
    assert_eq!(next(&state, &Goal::Apply(vec![set("1", 1)]), &expires()).unwrap(), Next::Nothing);
    assert_eq!(next(&state, &Goal::Publish, &expires()).unwrap(), Next::Nothing);
}

#[test]
fn a_moved_tag_is_a_change() {
    let current = document(3, &[("1", 1)]);
    let state = state(Some(&current), Some((&current, Lineage::Published)));
    let (next, _) = signed(next(&state, &Goal::Apply(vec![set("1", 9)]), &expires()).unwrap());
    assert_eq!(tags(&next), [("1", 9)]);
}

#[test]
fn a_repository_that_the_daemon_has_not_seen_starts_from_the_server() {
    let current = document(7, &[("1", 1)]);
    let (next, base) =
        signed(next(&state(Some(&current), None), &Goal::Apply(vec![set("2", 2)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (8, Base::Server));
}

#[test]
fn others_published_since_then() {
    let (old, new) = (document(3, &[("1", 1)]), document(5, &[("1", 1), ("theirs", 5)]));
    let state = state(Some(&new), Some((&old, Lineage::Published)));
    let (next, base) = signed(next(&state, &Goal::Apply(vec![set("2", 2)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (6, Base::Server));
    assert_eq!(tags(&next), [("1", 1), ("2", 2), ("theirs", 5)]);
}

#[test]
fn what_was_signed_and_not_published_goes_out_as_it_is() {
    let (server, ours) = (document(3, &[("1", 1)]), document(4, &[("1", 1), ("2", 2)]));
    let state = state(Some(&server), Some((&ours, unpublished(Some(&server)))));
    assert_eq!(next(&state, &Goal::Publish, &expires()).unwrap(), Next::Publish(held(&ours).file));
    // Asking for the same change again signs nothing anew.
    assert_eq!(
        next(&state, &Goal::Apply(vec![set("2", 2)]), &expires()).unwrap(),
        Next::Publish(held(&ours).file)
    );
}

#[test]
fn what_was_signed_and_not_published_is_built_upon() {
    let (server, ours) = (document(3, &[("1", 1)]), document(4, &[("1", 1), ("2", 2)]));
    let state = state(Some(&server), Some((&ours, unpublished(Some(&server)))));
    let (next, base) = signed(next(&state, &Goal::Apply(vec![set("3", 3)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (5, Base::Daemon));
    assert_eq!(tags(&next), [("1", 1), ("2", 2), ("3", 3)]);
}

#[test]
fn a_first_document_that_never_went_out() {
    let ours = document(1, &[]);
    let state = state(None, Some((&ours, unpublished(None))));
    assert_eq!(next(&state, &Goal::Publish, &expires()).unwrap(), Next::Publish(held(&ours).file));
    let (next, base) = signed(next(&state, &Goal::Apply(vec![set("1", 1)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (2, Base::Daemon));
}

#[test]
fn a_lost_race_for_the_same_version_keeps_both_changes() {
    let before = document(3, &[("1", 1), ("gone", 7)]);
    let theirs = document(4, &[("1", 1), ("gone", 7), ("theirs", 5)]);
    let ours = document(4, &[("1", 9)]);
    let state = state(Some(&theirs), Some((&ours, unpublished(Some(&before)))));
    let (next, base) = signed(next(&state, &Goal::Publish, &expires()).unwrap());
    assert_eq!((next.version.get(), base), (5, Base::Server));
    assert_eq!(tags(&next), [("1", 9), ("theirs", 5)]);
}

#[test]
fn a_race_lost_by_more_than_one_version() {
    let before = document(3, &[]);
    let theirs = document(6, &[("theirs", 5)]);
    let ours = document(4, &[("ours", 4)]);
    let state = state(Some(&theirs), Some((&ours, unpublished(Some(&before)))));
    let (next, base) = signed(next(&state, &Goal::Apply(vec![set("2", 2)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (7, Base::Server));
    assert_eq!(tags(&next), [("2", 2), ("ours", 4), ("theirs", 5)]);
}

#[test]
fn an_unpublished_document_that_others_overtook_is_never_sent_over_theirs() {
    // Ours has the higher version, but was built before theirs: sent as it is, it would take their tag away.
    let before = document(3, &[]);
    let theirs = document(4, &[("theirs", 5)]);
    let ours = document(5, &[("a", 1), ("b", 2)]);
    let state = state(Some(&theirs), Some((&ours, unpublished(Some(&before)))));
    let (next, base) = signed(next(&state, &Goal::Publish, &expires()).unwrap());
    assert_eq!((next.version.get(), base), (6, Base::Daemon));
    assert_eq!(tags(&next), [("a", 1), ("b", 2), ("theirs", 5)]);
}

#[test]
fn a_server_that_was_read_too_early_is_no_ground() {
    let (early, published) = (document(1, &[]), document(3, &[("theirs", 5)]));
    let goal = Goal::Apply(vec![set("ours", 1)]);
    let [read, published_as] = [1, 3].map(|number| Version::try_from(number).unwrap());
    let stale = Err(PlanError::Stale { role: RoleName::Targets, read, published: published_as });
    // The daemon's own newest has been published since.
    let seen = state(Some(&early), Some((&published, Lineage::Published)));
    assert_eq!(next(&seen, &goal, &expires()), stale);
    // Or the one before its newest.
    let waiting = document(4, &[("theirs", 5), ("a", 2)]);
    let seen = state(Some(&early), Some((&waiting, unpublished(Some(&published)))));
    assert_eq!(next(&seen, &goal, &expires()), stale);
}

#[test]
fn a_lost_race_whose_change_others_made_too_is_over() {
    let before = document(3, &[]);
    let both = document(4, &[("1", 1)]);
    let mut ours = both.clone();
    ours.expires = Expires::at(Instant::from_unix(2_000_000_001));
    let state = state(Some(&both), Some((&ours, unpublished(Some(&before)))));
    assert_eq!(next(&state, &Goal::Publish, &expires()).unwrap(), Next::Nothing);
}

#[test]
fn a_tag_that_is_gone_needs_no_removing() {
    let current = document(3, &[("1", 1)]);
    let state = state(Some(&current), Some((&current, Lineage::Published)));
    assert_eq!(next(&state, &Goal::Apply(vec![remove("2")]), &expires()).unwrap(), Next::Nothing);
    let (next, _) = signed(next(&state, &Goal::Apply(vec![remove("1"), remove("2")]), &expires()).unwrap());
    assert!(next.targets.is_empty());
}

#[test]
fn a_refresh_signs_the_same_content_again() {
    let current = document(3, &[("1", 1)]);
    let state = state(Some(&current), Some((&current, Lineage::Published)));
    let later = Expires::at(Instant::from_unix(2_100_000_000));
    let (renewed, _) = signed(next(&state, &Goal::Refresh(Due::All), &later).unwrap());
    assert_eq!((renewed.version.get(), &renewed.expires), (4, &later));
    assert_eq!(renewed.targets, current.targets);
    let due = |unix| Goal::Refresh(Due::Before(Instant::from_unix(unix)));
    assert!(matches!(next(&state, &due(2_000_000_001), &later).unwrap(), Next::Sign { .. }));
    assert_eq!(next(&state, &due(2_000_000_000), &later).unwrap(), Next::Nothing);
}

#[test]
fn the_first_document_of_a_delegation() {
    let (next, base) = signed(next(&state(None, None), &Goal::Apply(vec![set("1", 1)]), &expires()).unwrap());
    assert_eq!((next.version.get(), base), (1, Base::Daemon));
    assert_eq!(tags(&next), [("1", 1)]);
    assert_eq!(super::next(&state(None, None), &Goal::Publish, &expires()).unwrap(), Next::Nothing);
}

#[test]
fn what_others_published_and_ours_was_made_from_is_not_our_change() {
    let common = document(4, &[("1", 1)]);
    let theirs = document(5, &[("1", 1), ("theirs", 5)]);
    let ours = document(6, &[("1", 1), ("a", 2), ("theirs", 5)]);
    assert_eq!(ancestor(common.clone(), vec![theirs.clone()], &ours), theirs);
    // They took it back since: it stays gone, and what is ours comes in.
    let server = document(6, &[("1", 1)]);
    let state = state(Some(&server), Some((&ours, unpublished(Some(&theirs)))));
    let (next, _) = signed(next(&state, &Goal::Publish, &expires()).unwrap());
    assert_eq!(tags(&next), [("1", 1), ("a", 2)]);
    // Made without having seen theirs.
    let alone = document(6, &[("1", 1), ("a", 2)]);
    assert_eq!(ancestor(common.clone(), vec![theirs], &alone), common);
}
