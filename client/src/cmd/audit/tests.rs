use serde_json::Map;
use touchmark_proto::audit::{GENESIS, hash, line};

use super::*;

fn record(count: u64) -> Vec<v1::AuditRow> {
    let mut previous = GENESIS;
    (1..=count)
        .map(|seq| {
            let mut event = Map::new();
            event.insert("kind".into(), "intent".into());
            let json = line(seq, 1000, event);
            let row = hash(&previous, &json);
            let out =
                v1::AuditRow { seq, hash: row.into(), previous: previous.into(), time_unix_ms: 1000, json };
            previous = row;
            out
        })
        .collect()
}

fn head(rows: &[v1::AuditRow], seq: usize) -> Head {
    Head { seq: seq as u64, hash: rows[seq - 1].hash.clone().try_into().unwrap() }
}

#[test]
fn an_unbroken_record_ends_at_its_head() {
    let rows = record(3);
    assert_eq!(follow(&rows, None).unwrap(), head(&rows, 3));
    assert_eq!(follow(&rows, Some(&head(&rows, 2))).unwrap(), head(&rows, 3));
    assert_eq!(follow(&[], None).unwrap(), Head::default());
}

#[test]
fn a_cut_tail_and_a_rewritten_record_are_rollbacks() {
    let rows = record(3);
    let seen = head(&rows, 3);
    let cut = follow(&rows[..2], Some(&seen)).unwrap_err();
    assert_eq!(broken(&cut).reason, Reason::Rollback);
    let other = Head { seq: 3, hash: [7; 32] };
    assert_eq!(broken(&follow(&rows, Some(&other)).unwrap_err()).reason, Reason::Rollback);
}

#[test]
fn a_changed_row_is_found() {
    let mut rows = record(3);
    rows[1].json = rows[1].json.replace("intent", "outcome");
    assert_eq!(broken(&follow(&rows, None).unwrap_err()).reason, Reason::HashMismatch);
}

#[test]
fn a_head_is_written_and_read_the_same_way() {
    let head = Head { seq: 7, hash: [0xab; 32] };
    assert_eq!(Head::parse(&format!("7:{}", head.hex())).unwrap(), head);
    for wrong in ["", "7", "7:", "x:00", &format!("7:{}0", head.hex())] {
        assert_eq!(Head::parse(wrong).unwrap_err().reason, Reason::Usage, "{wrong}");
    }
}

#[test]
fn a_signed_head_must_fit_the_record() {
    let rows = record(2);
    let signed = |seq: u64, hash: Vec<u8>| v1::SignedHead { seq, hash, ..Default::default() };
    for wrong in [signed(9, rows[1].hash.clone()), signed(2, vec![0; 32]), signed(2, rows[1].hash.clone())] {
        assert_eq!(check_signed(&rows, &wrong).unwrap_err().reason, Reason::SignatureInvalid);
    }
}
