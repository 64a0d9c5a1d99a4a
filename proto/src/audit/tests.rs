use serde_json::json;

use super::*;

fn event(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => panic!("not an object"),
    }
}

/// Rows 1 to `count`, well chained.
fn rows(count: u64) -> Vec<AuditRow> {
    let mut previous = GENESIS;
    (1..=count)
        .map(|seq| {
            let time = 1_000 + i64::try_from(seq).unwrap();
            let json = line(seq, time, event(json!({"kind": "intent", "tag": format!("v{seq}")})));
            let hash = hash(&previous, &json);
            let row =
                AuditRow { seq, hash: hash.to_vec(), previous: previous.to_vec(), time_unix_ms: time, json };
            previous = hash;
            row
        })
        .collect()
}

fn follow(chain: Chain, rows: &[AuditRow]) -> Result<(u64, [u8; 32]), ChainError> {
    let mut chain = chain;
    rows.iter().try_for_each(|row| chain.push(row))?;
    chain.finish()
}

#[test]
fn a_line_is_sorted_ascii_without_spaces() {
    let event = event(json!({"z": [1, {"b": true, "a": null}], "kind": "x", "a": "é\"\\\u{202e}\n😀"}));
    assert_eq!(
        line(7, -3, event),
        r#"{"a":"\u00e9\"\\\u202e\u000a\ud83d\ude00","kind":"x","seq":7,"time":-3,"z":[1,{"a":null,"b":true}]}"#
    );
}

#[test]
fn a_line_reads_back_as_what_was_written() {
    let written = event(json!({"kind": "x", "name": "é\u{2028}\t\u{0}", "n": 9_007_199_254_740_991_u64}));
    let mut read = fields(&line(1, 2, written.clone())).unwrap();
    assert_eq!((read.remove("seq"), read.remove("time")), (Some(json!(1)), Some(json!(2))));
    assert_eq!(read, written);
}

#[test]
fn a_whole_chain_is_followed_and_a_part_after_a_known_row() {
    let rows = rows(5);
    let (seq, head) = follow(Chain::default(), &rows).unwrap();
    assert_eq!((seq, head.to_vec()), (5, rows[4].hash.clone()));
    let known = rows[2].hash.clone().try_into().unwrap();
    assert_eq!(follow(Chain::after(3, known), &rows[3..]), Ok((5, head)));
}

#[test]
fn every_change_to_a_row_is_seen() {
    let good = rows(5);
    let changed = |change: &dyn Fn(&mut Vec<AuditRow>)| {
        let mut rows = good.clone();
        change(&mut rows);
        follow(Chain::default(), &rows).unwrap_err()
    };
    assert_eq!(changed(&|rows| rows[2].json = rows[2].json.replace("v3", "v9")), ChainError::Hash { seq: 3 });
    assert_eq!(changed(&|rows| rows[2].hash[0] ^= 1), ChainError::Hash { seq: 3 });
    assert_eq!(changed(&|rows| rows[2].time_unix_ms += 1), ChainError::Malformed { seq: 3 });
    assert_eq!(changed(&|rows| drop(rows.remove(2))), ChainError::Sequence { wanted: 3, got: 4 });
    assert_eq!(changed(&|rows| rows.swap(1, 2)), ChainError::Sequence { wanted: 2, got: 3 });
    // Changed and hashed anew: the next row tells.
    let rehashed = changed(&|rows| {
        rows[2].json = rows[2].json.replace("v3", "v9");
        rows[2].hash = hash(&rows[1].hash.clone().try_into().unwrap(), &rows[2].json).to_vec();
    });
    assert_eq!(rehashed, ChainError::Previous { seq: 4 });
}

#[test]
fn a_cut_tail_and_a_rewritten_record_show_against_a_head_seen_before() {
    let rows = rows(5);
    let head = rows[4].hash.clone().try_into().unwrap();
    let expecting = Chain::default().expecting(5, head);
    assert!(follow(expecting.clone(), &rows).is_ok());
    assert_eq!(follow(expecting, &rows[..4]), Err(ChainError::Truncated { end: 4, expected: 5 }));
    let other = Chain::default().expecting(4, [9; 32]);
    assert_eq!(follow(other, &rows), Err(ChainError::Rewritten { seq: 4 }));
}

#[test]
fn an_exported_line_reads_back() {
    for row in rows(3) {
        assert_eq!(import(&export(&row)), Some(row));
    }
    for bad in ["", "{}", "{\"hash\":\"00\"}", "{\"hash\":\"é"] {
        assert_eq!(import(bad), None, "{bad}");
    }
}

#[test]
fn a_head_message_is_its_label_number_and_hash() {
    let message = head_message(258, &[7; 32]);
    assert_eq!(&message[..24], b"touchmark audit head v1\n");
    assert_eq!(message[24..32], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(message[32..], [7; 32]);
}
