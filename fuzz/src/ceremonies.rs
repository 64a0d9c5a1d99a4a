//! The files of a ceremony, which travel on sticks: transcripts and plans. Each has one form, so what is read is written
//! again to the byte, and what was changed is seen.
use serde_json::{Map, Value};
use touchmark::ceremony::plan::Plan;
use touchmark_proto::transcript::{Chain, Moment, read};
use touchmark_tuf::Sha256Digest;

use crate::Input;

/// The first byte: a transcript, one that is made as ordered and then damaged, a plan's file, or the content of one.
pub fn ceremonies(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => transcript(input.rest()),
        1 => damaged(&mut input),
        2 => drop(plan(input.rest())),
        _ => content(input.rest()),
    }
}

/// What is read would be written in the same way, and ends where it says.
fn transcript(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok((entries, chain)) = read(text) else { return };
    let mut again = Chain::default();
    let lines =
        entries.iter().map(|entry| again.append(entry.moment, &entry.kind, entry.fields.clone()) + "\n");
    assert_eq!(lines.collect::<String>(), text);
    assert_eq!((chain.seq(), &chain), (entries.len() as u64, &again));
    assert!(chain.seal_message().ends_with(chain.head()));
    if !text.is_empty() {
        assert!(read(&text[..text.len() - 1]).is_err(), "a line without its end is none");
    }
}

/// Entries of any words: they read back, and one byte that is changed shows in the head at least.
fn damaged(input: &mut Input<'_>) {
    let (at, change) = (usize::from(input.number()), input.byte());
    let mut chain = Chain::default();
    let (mut text, mut written) = (String::new(), Vec::new());
    while !input.is_empty() && written.len() < 8 {
        let words = |piece: &[u8]| String::from_utf8_lossy(piece).into_owned();
        let (kind, name, value) = (words(input.piece()), words(input.piece()), words(input.piece()));
        let moment = Moment { time_unix_ms: input.number().into(), uptime_ms: input.number().into() };
        text += &chain.append(moment, &kind, Map::from_iter([(name, Value::from(value))]));
        text.push('\n');
        written.push((moment, kind));
    }
    let (entries, end) = read(&text).expect("what was written reads back");
    assert_eq!(end, chain);
    let read_back = entries.into_iter().map(|entry| (entry.moment, entry.kind));
    assert!(read_back.eq(written));
    let mut bytes = text.clone().into_bytes();
    let length = bytes.len().max(1);
    let Some(byte) = bytes.get_mut(at % length) else { return };
    *byte ^= change;
    if let Ok(changed) = String::from_utf8(bytes)
        && changed != text
        && let Ok((_, other)) = read(&changed)
    {
        assert_ne!(other.head(), chain.head(), "another transcript with the same head");
    }
}

/// A plan that is read is written again to the byte.
fn plan(bytes: &[u8]) -> Option<Plan> {
    let plan = Plan::parse(bytes).ok()?;
    assert_eq!(plan.write(), bytes);
    Some(plan)
}

/// The content of a plan, put into a file with the right digest: so the fuzzer gets behind that.
fn content(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if serde_json::from_str::<Value>(text).is_err() {
        return;
    }
    let file = file_of(text);
    if plan(file.as_bytes()).is_some() {
        let damaged = file.replacen("\"rehearsal\": false", "\"rehearsal\": true", 1);
        assert!(damaged == file || plan(damaged.as_bytes()).is_none(), "a plan that was changed");
    }
}

/// A plan's file with this content and its digest.
fn file_of(content: &str) -> String {
    let content = compact(content);
    let sha256 = Sha256Digest::of(content.as_bytes());
    indented(&format!(r#"{{"format":"touchmark-ceremony-plan/1","plan":{content},"sha256":"{sha256}"}}"#))
}

/// JSON without white space between its parts.
fn compact(json: &str) -> String {
    parts(json, |part, out| match part {
        ' ' | '\n' | '\r' | '\t' => {}
        other => out.push(other),
    })
}

/// JSON that has none, as `serde_json` writes it for people.
fn indented(json: &str) -> String {
    let mut depth = 0;
    let line = |out: &mut String, depth: usize| *out += &format!("\n{}", "  ".repeat(depth));
    let mut text = parts(json, |part, out| match part {
        '{' | '[' => {
            depth += 1;
            out.push(part);
            line(out, depth);
        }
        '}' | ']' => {
            depth -= 1;
            if out.trim_end().ends_with(['{', '[']) {
                out.truncate(out.trim_end().len());
            } else {
                line(out, depth);
            }
            out.push(part);
        }
        ',' => {
            out.push(part);
            line(out, depth);
        }
        ':' => *out += ": ",
        other => out.push(other),
    });
    text.push('\n');
    text
}

/// Each character outside of strings goes through `each`; strings stay as they are.
fn parts(json: &str, mut each: impl FnMut(char, &mut String)) -> String {
    let (mut out, mut is_text, mut is_escaped) = (String::with_capacity(json.len()), false, false);
    for part in json.chars() {
        if !is_text {
            is_text = part == '"';
            each(part, &mut out);
            continue;
        }
        out.push(part);
        is_text = is_escaped || part != '"';
        is_escaped = !is_escaped && part == '\\';
    }
    out
}

#[cfg(test)]
mod tests;
