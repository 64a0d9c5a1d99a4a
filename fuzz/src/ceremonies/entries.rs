//! Transcripts and records as what they mean: entry by entry, and to the daemon as to the client.
use std::fs;

use serde_json::{Map, Value};
use touchmark::ceremony::judge;
use touchmark::ceremony::plan::{Occasion, Plan};
use touchmark::ceremony::record::{Noted, Record};
use touchmark::ceremony::rehearsal;
use touchmark::ceremony::transcript::{Said, Share, SignedRoot};
use touchmark_proto::transcript::{Chain, Moment};
use touchmark_tuf::{RoleName, Version};
use touchmarkd::doors;

use super::checker;
use super::form::{Kind, file_of};
use crate::place::with_folder;

/// What is read would be written in the same way, and the daemon reads it alike.
pub(super) fn share(bytes: &[u8]) {
    let Some(share) = text(bytes).and_then(|text| Share::read(text).ok()) else { return };
    let mut again = Chain::default();
    let (mut lines, mut before) = (String::new(), Chain::default());
    for (entry, said) in &share.entries {
        before = again.clone();
        lines += &(again.append(entry.moment, said.kind(), said.fields()) + "\n");
    }
    assert_eq!(lines.as_bytes(), bytes);
    let sealed = share.entries.iter().filter(|(_, said)| matches!(said, Said::Sealed(_))).count();
    assert_eq!(sealed, usize::from(share.sealed.is_some()));
    assert_eq!(share.chain(), if share.sealed.is_some() { &before } else { &again });
    to_the_daemon(&share, &lines);
}

/// The daemon seals what the client reads, where the key signed something, and understands it in the same way.
fn to_the_daemon(share: &Share, text: &str) {
    let key = share.begun.key;
    let wanted: Option<Vec<doors::Signed>> = share.signed().map(|(seq, signed)| meant(seq, signed)).collect();
    let sealable = share.sealed.is_none()
        && wanted.as_ref().is_some_and(|signed| signed.iter().any(|signed| signed.key == key));
    match doors::transcript(text, &key) {
        Ok((chain, signed)) => {
            assert!(sealable, "the daemon seals what the client does not");
            assert_eq!((&chain, Some(signed)), (share.chain(), wanted));
        }
        Err(why) => assert!(!sealable, "the daemon does not seal what the client reads: {why}"),
    }
}

/// As the daemon says it; `None`: of another role, or without signatures that mean something.
fn meant(entry: u64, signed: &SignedRoot) -> Option<doors::Signed> {
    let method = |one: &touchmark::ceremony::transcript::WrittenSignature| {
        Some((touchmark_tuf::Method::from_word(&one.method)?, one.sig.clone()))
    };
    let signatures = signed.signatures.iter().map(method).collect::<Option<Vec<_>>>()?;
    let is_root = signed.role.parse() == Ok(RoleName::Root);
    (is_root && !signatures.is_empty()).then_some(doors::Signed {
        entry,
        gun: signed.repository.clone(),
        version: Version::try_from(signed.version).ok()?,
        digest: signed.digest,
        key: signed.key,
        signatures,
    })
}

/// What is read would be written in the same way, and so would the plan in it.
pub(super) fn record(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(record) = Record::read(text) else { return };
    let mut again = Chain::default();
    let lines = record.entries.iter();
    let lines = lines.map(|(entry, noted)| again.append(entry.moment, noted.kind(), noted.fields()) + "\n");
    assert_eq!(lines.collect::<String>(), text);
    let Some((_, Noted::Merged(merged))) = record.entries.first() else { panic!("a record without a plan") };
    assert_eq!(record.plan.write(), merged.plan.as_bytes());
    if let Ok(items) = judge::itself(&record, None, &checker()) {
        assert_eq!((items.len(), record.completed().count()), (record.plan.repositories.len(), items.len()));
    }
    left_behind(&record, text);
}

/// A rehearsal that goes on where this one ended begins with the complete roots of this one.
fn left_behind(record: &Record, text: &str) {
    with_folder(|folder| {
        let file = folder.join("record");
        fs::write(&file, text).unwrap();
        let Ok(left) = rehearsal::left_by(&file) else { return };
        assert_eq!(record.plan.occasion, Occasion::Rehearsal);
        for (gun, chain) in left {
            let last = record.completed().filter(|(_, one)| one.repository == gun).last();
            assert_eq!(last.map(|(_, one)| one.file.as_bytes()), chain.last().map(Vec::as_slice));
        }
    });
}

/// Lines of a transcript, each made to follow the one before: so the fuzzer gets behind the hashes.
pub(super) fn linked_share(bytes: &[u8]) {
    if let Some(lines) = text(bytes).and_then(lines) {
        share(linked(&lines).as_bytes());
    }
}

/// Lines of a record, as above; in the first one, where there is no plan's file, is the content of one.
pub(super) fn linked_record(bytes: &[u8]) {
    let Some(mut lines) = text(bytes).and_then(lines) else { return };
    if let Some(Value::String(plan)) = lines.first_mut().and_then(|first| first.get_mut("plan"))
        && Plan::parse(plan.as_bytes()).is_err()
        && serde_json::from_str::<Value>(plan).is_ok()
    {
        *plan = file_of(Kind::Plan, plan);
    }
    record(linked(&lines).as_bytes());
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The entries of a text whose hashes do not matter.
pub(super) fn lines(text: &str) -> Option<Vec<Map<String, Value>>> {
    text.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

/// A text of these entries whose hashes are right.
pub(super) fn linked(lines: &[Map<String, Value>]) -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for line in lines {
        let mut fields = line.clone();
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let moment = Moment {
            time_unix_ms: fields.get("time").and_then(Value::as_i64).unwrap_or_default(),
            uptime_ms: fields.get("uptime").and_then(Value::as_u64).unwrap_or_default(),
        };
        fields.retain(|name, _| !["seq", "previous", "kind", "time", "uptime"].contains(&name.as_str()));
        text += &(chain.append(moment, &kind, fields) + "\n");
    }
    text
}
