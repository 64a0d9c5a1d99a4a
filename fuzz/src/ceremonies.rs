//! The files of a ceremony, which travel on sticks: transcripts, plans, root key files, records, the published roots that
//! they are judged by, and what YubiKeys say of their keys. Each has one form, so what is read is written again to the
//! byte, and what was changed is seen.
mod attested;
mod entries;
mod forged;
mod form;
mod keys;
mod sticks;

use std::sync::Arc;

use serde_json::{Map, Value};
use touchmark::ceremony::item::Item;
use touchmark::ceremony::plan::Plan;
use touchmark_proto::transcript::{Chain, Moment, read};
use touchmark_tuf::{CheckSignature, Document as _, Ring, Sha256Digest};

use crate::Input;
use form::{Kind, file_of};

/// The first byte says as what the rest is read.
pub fn ceremonies(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 17 {
        0 => transcript(input.rest()),
        1 => damaged(&mut input),
        2 => drop(plan(input.rest())),
        3 => content(input.rest()),
        4 => drop(keys::file(input.rest())),
        5 => keys::content(input.rest()),
        6 => entries::share(input.rest()),
        7 => entries::linked_share(input.rest()),
        8 => entries::record(input.rest()),
        9 => entries::linked_record(input.rest()),
        10 => forged::transcript(&mut input),
        11 => forged::record(&mut input),
        12 => sticks::growing(&mut input),
        13 => sticks::published(input.rest()),
        14 => sticks::list(&mut input),
        15 => sticks::fingerprint(&mut input),
        _ => attested::attestation(&mut input),
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
    for repository in &plan.repositories {
        let Ok(item) = Item::check(repository, plan.occasion, &checker()) else { continue };
        assert_eq!(item.root.write(), repository.root);
        assert_eq!(item.digest, Sha256Digest::of(&repository.root));
        assert_eq!(item.base.is_some(), !repository.roots.is_empty());
    }
    Some(plan)
}

/// The content of a plan, put into a file with the right digest: so the fuzzer gets behind that.
fn content(bytes: &[u8]) {
    let Some(file) = made(Kind::Plan, bytes) else { return };
    if plan(file.as_bytes()).is_some() {
        assert!(plan(&changed(file.as_bytes())).is_none(), "a plan that was changed");
    }
}

/// A file with this content, if it is JSON.
fn made(kind: Kind, content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    serde_json::from_str::<Value>(text).ok()?;
    Some(file_of(kind, text))
}

/// One byte of it is another one; which, its digest says.
fn changed(file: &[u8]) -> Vec<u8> {
    let dice = *Sha256Digest::of(file).as_bytes();
    let at = usize::from(u16::from_le_bytes([dice[0], dice[1]])) % file.len();
    let mut changed = file.to_vec();
    changed[at] ^= dice[2].max(1);
    changed
}

fn checker() -> Arc<dyn CheckSignature + Send + Sync> {
    Arc::new(Ring)
}

#[cfg(test)]
mod tests;
