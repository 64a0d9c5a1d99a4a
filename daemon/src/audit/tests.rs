use touchmark_proto::audit::{Chain, ChainError};

use super::*;
use crate::store::tests::Fixture;

async fn fill(store: &crate::store::Store, count: u64) -> Receipt {
    store
        .write(move |tx| {
            (0..count)
                .map(|count| tx.append(&Event::LedgerRecovered { count }))
                .last()
                .unwrap_or_else(|| tx.audit_head())
        })
        .await
        .unwrap()
}

fn follow(rows: &[AuditRow]) -> Result<(u64, [u8; 32]), ChainError> {
    let mut chain = Chain::default();
    rows.iter().try_for_each(|row| chain.push(row))?;
    chain.finish()
}

#[tokio::test]
async fn rows_form_a_chain_that_a_client_can_follow() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let head = fill(&store, 5).await;
    let rows = store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert_eq!(follow(&rows), Ok((head.seq, head.hash)));
    let tail = store.read(|view| view.audit_rows(4, 1)).await.unwrap();
    assert_eq!(tail[0], rows[3]);
}

/// The last row is remembered between jobs; what was undone must not be.
#[tokio::test]
async fn a_job_that_is_undone_leaves_no_gap_in_the_chain() {
    let fixture = Fixture::new();
    let store = fixture.open();
    fill(&store, 2).await;
    let undone = |tx: &Tx<'_>| {
        tx.append(&Event::LedgerRecovered { count: 9 })?;
        Err::<(), _>(StoreError::Statement("on purpose".to_owned()))
    };
    assert!(matches!(store.write(undone).await, Err(StoreError::Statement(_))));
    let panicking = |tx: &Tx<'_>| -> Result<(), StoreError> {
        tx.append(&Event::LedgerRecovered { count: 9 })?;
        panic!("on purpose")
    };
    assert!(matches!(store.write(panicking).await, Err(StoreError::Closed)));
    let head = fill(&store, 2).await;
    let rows = store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert_eq!((rows.len(), follow(&rows)), (4, Ok((head.seq, head.hash))));
}

#[tokio::test]
async fn rows_can_be_neither_changed_nor_deleted_nor_replaced() {
    let fixture = Fixture::new();
    let store = fixture.open();
    fill(&store, 3).await;
    store.close().await;
    let other = fixture.sqlite();
    for (sql, why) in [
        ("DELETE FROM audit WHERE seq = 3", "never deleted"),
        ("UPDATE audit SET json = '{}' WHERE seq = 2", "never changed"),
        (
            "INSERT OR REPLACE INTO audit SELECT seq, hash, time, '{}' FROM audit WHERE seq = 2",
            "only appended",
        ),
        ("INSERT INTO audit SELECT 9, hash, time, json FROM audit WHERE seq = 2", "only appended"),
    ] {
        let error = other.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_row_changed_behind_the_triggers_shows() {
    let fixture = Fixture::new();
    let store = fixture.open();
    fill(&store, 4).await;
    store.close().await;
    let other = fixture.sqlite();
    other.execute_batch("DROP TRIGGER audit_keeps_text; DROP TRIGGER audit_keeps_rows;").unwrap();
    other
        .execute("UPDATE audit SET json = replace(json, '\"count\":1', '\"count\":7') WHERE seq = 2", [])
        .unwrap();
    drop(other);
    let store = fixture.open();
    let rows = store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert_eq!(follow(&rows), Err(ChainError::Hash { seq: 2 }));
}

#[tokio::test]
async fn refusals_are_counted_and_audited_once_a_minute() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let refuse = |uid| store.refused(uid, "NOT_ALLOWED", "no\u{202e}");
    for _ in 0..5 {
        refuse(7);
    }
    refuse(8);
    assert_eq!(store.read(|view| view.audit_head()).await.unwrap().seq, 2);
    fixture.clock.shift(60_000);
    refuse(7);
    assert_eq!(store.read(|view| view.audit_head()).await.unwrap().seq, 3);
    let counts = store.read(|view| view.refusals(0)).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|c| (c.uid, c.count)).collect();
    assert_eq!(counts, [(7, 1), (7, 5), (8, 1)]);
}

#[tokio::test]
async fn a_row_is_one_line_of_ascii() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let event = Event::Refused { uid: 1, reason: "NOT_ALLOWED", message: "é\n\u{2028}".to_owned() };
    store.write(move |tx| tx.append(&event)).await.unwrap();
    let rows = store.read(|view| view.audit_rows(0, 1)).await.unwrap();
    assert_eq!(
        rows[0].json,
        format!(
            r#"{{"kind":"refused","message":"\u00e9\u000a\u2028","reason":"NOT_ALLOWED","seq":1,"time":{},"uid":1}}"#,
            fixture.start_ms
        )
    );
}
