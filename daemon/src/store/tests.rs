use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension as _, StatementStatus};
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{Gun, RoleName, Version};

use super::documents::{Kept, Source};
use super::meta::Setting;
use super::*;
use crate::audit::Event;
use crate::clock::FixedClock;

/// A state folder of its own, and a clock that stands still.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) start_ms: i64,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let start_ms = 1_700_000_000_000;
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(FixedClock::at(start_ms)), start_ms }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.state(), self.clock.clone())
    }

    /// The database through somebody else's eyes. The store has to be closed.
    pub(crate) fn sqlite(&self) -> Connection {
        Connection::open(self.state().join(FILE)).unwrap()
    }
}

async fn settings(store: &Store) -> Option<String> {
    store.read(|view| view.setting(Setting::Dev)).await.unwrap()
}

fn document(version: u64) -> (Gun, Kept) {
    let signed = format!("document {version}").into_bytes();
    let kept = Kept {
        role: RoleName::Targets,
        version: Version::try_from(version).unwrap(),
        digest: Sha256Digest::of(&signed),
        signed,
        signatures: Vec::new(),
        source: Source::Accepted,
        published: true,
        confirmed: true,
    };
    ("r.example.com/app".parse().unwrap(), kept)
}

#[tokio::test]
async fn what_is_written_is_there_after_a_new_start() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.write(|tx| tx.set_setting(Setting::Dev, "yes")).await.unwrap();
    let id = store.read(|view| view.state_id()).await.unwrap();
    store.close().await;
    assert!(matches!(store.read(|view| view.state_id()).await, Err(StoreError::Closed)));
    let store = fixture.open();
    assert_eq!(settings(&store).await.as_deref(), Some("yes"));
    assert_eq!(store.read(|view| view.state_id()).await.unwrap(), id);
    assert_eq!(
        store.read(|view| view.audit_head()).await.unwrap().seq,
        0,
        "an ordinary start has nothing to tell"
    );
}

#[tokio::test]
async fn folder_and_files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    let store = fixture.open();
    store.write(|tx| tx.set_setting(Setting::Dev, "yes")).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.state()), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(fixture.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "database and write-ahead log: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn only_one_process_has_the_state() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert!(matches!(fixture.try_open(), Err(StoreError::InUse(_))));
    store.close().await;
    fixture.open();
}

#[tokio::test]
async fn newer_and_foreign_databases_are_refused_with_words() {
    let fixture = Fixture::new();
    fixture.open().close().await;
    fixture.sqlite().execute("INSERT INTO schema VALUES (99)", []).unwrap();
    let error = fixture.try_open().err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }));
    assert!(error.to_string().ends_with("use that one"), "{error}");

    let foreign = Fixture::new();
    std::fs::create_dir(foreign.state()).unwrap();
    foreign.sqlite().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1);").unwrap();
    assert!(matches!(foreign.try_open(), Err(StoreError::Damaged { .. })));

    let garbage = Fixture::new();
    std::fs::create_dir(garbage.state()).unwrap();
    std::fs::write(garbage.state().join(FILE), [7; 4096]).unwrap();
    assert!(matches!(garbage.try_open(), Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_symbolic_link_in_place_of_the_file_is_refused() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.state()).unwrap();
    std::os::unix::fs::symlink(fixture.dir.path().join("elsewhere"), fixture.state().join(FILE)).unwrap();
    assert!(matches!(fixture.try_open(), Err(StoreError::Place { .. })));
}

#[tokio::test]
async fn a_job_that_fails_or_panics_harms_no_other_of_its_group() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (gate, held) = std::sync::mpsc::channel::<()>();
    // While this read holds the thread, the others pile up into one group.
    let holder = tokio::spawn({
        let store = store.clone();
        async move { store.read(move |_| held.recv().map_err(|_| StoreError::Closed)).await }
    });
    let mut jobs = Vec::new();
    for number in 0..12_u64 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move {
            store
                .write(move |tx| {
                    tx.append(&Event::LedgerRecovered { count: number })?;
                    match number % 4 {
                        1 => Err(StoreError::Statement("on purpose".to_owned())),
                        2 => panic!("on purpose"),
                        _ => Ok(number),
                    }
                })
                .await
        }));
    }
    tokio::task::yield_now().await;
    gate.send(()).unwrap();
    holder.await.unwrap().unwrap();
    for (number, job) in (0..).zip(jobs) {
        match (number % 4, job.await.unwrap()) {
            (1, Err(StoreError::Statement(_))) | (2, Err(StoreError::Closed)) => {}
            (0 | 3, Ok(answer)) => assert_eq!(answer, number),
            (_, other) => panic!("{number}: {other:?}"),
        }
    }
    let rows = store.read(|view| view.audit_rows(0, 100)).await.unwrap();
    assert_eq!(rows.len(), 6, "the rows of those that failed are gone");
}

#[tokio::test]
async fn jobs_that_wait_share_one_transaction() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (gate, held) = std::sync::mpsc::channel::<()>();
    let holder = tokio::spawn({
        let store = store.clone();
        async move { store.read(move |_| held.recv().map_err(|_| StoreError::Closed)).await }
    });
    let jobs: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.write(|tx| Ok::<_, StoreError>(tx.group())).await })
        })
        .collect();
    tokio::task::yield_now().await;
    gate.send(()).unwrap();
    holder.await.unwrap().unwrap();
    let mut groups = Vec::new();
    for job in jobs {
        groups.push(job.await.unwrap().unwrap());
    }
    groups.dedup();
    assert_eq!(groups.len(), 1, "{groups:?}");
}

#[tokio::test]
async fn what_is_written_behind_is_seen_at_once_and_reaches_the_disk() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.write_behind::<StoreError, _>("a test", |tx| tx.set_setting(Setting::Dev, "yes"));
    assert_eq!(settings(&store).await.as_deref(), Some("yes"));
    let behind = store.read(|view| Ok::<_, StoreError>(view.group())).await.unwrap();
    let with = store.write(|tx| Ok::<_, StoreError>(tx.group())).await.unwrap();
    assert!(with <= behind + 1, "it rides along, or was quicker: {behind} {with}");
    store.write_behind::<StoreError, _>("a test", |tx| tx.set_setting(Setting::Dev, "still"));
    drop(store);
    // The last handle is gone; the thread writes what it has and closes.
    let store = loop {
        match fixture.try_open() {
            Ok(store) => break store,
            Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(settings(&store).await.as_deref(), Some("still"));
}

#[tokio::test]
async fn a_moved_state_is_told_and_doubted() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (gun, kept) = document(3);
    store.write(move |tx| tx.accept(&gun, &kept)).await.unwrap();
    store.close().await;
    // A copy is another file.
    let file = fixture.state().join(FILE);
    let copy = fixture.dir.path().join("copy");
    std::fs::copy(&file, &copy).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    let store = fixture.open();
    let (gun, _) = document(3);
    let kept = store.read(move |view| view.kept(&gun, &RoleName::Targets)).await.unwrap().unwrap();
    assert!(!kept.confirmed);
    let rows = store.read(|view| view.audit_rows(0, 10)).await.unwrap();
    assert!(rows[0].json.contains("state-moved"), "{rows:?}");
    // Said once, and then known.
    store.close().await;
    let store = fixture.open();
    assert_eq!(store.read(|view| view.audit_head()).await.unwrap().seq, 1);
}

#[tokio::test]
async fn a_clock_that_went_back_is_noticed() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let behind = || store.write(|tx| tx.clock_behind_ms());
    fixture.clock.shift(600_000);
    assert_eq!(behind().await.unwrap(), None);
    fixture.clock.shift(-240_000);
    assert_eq!(behind().await.unwrap(), None);
    fixture.clock.shift(-120_000);
    assert_eq!(behind().await.unwrap(), Some(360_000));
    store.close().await;
    assert_eq!(fixture.open().write(|tx| tx.clock_behind_ms()).await.unwrap(), Some(360_000));
}

#[tokio::test]
async fn a_configured_pin_is_tried_once_however_often_the_daemon_starts() {
    let fixture = Fixture::new();
    let mut sent = 0;
    for _ in 0..5 {
        let store = fixture.open();
        if store.write(|tx| tx.pin_tried("serial", "file:/pin")).await.unwrap() {
            sent += 1;
        }
        store.close().await;
    }
    assert_eq!(sent, 1);
    let store = fixture.open();
    assert!(store.read(|view| view.may_try_pin("serial", "credential:other")).await.unwrap());
    assert!(!store.read(|view| view.may_try_pin("serial", "file:/pin")).await.unwrap());
    // A person unlocked.
    store.write(|tx| tx.pin_accepted("serial", None)).await.unwrap();
    assert!(store.write(|tx| tx.pin_tried("serial", "file:/pin")).await.unwrap());
}

#[tokio::test]
async fn only_the_last_two_documents_of_a_role_are_kept() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for version in 1..=5 {
        let (gun, kept) = document(version);
        store.write(move |tx| tx.accept(&gun, &kept)).await.unwrap();
    }
    let (gun, last) = document(5);
    assert_eq!(store.read(move |view| view.kept(&gun, &RoleName::Targets)).await.unwrap(), Some(last));
    store.close().await;
    let versions: Vec<i64> = fixture
        .sqlite()
        .prepare("SELECT version FROM documents ORDER BY version")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(versions, [4, 5]);
}

#[tokio::test]
async fn a_full_disk_is_named_and_a_retry_helps_once_there_is_room() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let pages = |count: u32| {
        store.write(move |tx| {
            let set = tx
                .sql()
                .query_row(&format!("PRAGMA max_page_count = {count}"), [], |row| row.get::<_, i64>(0));
            set.map_err(|error| tx.fault(error))
        })
    };
    pages(1).await.unwrap(); // as many as there are
    let fill = || async {
        for version in 1..100 {
            let (gun, mut kept) = document(version);
            kept.signed = vec![7; 100_000];
            store.write(move |tx| tx.accept(&gun, &kept)).await?;
        }
        Ok::<_, StoreError>(())
    };
    let error = fill().await.unwrap_err();
    assert!(matches!(&error, StoreError::Full(path) if *path == fixture.state().join(FILE)), "{error}");
    assert!(error.to_string().starts_with("the disk that holds /"), "{error}");
    pages(100_000).await.unwrap();
    fill().await.unwrap();
}

#[tokio::test]
async fn an_outcome_that_found_no_room_is_written_once_there_is() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let room = Arc::new(AtomicBool::new(false));
    let ran = Arc::new(AtomicU64::new(0));
    let (has_room, runs) = (Arc::clone(&room), Arc::clone(&ran));
    store.write_outcome(move |tx| {
        runs.fetch_add(1, Ordering::SeqCst);
        tx.set_setting(Setting::Dev, "kept")?;
        if has_room.load(Ordering::SeqCst) { Ok(()) } else { Err(full(tx)) }
    });
    let lost = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lost);
    let with_it =
        store.write_or(|tx| tx.append(&Event::Stop {}), move || seen.store(true, Ordering::SeqCst)).await;
    assert!(matches!(with_it, Err(StoreError::Full(_))), "{with_it:?}");
    assert!(!lost.load(Ordering::SeqCst), "what never began is not lost");
    assert!(ran.load(Ordering::SeqCst) >= 2);
    room.store(true, Ordering::SeqCst);
    assert_eq!(settings(&store).await.as_deref(), Some("kept"), "a read has it written first");
    store.write(|tx| tx.append(&Event::Stop {})).await.unwrap();
    let written = ran.load(Ordering::SeqCst);
    store.write(|tx| tx.append(&Event::Stop {})).await.unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), written, "and once is enough");
}

#[tokio::test]
async fn whoever_was_done_with_a_transaction_that_failed_is_told_first() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let lost = Arc::new(AtomicBool::new(false));
    let (seen, told) = (Arc::clone(&lost), Arc::clone(&lost));
    // Both in one transaction: the second one finds no room.
    let first = store.write_or(|tx| tx.append(&Event::Stop {}), move || seen.store(true, Ordering::SeqCst));
    let second = store.write::<(), _, _>(|tx| Err(full(tx)));
    let third = store.read(move |_| Ok::<_, StoreError>(told.load(Ordering::SeqCst)));
    let (first, second, third) = tokio::join!(first, second, third);
    assert!(matches!(second, Err(StoreError::Full(_))));
    assert_eq!(matches!(first, Err(StoreError::Full(_))), third.unwrap());
}

/// As SQLite says it.
fn full(tx: &Tx<'_>) -> StoreError {
    tx.fault(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None))
}

#[tokio::test]
async fn a_clock_that_was_ahead_once_can_be_believed_again() {
    let fixture = Fixture::new();
    let store = fixture.open();
    fixture.clock.shift(3_600_000);
    store.write(|tx| tx.clock_behind_ms()).await.unwrap();
    fixture.clock.shift(-3_600_000);
    // A transaction that fails forgets nothing of it.
    let _failed = store.write::<(), _, _>(|tx| Err(full(tx))).await;
    assert_eq!(store.write(|tx| tx.clock_behind_ms()).await.unwrap(), Some(3_600_000));
    assert_eq!(store.write(|tx| tx.believe_clock()).await.unwrap(), 3_600_000);
    assert_eq!(store.write(|tx| tx.clock_behind_ms()).await.unwrap(), None);
    fixture.clock.shift(-600_000);
    assert_eq!(store.write(|tx| tx.clock_behind_ms()).await.unwrap(), Some(600_000));
}

#[tokio::test]
async fn after_an_input_output_error_nothing_is_read_or_written() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let broken = store
        .write(|tx| {
            tx.set_setting(Setting::Dev, "half")?;
            let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            Err::<(), _>(tx.fault(rusqlite::Error::SqliteFailure(failed, None)))
        })
        .await;
    assert!(matches!(broken, Err(StoreError::Broken { .. })), "{broken:?}");
    assert!(matches!(store.write(|tx| tx.audit_head()).await, Err(StoreError::Broken { .. })));
    assert!(matches!(store.read(|view| view.audit_head()).await, Err(StoreError::Broken { .. })));
    store.close().await;
    assert_eq!(settings(&fixture.open()).await, None, "a new start reads what is on the disk");
}

/// Compiling a statement takes longer than running it, and SQLite does it again for some when a value is bound.
#[tokio::test]
async fn statements_are_compiled_once() {
    let store = Fixture::new().open();
    let compiled_again = store.read(|view| {
        let again = |gun: &str| {
            let mut statement =
                view.sql().prepare_cached("SELECT gun FROM key_guns WHERE key = ?1 ORDER BY gun")?;
            statement.query_row([gun], |_| Ok(())).optional()?;
            Ok(statement.get_status(StatementStatus::RePrepare))
        };
        ["a", "b", "c"]
            .map(again)
            .into_iter()
            .sum::<rusqlite::Result<i32>>()
            .map_err(|error| view.fault(error))
    });
    assert_eq!(compiled_again.await.unwrap(), 0);
}
