use super::*;
use crate::ceremony::testing::{World, clock, record};

#[test]
fn a_record_reads_back_as_it_was_meant_and_is_added_to() {
    let world = World::earnest();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spring.ceremony");
    let notes = world.notes();
    let (begin, rest) = notes.split_at(5);
    Book::write_new(&path, begin, clock).unwrap();
    let (mut book, read) = Book::open(&path, clock).unwrap();
    assert_eq!(read.plan, world.plan);
    assert_eq!((read.shares().count(), read.completed().count(), read.published().count()), (2, 2, 0));
    for noted in rest {
        book.append(noted).unwrap();
    }
    drop(book);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, record(&notes));
    let read: Vec<Noted> = Record::read(&text).unwrap().entries.into_iter().map(|(_, noted)| noted).collect();
    assert_eq!(read, notes);
    assert_eq!(Book::write_new(&path, begin, clock).unwrap_err().reason, Reason::Usage);
}

#[test]
fn an_entry_in_the_wrong_place_is_named() {
    let notes = World::earnest().notes();
    let kind = |noted: &Noted| noted.kind();
    let place = |notes: &[Noted]| match Record::read(&record(notes)) {
        Err(RecordError::Entry(EntryError::Misplaced { seq, kind })) => (seq, kind),
        other => panic!("{other:?}"),
    };
    let moved = |from: usize, to: usize| {
        let mut moved = notes.clone();
        let one = moved.remove(from);
        moved.insert(to, one);
        moved
    };
    assert_eq!(notes.iter().map(kind).collect::<Vec<_>>()[..3], ["merged", "share", "share"]);
    assert_eq!(place(&moved(1, 4)), (5, "share"));
    assert_eq!(place(&moved(3, 6)), (7, "completed"));
    assert_eq!(place(&[notes[0].clone(), notes[0].clone()]), (2, "merged"));
    assert_eq!(Record::read(&record(&notes[1..])).map(drop), Err(RecordError::Format));
    assert_eq!(Record::read("").map(drop), Err(RecordError::Format));
}

#[test]
fn a_plan_and_a_record_that_disagree_about_a_rehearsal_are_refused() {
    let mut notes = World::earnest().notes();
    if let Noted::Merged(merged) = &mut notes[0] {
        merged.rehearsal = true;
    }
    assert_eq!(Record::read(&record(&notes)).map(drop), Err(RecordError::Occasion));
    if let Noted::Merged(merged) = &mut notes[0] {
        merged.plan = merged.plan.replace("\"rehearsal\": false", "\"rehearsal\": true");
    }
    assert_eq!(Record::read(&record(&notes)).map(drop), Err(RecordError::Plan(PlanError::Changed)));
}
