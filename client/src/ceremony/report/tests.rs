use super::*;
use crate::ceremony::anchors::Anchors;
use crate::ceremony::judge;
use crate::ceremony::record::Noted;
use crate::ceremony::testing::{NOW, World, checker, record};

fn page_of(world: &World) -> String {
    let notes = world.notes();
    let mut anchors = Anchors::default();
    for noted in &notes {
        if let Noted::Completed(completed) = noted {
            anchors.insert(completed.file.as_bytes(), &checker()).unwrap();
        }
    }
    let text = record(&notes);
    let read = judge::read(&text).unwrap();
    let verdict = judge::judge(&read, &anchors, None, &checker()).unwrap();
    page(&verdict, &Sha256Digest::of(text.as_bytes()), Instant::from_unix(NOW))
}

#[test]
fn the_page_says_who_signed_what_with_what_and_how_it_was_checked() {
    let world = World::earnest();
    let page = page_of(&world);
    let plan = Sha256Digest::of(world.plan_text().as_bytes());
    for wanted in [
        "Root ceremony: spring",
        "registry.example.com/team/app",
        "serial of alice",
        "asked: Sign 2 roots? Answer, typed: yes",
        "2 of 2 repositories: the published root is the one signed here, to the byte",
        "2 roots signed",
        "2027-01-15T08:00:00Z",
        "4.7",
        "signed by no token",
        &fingerprint::words(&plan),
        &plan.to_string(),
        &world.bob.id().to_string(),
        "Witness",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    assert!(!page.contains("REHEARSAL"));
    assert!(page_of(&World::rehearsal()).contains("REHEARSAL: made-up"));
}

#[test]
fn hostile_names_are_text_and_nothing_else() {
    const HOSTILE: &str =
        "</title><script>alert('1')</script>\u{202e}<img src=\"//evil.example/x\" onerror=a>";
    let mut world = World::earnest();
    world.plan.title = HOSTILE.to_owned();
    for key in &mut world.plan.keys {
        key.label = HOSTILE.to_owned();
    }
    world.alice.label = Box::leak(HOSTILE.to_owned().into_boxed_str());
    let page = page_of(&world);
    assert!(page.is_ascii());
    for unwanted in ["<script", "<img", "onerror=a>", "\u{202e}", "'1'"] {
        assert!(!page.contains(unwanted), "{unwanted}\n{page}");
    }
    assert!(page.contains("&lt;script&gt;") && page.contains("\\u{202e}"), "{page}");
    assert_eq!(page.matches("</title>").count(), 1);
}
