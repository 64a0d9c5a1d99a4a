use serde_json::{Map, json};

use super::*;

const MOMENT: Moment = Moment { time_unix_ms: 1_790_000_000_000, uptime_ms: 4_711 };

fn fields(value: serde_json::Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn written() -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for (kind, value) in
        [("begun", json!({ "plan": "a" })), ("asked", json!({ "answer": "j\u{e4}" })), ("signed", json!({}))]
    {
        text += &chain.append(MOMENT, kind, fields(value));
        text.push('\n');
    }
    text
}

#[test]
fn what_was_written_reads_back() {
    let (entries, chain) = read(&written()).unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(),
        ["begun", "asked", "signed"]
    );
    assert_eq!(entries[1].fields, fields(json!({ "answer": "j\u{e4}" })));
    assert_eq!(entries[2].moment, MOMENT);
    assert_eq!(chain.seq(), 3);
    assert!(written().is_ascii());
    let message = chain.seal_message();
    assert_eq!(message.len(), SEAL_LABEL.len() + 8 + 32);
    assert!(message.ends_with(chain.head()));
}

#[test]
fn any_byte_that_is_changed_is_seen() {
    let text = written();
    let (_, chain) = read(&text).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        // What changes nothing but the last entry still changes the head, which is what a seal is over.
        assert!(read(&changed).map_or(true, |(_, other)| other.head() != chain.head()), "byte {at}");
    }
}

#[test]
fn entries_that_are_gone_doubled_or_moved_are_seen() {
    let text = written();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(read(&join(&lines[1..])), Err(TranscriptError::Sequence { wanted: 1, got: 2 }));
    assert_eq!(read(&join(&[lines[0], lines[2]])), Err(TranscriptError::Sequence { wanted: 2, got: 3 }));
    assert_eq!(read(&join(&[lines[0], lines[0]])), Err(TranscriptError::Sequence { wanted: 2, got: 1 }));
    let other = lines[0].replace("\"a\"", "\"b\"");
    assert_eq!(read(&join(&[&other, lines[1]])), Err(TranscriptError::Previous { seq: 2 }));
    assert_eq!(read(text.trim_end()), Err(TranscriptError::CutOff { seq: 2 }));
    let spaced = lines[0].replacen(':', ": ", 1);
    assert_eq!(read(&join(&[&spaced])), Err(TranscriptError::Malformed { seq: 1 }));
}
