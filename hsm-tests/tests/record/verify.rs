//! A record is judged by what is in it and by published roots, and by nothing that it says of itself.

use crate::merge::Rehearsal;
use crate::stage::{TWO, refused};

#[test]
fn the_first_change_is_named_with_its_entry() {
    let rehearsal = Rehearsal::of(TWO, &[]);
    let record = rehearsal.record();
    let text = std::fs::read_to_string(&record).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let changed = rehearsal.desk.file("changed.ceremony");
    let last = text.rfind("\"digest\":\"").unwrap() + 12;
    let mut digest = text.clone().into_bytes();
    digest[last] = if digest[last] == b'0' { b'1' } else { b'0' };
    for (changes, says) in [
        (text.replacen("\"name\":\"alice.", "\"name\":\"alicf.", 1), "entry 3 does not follow entry 2"),
        (join(&[&lines[..1], &lines[2..]].concat()), "entry 3 stands where entry 2 belongs"),
        (text[..text.len() - 1].to_owned(), "cut off after entry 4"),
        (join(&lines[..4]), "no entry has the complete root of rehearsal.invalid/team/two"),
        (String::from_utf8(digest).unwrap(), "entry 5: completed: the root of rehearsal.invalid/team/two"),
    ] {
        std::fs::write(&changed, changes).unwrap();
        refused(&rehearsal.run("verify", &changed).run(), 1, "SIGNATURE_INVALID", says);
    }
    std::fs::write(&changed, "a letter\n").unwrap();
    refused(&rehearsal.run("verify", &changed).run(), 1, "SIGNATURE_INVALID", "entry 1 is malformed");
    refused(&rehearsal.run("verify", &rehearsal.shares[0]).run(), 2, "USAGE", "not their trust servers");
}
