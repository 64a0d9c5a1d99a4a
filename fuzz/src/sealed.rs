//! What the daemon keeps: sealed keys, ways to open the vault, backups, and rows of its database with anything in them.
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use rusqlite::types::Value;
use rusqlite::{ToSql, params_from_iter};
use touchmarkd::clock::FixedClock;
use touchmarkd::doors;
use touchmarkd::store::{Store, StoreError};
use touchmarkd::vault::{MemoryError, Sealed, SecretBuf, Vault, VaultError, Way, WayAsk};

use crate::place::with_folder;
use crate::{Input, memory, runtime};

/// The first byte: a sealed key, a way, a backup, or rows.
pub fn sealed(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => {
            let bytes = input.rest();
            if let Ok(sealed) = Sealed::from_bytes(bytes) {
                assert_eq!(sealed.to_bytes(), bytes);
            }
        }
        1 => way(input.rest()),
        2 => backup(input.rest()),
        _ => rows(&mut input),
    }
}

/// One vault with three ways to open it, as version 1 wrote them.
static SAMPLE: LazyLock<BTreeMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let text = include_str!("../../daemon/src/vault/samples/version-1.txt");
    let unhex = |text: &str| {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, hex)| (name, unhex(hex)))
        .collect()
});

fn way(bytes: &[u8]) {
    let Ok(way) = Way::from_bytes(bytes) else { return };
    assert_eq!(way.to_bytes(), bytes);
    let (right, answer) = match way.ask() {
        WayAsk::Ecdh { .. } => ("way-ecdh", "answer-ecdh"),
        WayAsk::RsaOaep { .. } => ("way-oaep", "answer-oaep"),
        WayAsk::Passphrase => return, // Argon2id takes its time
    };
    let mut secret = SecretBuf::new(&memory(), 32).unwrap();
    secret.extend_from_slice(&SAMPLE[answer]).unwrap();
    let opened = Vault::new(memory()).open(&way, &secret);
    assert!(!matches!(opened, Err(VaultError::Memory(MemoryError::Panicked))));
    assert_eq!(opened.is_ok(), bytes == SAMPLE[right], "only the way itself opens, to the byte");
}

fn backup(bytes: &[u8]) {
    let Ok(written) = doors::backup(bytes) else { return };
    let again = doors::backup(&written).expect("what is written is read");
    assert!(again == written, "a backup changes when it is read");
}

/// A store whose files nobody sees: the folder goes as soon as they are open.
static STORE: LazyLock<Store> = LazyLock::new(|| {
    with_folder(|folder| {
        let store = Store::open(&folder.join("state"), Arc::new(FixedClock::at(1_700_000_000_000))).unwrap();
        assert!(runtime().block_on(store.read(|view| view.keys())).is_ok());
        store
    })
});

/// Tables and how many columns each has.
const TABLES: [(&str, usize); 9] = [
    ("keys", 11),
    ("key_guns", 2),
    ("ways", 7),
    ("certificates", 4),
    ("roots", 3),
    ("documents", 8),
    ("document_signatures", 7),
    ("ledger", 7),
    ("token_pins", 4),
];

/// Writes rows that the program would not, and reads everything: words, never a panic, and the store goes on.
fn rows(input: &mut Input<'_>) {
    let mut inserts = Vec::new();
    while !input.is_empty() && inserts.len() < 12 {
        let (table, columns) = TABLES[usize::from(input.byte()) % TABLES.len()];
        let marks = vec!["?"; columns].join(",");
        let values: Vec<Value> = (0..columns).map(|_| value(input)).collect();
        inserts.push((format!("INSERT INTO {table} VALUES ({marks})"), values));
    }
    let job = move |tx: &touchmarkd::store::Tx<'_>| -> Result<(), StoreError> {
        let sql = doors::sql(tx);
        for (insert, values) in &inserts {
            let values = values.iter().map(|value| value as &dyn ToSql);
            drop(sql.prepare_cached(insert).and_then(|mut insert| insert.execute(params_from_iter(values))));
        }
        let gun = GUN.parse().unwrap();
        drop(tx.keys());
        drop(tx.ways());
        drop(tx.way_count());
        drop(tx.kept_roles(&gun));
        drop(tx.trusted_root(&gun));
        Err(StoreError::Closed) // undone
    };
    assert!(matches!(runtime().block_on(STORE.write(job)), Err(StoreError::Closed)));
    let read = runtime().block_on(STORE.read(|view| view.keys()));
    assert!(matches!(read.as_deref(), Ok([])), "nothing of it stays, and the store goes on: {read:?}");
}

const GUN: &str = "docker.io/library/a";

/// What columns are likely to hold, or anything.
fn value(input: &mut Input<'_>) -> Value {
    match input.byte() % 16 {
        0 => Value::Null,
        1 => Value::Integer(i64::from(input.byte())),
        2 => Value::Integer(i64::from_le_bytes(input.take(8).try_into().unwrap_or([0xff; 8]))),
        3 => Value::Text(String::from_utf8_lossy(input.piece()).into_owned()),
        4 => Value::Blob(input.piece().to_vec()),
        5 => Value::Blob(vec![input.byte(); 32]),
        6 => Value::Text(GUN.to_owned()),
        7 => Value::Text(
            ["root", "targets", "snapshot", "timestamp", "audit", "targets/a"][usize::from(input.byte() % 6)]
                .to_owned(),
        ),
        8 => Value::Text(
            ["generated", "imported", "found", "signed", "accepted", "released", "reserved", "ecdsa"]
                [usize::from(input.byte() % 8)]
            .to_owned(),
        ),
        9 => Value::Blob(SAMPLE["sealed"].clone()),
        10 => Value::Blob(SAMPLE["way-ecdh"].clone()),
        11 => Value::Blob(spki()),
        12 => Value::Real(f64::from(input.byte())),
        13 => Value::Integer(1),
        14 => Value::Blob([SAMPLE["sealed"].as_slice(), input.piece()].concat()),
        _ => Value::Text(String::new()),
    }
}

fn spki() -> Vec<u8> {
    let point = SAMPLE["public"].as_slice().try_into().unwrap();
    touchmark_tuf::PublicKey::from_p256_point(point).spki().unwrap()
}
