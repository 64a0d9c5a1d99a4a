use serde_json::json;

use super::*;

const MOMENT: Moment = Moment { time_unix_ms: 1_790_000_000_000, uptime_ms: 4_711 };

fn fields(number: u32) -> Map<String, Value> {
    json!({ "number": number }).as_object().cloned().unwrap()
}

#[test]
fn an_entry_that_was_cut_short_is_taken_away_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.transcript");
    let mut growing = Growing::create(&path).unwrap();
    growing.append(MOMENT, "begun", fields(1)).unwrap();
    growing.append(MOMENT, "asked", fields(2)).unwrap();
    drop(growing);
    let whole = std::fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut opened = Growing::open(&path).unwrap();
        let kept = if cut < first { 0 } else { first };
        assert_eq!((opened.text.len(), opened.dropped), (kept, cut - kept), "cut at {cut}");
        opened.growing.append(MOMENT, "resumed", fields(3)).unwrap();
        drop(opened);
        let again = Growing::open(&path).unwrap();
        assert_eq!(again.entries.last().map(|entry| entry.kind.as_str()), Some("resumed"));
        assert_eq!(again.dropped, 0);
    }
}

#[test]
fn a_whole_entry_that_is_wrong_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.transcript");
    Growing::create(&path).unwrap().append(MOMENT, "begun", fields(1)).unwrap();
    let changed = std::fs::read_to_string(&path).unwrap().replace("begun", "began") + "{}\n";
    std::fs::write(&path, &changed).unwrap();
    assert_eq!(Growing::open(&path).unwrap_err().reason, Reason::CeremonyInvalid);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
}

#[test]
fn two_processes_do_not_write_into_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.transcript");
    let first = Growing::create(&path).unwrap();
    let refused = Growing::open(&path).unwrap_err();
    assert_eq!(refused.reason, Reason::Usage);
    assert!(refused.message.contains("another process"), "{}", refused.message);
    drop(first);
    Growing::open(&path).unwrap();
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let full = Path::new("/dev/full");
    let file = OpenOptions::new().write(true).open(full).unwrap();
    let mut growing = Growing { path: full.to_owned(), file, chain: Chain::default(), length: 0 };
    let refused = growing.append(MOMENT, "begun", fields(1)).unwrap_err();
    assert_eq!(refused.reason, Reason::Usage);
    assert_eq!(growing.chain(), &Chain::default());
    assert!(refused.message.contains("is still there"), "{}", refused.message);
}
