use serde_json::{Map, Value};
use touchmark_proto::transcript::Chain;
use touchmark_tuf::{EcdsaSignature, Signature};

use super::*;
use crate::ceremony::record::{Included, Published, Rehearsed};
use crate::ceremony::testing::{Signer, World, checker, clock, record, sealed};
use crate::ceremony::transcript::Said;

/// The completed roots of a record, as its trust server has them then.
fn published(notes: &[Noted]) -> Anchors {
    let mut anchors = Anchors::default();
    for noted in notes {
        if let Noted::Completed(completed) = noted {
            anchors.insert(completed.file.as_bytes(), &checker()).unwrap();
        }
    }
    anchors
}

/// The roots that the plan begins with.
fn before(world: &World) -> Anchors {
    let mut anchors = Anchors::default();
    for repository in &world.plan.repositories {
        anchors.insert(repository.roots.last().unwrap(), &checker()).unwrap();
    }
    anchors
}

fn judged(text: &str, published: &Anchors) -> Result<Vec<Anchor>, Change> {
    let record = read(text)?;
    judge(&record, published, None, &checker()).map(|verdict| verdict.anchors)
}

#[test]
fn a_record_is_whole_by_the_published_roots_alone() {
    let world = World::earnest();
    let notes = world.notes();
    assert_eq!(judged(&record(&notes), &published(&notes)), Ok(vec![Anchor::Same; 2]));
    assert_eq!(judged(&record(&notes[..5]), &before(&world)), Ok(vec![Anchor::Before; 2]));
}

#[test]
fn a_rehearsal_is_whole_and_was_never_published() {
    let world = World::rehearsal();
    let mut notes = world.notes();
    let gun = world.plan.repositories[0].gun.clone();
    notes.push(Noted::Rehearsed(Rehearsed { repository: gun.clone(), version: 2 }));
    assert_eq!(judged(&record(&notes), &Anchors::default()), Ok(vec![Anchor::MadeUp; 2]));
    notes.push(Noted::Published(Published {
        repository: gun,
        version: 2,
        server: String::new(),
        fresh_client: String::new(),
        old_client: String::new(),
        targets: 1,
    }));
    let change = judged(&record(&notes), &Anchors::default()).unwrap_err();
    assert_eq!((change.entry, change.what.as_str()), (Some(7), "published: a rehearsal is never published"));
}

/// Only the last entry is not held by another one, and nobody signed it: what it says is computed again, when it was
/// written and by what is not to be known.
#[test]
fn a_byte_that_is_changed_is_seen() {
    let notes = World::earnest().notes();
    let (text, roots) = (record(&notes), published(&notes));
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let mut unseen = Vec::new();
    let step = 89;
    for at in (0..last).step_by(step).chain(last..text.len()) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        match judged(&changed, &roots) {
            Err(change) => assert!(change.entry.is_some() || at < 200, "byte {at}: {change:?}"),
            Ok(_) => unseen.push(at),
        }
    }
    let field = |at: usize| {
        let line = &text[last..];
        let quoted = line[..at - last].rfind("\":").unwrap_or(0);
        line[..quoted].rsplit('"').next().unwrap_or_default().to_owned()
    };
    let fields: BTreeSet<String> = unseen.iter().map(|at| field(*at)).collect();
    let expected = ["time", "tool", "uptime"].map(str::to_owned);
    assert!(unseen.iter().all(|at| *at >= last));
    assert_eq!(fields.into_iter().collect::<Vec<_>>(), expected);
}

/// Somebody who changes a field and computes every hash anew.
#[test]
fn a_field_that_is_changed_is_seen_also_when_all_hashes_are_made_anew() {
    let notes = World::earnest().notes();
    let roots = published(&notes);
    let mut unseen = BTreeSet::new();
    for (at, noted) in notes.iter().enumerate() {
        for leaf in leaves(&Value::Object(noted.fields())) {
            let mut fields = noted.fields();
            change_leaf(&mut fields, &leaf);
            let text = rechained(&notes, at, noted.kind(), fields);
            match judged(&text, &roots) {
                Ok(_) => drop(unseen.insert(format!("{}.{}", noted.kind(), leaf.trim_start_matches('/')))),
                Err(change) => assert!(
                    change.entry.is_some()
                        || change.reason == touchmark_proto::reason::Reason::CeremonyInvalid,
                    "{leaf}: {change:?}"
                ),
            }
        }
    }
    // The list that `UNSIGNED` tells in words.
    let expected = [
        "finished.tool",
        "merged.tool",
        "published.fresh_client",
        "published.old_client",
        "published.targets",
        "share.name",
    ];
    assert_eq!(unseen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_transcript_that_is_changed_with_new_hashes_does_not_fit_its_seal() {
    let world = World::earnest();
    let notes = world.notes();
    let roots = published(&notes);
    let said = world.said(&world.bob);
    for (at, one) in said.iter().enumerate() {
        for leaf in leaves(&Value::Object(one.fields())) {
            let mut chain = Chain::default();
            let mut text = String::new();
            for (other, said) in said.iter().enumerate() {
                let mut fields = said.fields();
                if other == at {
                    change_leaf(&mut fields, &leaf);
                }
                text += &(chain.append(clock(), said.kind(), fields) + "\n");
            }
            // The seal that bob made of what he really said.
            let seal = sealed(&world.bob, &said).lines().last().unwrap().to_owned();
            let mut seal: Map<String, Value> = serde_json::from_str(&seal).unwrap();
            seal.retain(|name, _| !["seq", "previous", "kind", "time", "uptime"].contains(&name.as_str()));
            text += &(chain.append(clock(), "sealed", seal) + "\n");
            let mut forged = notes.clone();
            forged[2] = Noted::Share(Included { name: "bob.transcript".to_owned(), transcript: text });
            let change = judged(&record(&forged), &roots).expect_err(&leaf);
            assert_eq!((change.entry, change.within.is_some()), (Some(3), true), "{leaf}: {change:?}");
        }
    }
}

#[test]
fn beside_a_seal_only_its_time_and_the_daemons_row_can_be_changed() {
    let world = World::earnest();
    let notes = world.notes();
    let roots = published(&notes);
    let Noted::Share(Included { transcript: whole, .. }) = &notes[2] else { panic!("bob's share") };
    let (before, last) = whole.trim_end().rsplit_once('\n').unwrap();
    let seal: Map<String, Value> = serde_json::from_str(last).unwrap();
    let mut unseen = BTreeSet::new();
    for leaf in leaves(&Value::Object(seal.clone())) {
        let mut fields = seal.clone();
        change_leaf(&mut fields, &leaf);
        let changed = line(&fields);
        let transcript = format!("{before}\n{changed}\n");
        let mut forged = notes.clone();
        forged[2] = Noted::Share(Included { name: "bob.transcript".to_owned(), transcript });
        match judged(&record(&forged), &roots) {
            Ok(_) => drop(unseen.insert(leaf)),
            Err(change) => assert_eq!(change.entry, Some(3), "{leaf}: {change:?}"),
        }
    }
    assert_eq!(unseen.into_iter().collect::<Vec<_>>(), ["/audit/head", "/audit/seq", "/time", "/uptime"]);
}

/// The one form of a line: names in order, no spaces.
fn line(fields: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    serde_json::to_string(&sorted).unwrap()
}

#[test]
fn entries_that_are_gone_are_seen_but_at_the_end() {
    let notes = World::earnest().notes();
    let roots = published(&notes);
    let without = |gone: &[usize]| {
        let kept = notes.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        judged(&record(&kept.map(|(_, noted)| noted.clone()).collect::<Vec<_>>()), &roots)
    };
    for gone in 0..notes.len() - 1 {
        assert!(without(&[gone]).is_err(), "entry {}", gone + 1);
    }
    assert!(without(&[7]).is_ok(), "nothing follows the last entry");
    assert!(without(&[5, 6, 7]).is_ok(), "as if publishing had noted nothing yet");
    assert_eq!(without(&[4, 5, 6, 7]).unwrap_err().entry, Some(4), "a root of the plan is missing");
}

/// The signatures are real ones, taken from what was published; the transcript around them is made up.
#[test]
fn a_transcript_sealed_by_somebody_else_is_no_proof() {
    let world = World::earnest();
    let mallory = Signer::new("mallory");
    let mut notes = world.notes();
    let roots = published(&notes);
    let mut said = world.said(&world.bob);
    if let Said::Begun(begun) = &mut said[0] {
        begun.key = mallory.id();
    }
    notes[2] =
        Noted::Share(Included { name: "bob.transcript".to_owned(), transcript: sealed(&mallory, &said) });
    let change = judged(&record(&notes), &roots).unwrap_err();
    assert_eq!(change.entry, Some(3));
    assert!(change.what.contains("nothing to sign in this plan"), "{change:?}");
}

/// A plan that is made up around what was really published: its documents, and a repository of somebody's own, whose
/// keys may seal then. The one published root that is compared is the real one.
#[test]
fn a_plan_made_up_around_real_roots_is_told_by_who_sealed_it() {
    let (world, mallory) = (World::earnest(), World::of_mallory());
    let roots = published(&world.notes());
    let mut forged = World::of_mallory();
    forged.plan.repositories = vec![world.plan.repositories[0].clone(), mallory.plan.repositories[0].clone()];
    forged.plan.keys.extend(mallory.plan.keys.clone());
    let mut texts = Vec::new();
    for (signer, real) in [(&mallory.alice, &world.alice), (&mallory.bob, &world.bob)] {
        let mut said = forged.said(signer);
        for one in &mut said {
            if let Said::Signed(signed) = one
                && signed.repository == world.plan.repositories[0].gun
            {
                let theirs = world.said(real).into_iter().find_map(|said| match said {
                    Said::Signed(theirs) if theirs.repository == signed.repository => Some(theirs),
                    _ => None,
                });
                *signed = theirs.unwrap();
            }
        }
        texts.push(sealed(signer, &said));
    }
    let notes = forged.merged(&texts);
    let change = judged(&record(&notes), &roots).unwrap_err();
    assert_eq!(change.entry, Some(2));
    assert!(change.what.contains("no published root says that it is a root key"), "{change:?}");
}

/// A whole ceremony that somebody plays with keys of his own is whole in itself: the published root is what tells.
#[test]
fn another_ceremony_is_told_by_the_published_root() {
    let world = World::earnest();
    let change = judged(&record(&World::earnest().notes()), &published(&world.notes())).unwrap_err();
    assert_eq!((change.entry, change.means), (Some(4), change::OTHER_ROOT));
    let change = judged(&record(&World::earnest().notes()), &before(&world)).unwrap_err();
    assert_eq!((change.entry, change.means), (Some(1), change::PLAN));
}

#[test]
fn what_is_said_to_be_published_has_to_be() {
    let world = World::earnest();
    let change = judged(&record(&world.notes()), &before(&world)).unwrap_err();
    assert_eq!((change.entry, change.means), (Some(6), change::NOT_PUBLISHED));
}

#[test]
fn a_later_root_that_still_describes_the_keys_is_enough() {
    let world = World::earnest();
    let notes = world.notes();
    let mut later = Anchors::default();
    for item in world.items() {
        let (gun, root) = (&item.repository.gun, &item.root);
        let gone = root.roles.root.key_ids[0];
        let change = [touchmark_tuf::RootChange::RemoveRootKey(gone)];
        let next = touchmark_tuf::next_root(gun, root, &change, root.expires.clone()).unwrap();
        let signed = touchmark_tuf::Document::write(&next);
        let sign = |signer: &Signer| {
            let id = item.listed_as(&signer.id())[0];
            Signature::ecdsa(id, &signer.raw(&signed))
        };
        let file = touchmark_tuf::assemble(&signed, &[sign(&world.bob), sign(&world.carol)]).unwrap();
        later.insert(&file, &checker()).unwrap();
    }
    assert_eq!(judged(&record(&notes), &later), Ok(vec![Anchor::Later(3); 2]));
    let other = World::earnest().notes();
    let change = judged(&record(&other), &later).unwrap_err();
    assert_eq!((change.entry, change.means), (Some(4), change::OTHER_ROOT));
}

#[test]
fn a_transcript_alone_is_judged_by_what_was_published() {
    let world = World::earnest();
    let roots = published(&world.notes());
    let text = world.transcript(&world.bob);
    let whole = lone(&text, &roots, None, &*checker()).unwrap();
    assert_eq!(whole.compared.len(), 2);
    for at in (0..text.len()).step_by(13) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let seal = changed.trim_end().rfind('\n').unwrap_or(0);
        match lone(&changed, &roots, None, &*checker()) {
            Err(_) => {}
            // What stands beside the seal in its own entry is not under it.
            Ok(_) => assert!(at > seal, "byte {at}"),
        }
    }
    let stranger = World::earnest();
    let change = lone(&stranger.transcript(&stranger.bob), &roots, None, &*checker()).unwrap_err();
    assert!(change.what.contains("no published root says"), "{change:?}");
    let unsealed = text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
    let change = lone(&unsealed, &roots, None, &*checker()).unwrap_err();
    assert!(change.what.contains("not sealed"), "{change:?}");
    let zeros = EcdsaSignature::from_raw([0; 64]);
    assert_ne!(zeros.as_bytes().as_slice(), whole.share.sealed.unwrap().signature);
}

/// JSON pointers of everything that is no object or array.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| leaves(value).into_iter().map(move |leaf| format!("/{name}{leaf}")))
            .collect(),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .flat_map(|(at, value)| leaves(value).into_iter().map(move |leaf| format!("/{at}{leaf}")))
            .collect(),
        _ => vec![String::new()],
    }
}

fn change_leaf(fields: &mut Map<String, Value>, leaf: &str) {
    let mut value = Value::Object(std::mem::take(fields));
    let place = value.pointer_mut(leaf).unwrap();
    *place = match place {
        Value::String(text) => {
            // A character in the middle, and one that fits where only digits do.
            let at = text.chars().count() / 2;
            let swap = |c: char| if c == '0' { '1' } else { '0' };
            let changed = text.chars().enumerate().map(|(here, c)| if here == at { swap(c) } else { c });
            Value::String(if text.is_empty() { "0".to_owned() } else { changed.collect() })
        }
        Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
        Value::Bool(yes) => Value::Bool(!*yes),
        _ => Value::String("0".to_owned()),
    };
    if let Value::Object(changed) = value {
        *fields = changed;
    }
}

fn rechained(notes: &[Noted], at: usize, kind: &str, fields: Map<String, Value>) -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for (other, noted) in notes.iter().enumerate() {
        let (kind, fields) =
            if other == at { (kind, fields.clone()) } else { (noted.kind(), noted.fields()) };
        text += &(chain.append(clock(), kind, fields) + "\n");
    }
    text
}
