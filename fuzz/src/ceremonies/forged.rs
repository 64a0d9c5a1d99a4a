//! A ceremony as it was, and what somebody makes of its files who has no key: every hash is made anew. Whatever is still
//! believed says what was signed.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};
use touchmark::ceremony::anchors::Anchors;
use touchmark::ceremony::item::Item;
use touchmark::ceremony::judge::{judge, lone};
use touchmark::ceremony::record::{Completed, Record};
use touchmark::ceremony::transcript::Share;
use touchmark_tuf::{Gun, KeyId, Ring, Root, Unverified};

use super::checker;
use super::entries::{lines, linked};
use crate::Input;

/// A record of one repository, as `merge` and `publish` wrote it in version 1, and the root that was published. Alice's
/// root key let bob's and carol's in, and she and bob signed.
const RECORD: &str = include_str!("sample/record");
const ROOT: &[u8] = include_bytes!("sample/root.json");

struct Sample {
    record: Record,
    published: Anchors,
    transcripts: Vec<String>,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let record = Record::read(RECORD).unwrap();
    let mut published = Anchors::default();
    published.insert(ROOT, &checker()).unwrap();
    assert!(judge(&record, &published, None, &checker()).is_ok());
    let transcripts = record.shares().map(|(_, share)| share.transcript.clone()).collect();
    Sample { record, published, transcripts }
});

/// A transcript alone: what stands before its seal is as it was.
pub(super) fn transcript(input: &mut Input<'_>) {
    let texts = &SAMPLE.transcripts;
    let mut entries = lines(&texts[usize::from(input.byte()) % texts.len()]).unwrap();
    edit(&mut entries, input);
    let text = linked(&entries);
    if let Ok(believed) = lone(&text, &SAMPLE.published, None, &Ring) {
        genuine(&text);
        assert_eq!(believed.compared.len(), 1, "nothing was compared");
    }
    let Ok(share) = Share::read(&text) else { return };
    let (record, checker) = (&SAMPLE.record, checker());
    let plan = &record.plan;
    let items = plan.repositories.iter().map(|one| Item::check(one, plan.occasion, &checker).unwrap());
    let items: Vec<Item<'_>> = items.collect();
    if share.check((plan, &record.plan_digest), &items, &Ring).is_ok() {
        genuine(&text);
    }
}

/// A record: its plan, what was signed and what became of it are as they were.
pub(super) fn record(input: &mut Input<'_>) {
    let mut entries = lines(RECORD).unwrap();
    edit(&mut entries, input);
    let text = linked(&entries);
    let Ok(record) = Record::read(&text) else { return };
    let Ok(verdict) = judge(&record, &SAMPLE.published, None, &checker()) else { return };
    let sample = &SAMPLE.record;
    assert_eq!((&record.plan, record.plan_digest), (&sample.plan, sample.plan_digest));
    for (_, share) in record.shares() {
        genuine(&share.transcript);
    }
    assert_eq!(verdict.shares.len(), record.shares().count());
    assert_eq!(completed(&record), completed(sample));
    let planned = &sample.plan.repositories[0];
    for (_, one) in record.published() {
        assert_eq!((&one.repository, &one.server, one.version), (&planned.gun, &planned.server, 2));
    }
}

/// What stands before the seal is what one of the two sealed.
fn genuine(text: &str) {
    let before = |text: &str| text.trim_end().rsplit_once('\n').map(|(before, _)| before.to_owned());
    assert!(
        SAMPLE.transcripts.iter().any(|whole| before(whole) == before(text)),
        "a changed transcript is believed: {text}"
    );
}

/// The complete roots, by repository.
fn completed(record: &Record) -> BTreeMap<&Gun, Signed> {
    record.completed().map(|(_, one)| (&one.repository, Signed::of(one))).collect()
}

/// A complete root.
#[derive(Debug, PartialEq, Eq)]
struct Signed {
    document: Vec<u8>,
    /// In any order.
    signatures: BTreeSet<(KeyId, Vec<u8>)>,
    /// Who is said to have signed.
    signers: BTreeSet<KeyId>,
}

impl Signed {
    fn of(one: &Completed) -> Self {
        let file = Unverified::<Root>::parse(one.file.as_bytes()).unwrap();
        Self {
            document: file.signed_bytes().to_vec(),
            signatures: file.signatures().iter().map(|one| (one.key_id, one.bytes.clone())).collect(),
            signers: one.signers.iter().copied().collect(),
        }
    }
}

/// Up to eight orders: entries go, are doubled or change places; a field goes or becomes another one's.
fn edit(entries: &mut Vec<Map<String, Value>>, input: &mut Input<'_>) {
    for _ in 0..8 {
        if input.is_empty() || entries.is_empty() {
            return;
        }
        let (order, at) = (input.byte() % 8, usize::from(input.byte()) % entries.len());
        match order {
            0 => drop(entries.remove(at)),
            1 => entries.insert(usize::from(input.byte()) % (entries.len() + 1), entries[at].clone()),
            2 => {
                let other = usize::from(input.byte()) % entries.len();
                entries.swap(at, other);
            }
            3 => {
                let name = entries[at].keys().nth(usize::from(input.byte()) % 16).cloned();
                drop(name.and_then(|name| entries[at].remove(&name)));
            }
            4 => {
                let from = usize::from(input.byte()) % entries.len();
                let leaf = usize::from(input.byte());
                let mut other = Value::Object(entries[from].clone());
                let Some(value) = pick(&mut other, leaf).cloned() else { continue };
                change(&mut entries[at], input.byte(), |place| *place = value);
            }
            _ => {
                let leaf = input.byte();
                change(&mut entries[at], leaf, |place| alter(place, input));
            }
        }
    }
}

/// Another value of the same kind; what is a transcript is edited as one.
fn alter(place: &mut Value, input: &mut Input<'_>) {
    match place {
        Value::String(text) => match lines(text).filter(|inner| inner.len() > 1) {
            Some(mut inner) => {
                edit(&mut inner, input);
                *text = linked(&inner);
            }
            None if input.byte().is_multiple_of(2) => {
                *text = String::from_utf8_lossy(input.piece()).into_owned()
            }
            None => {
                let at = usize::from(input.number()) % text.chars().count().max(1);
                let with = char::from(input.byte() % 128);
                *text = text.chars().enumerate().map(|(here, c)| if here == at { with } else { c }).collect();
            }
        },
        Value::Number(_) => *place = Value::from(input.number()),
        Value::Bool(yes) => *yes = !*yes,
        Value::Null => *place = Value::from(String::from_utf8_lossy(input.piece()).into_owned()),
        Value::Array(values) => values.clear(),
        Value::Object(fields) => fields.clear(),
    }
}

fn change(entry: &mut Map<String, Value>, leaf: u8, with: impl FnOnce(&mut Value)) {
    let mut whole = Value::Object(std::mem::take(entry));
    if let Some(place) = pick(&mut whole, usize::from(leaf)) {
        with(place);
    }
    if let Value::Object(fields) = whole {
        *entry = fields;
    }
}

/// One of its values that hold no others, or an empty one.
fn pick(value: &mut Value, leaf: usize) -> Option<&mut Value> {
    fn collect<'v>(value: &'v mut Value, into: &mut Vec<&'v mut Value>) {
        let is_leaf = match &*value {
            Value::Object(fields) => fields.is_empty(),
            Value::Array(values) => values.is_empty(),
            _ => true,
        };
        match value {
            leaf if is_leaf => into.push(leaf),
            Value::Object(fields) => fields.values_mut().for_each(|one| collect(one, into)),
            Value::Array(values) => values.iter_mut().for_each(|one| collect(one, into)),
            _ => {}
        }
    }
    let mut leaves = Vec::new();
    collect(value, &mut leaves);
    let count = leaves.len().max(1);
    leaves.into_iter().nth(leaf % count)
}
