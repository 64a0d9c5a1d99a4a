//! The tables, how they came about version by version, and the way a connection is set up.
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::StoreError;

/// `application_id` in the file's header: "TMRK".
const APPLICATION_ID: i32 = 0x544d_524b;
/// A daemon that is just ending may still hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Pages that the write-ahead log holds before they are moved into the database: 16 MiB, so that a page which changes
/// with each signature is moved seldom.
const CHECKPOINT_PAGES: i64 = 4000;

/// Each entry brings the database from the version before it to its own (1, 2, ..). Entries never change.
const MIGRATIONS: [&str; 1] = [include_str!("schema-1.sql")];

/// SQLite's word or ours.
pub(super) enum OpenError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Opens the file, which exists, and brings it to the newest schema.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Exclusive before WAL: so there is no shared-memory file, and nobody else reads half a truth.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(damaged(path, format!("its journal mode is {mode} and cannot be changed")));
    }
    for (name, value) in [("synchronous", "FULL"), ("foreign_keys", "ON"), ("trusted_schema", "OFF")] {
        connection.pragma_update(None, name, value)?;
    }
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // Nothing of the state goes into a temporary file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    // A statement stays compiled, whatever values it is given: else most are compiled again at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(damaged(path, state));
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = version(connection, path)?;
    if found > known {
        return Err(OpenError::Store(StoreError::Newer { path: path.to_owned(), found, known }));
    }
    let tx = connection.transaction()?;
    for (number, migration) in (1_i64..).zip(MIGRATIONS) {
        if number > found {
            tx.execute_batch(migration)?;
            tx.execute("INSERT INTO schema (version) VALUES (?1)", [number])?;
        }
    }
    if found == 0 {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.commit()?;
    Ok(())
}

/// 0: a new file.
fn version(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(damaged(path, "it belongs to another program".to_owned()));
    }
    let version =
        connection.query_row("SELECT max(version) FROM schema", [], |row| row.get(0)).optional()?.flatten();
    version.ok_or_else(|| damaged(path, "it has no schema version".to_owned()))
}

fn damaged(path: &Path, why: String) -> OpenError {
    OpenError::Store(StoreError::Damaged { path: path.to_owned(), why })
}
