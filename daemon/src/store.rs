//! The one database: everything of the daemon that must not go back. Knows SQL, files and the clock; knows neither
//! policy nor documents nor keys in the clear. See `docs/formats.md`, "The database".
pub mod certificates;
mod column;
pub mod documents;
pub mod keys;
pub mod meta;
pub mod pins;
mod place;
pub mod roots;
mod schema;
pub mod ways;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::audit::Refusals;
use crate::clock::Clock;
pub(crate) use column::Col;
use writer::{Finish, Job};
pub use writer::{Tx, View};

/// The database's file name in the state folder.
pub const FILE: &str = "touchmark.db";

/// Why the state cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing was written; a retry helps once there is.
    #[error("the disk that holds {} is full", .0.display())]
    Full(PathBuf),
    /// Reading, writing or syncing failed before: what is on the disk is not known any more, so nothing is written
    /// and nothing signed until the daemon is started again.
    #[error("{} cannot be trusted since an input/output error ({why}); mend the disk and start the daemon again", .path.display())]
    Broken {
        /// The database.
        path: PathBuf,
        /// What happened first.
        why: String,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: a daemon with this state runs already", .0.display())]
    InUse(PathBuf),
    /// Written by a newer version of this program.
    #[error("{} was written by a newer touchmarkd (schema {found}, this one knows {known}): use that one", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// Not ours, or damaged.
    #[error("{} is no state of touchmarkd, or it is damaged: {why}", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// File locks and syncs cannot be relied on there.
    #[error("{} is on {kind}: the state has to be on a local disk, since locks and syncs cannot be relied on there", .path.display())]
    Network {
        /// The state folder.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The folder or file cannot be used.
    #[error("{} cannot be used: {source}", .path.display())]
    Place {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The store was closed: the daemon is ending.
    #[error("the daemon is shutting down")]
    Closed,
    /// A statement failed for a reason that is our fault.
    #[error("a database statement failed: {0}")]
    Statement(String),
}

impl StoreError {
    /// Nothing may be read or written after this.
    const fn is_fatal(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Damaged { .. })
    }

    fn of_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(path),
            Some(ErrorCode::SystemIoFailure) => Self::Broken { path, why: error.to_string() },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, why: error.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse(path),
            _ => Self::Statement(error.to_string()),
        }
    }
}

/// The open database. Cheap to clone; all clones write through one thread.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    refusals: Refusals,
}

impl Store {
    /// Opens the database in `dir`, makes both where they are missing, and brings an older schema up to date.
    ///
    /// Blocks; what it finds out on the way (a moved state, versions that a crash left reserved) is audited.
    ///
    /// # Errors
    /// Where the place cannot be trusted, the database is newer, damaged or in use, or the disk is full.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let path = place::prepare(dir)?;
        let connection = schema::open(&path).map_err(|error| match error {
            schema::OpenError::Sqlite(error) => StoreError::of_sqlite(&path, &error),
            schema::OpenError::Store(error) => error,
        })?;
        Self::start(connection, path, clock)
    }

    fn start(connection: Connection, path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let identity = place::identity(&path)?;
        let (jobs, queue) = mpsc::channel();
        let mut writer = writer::Writer::new(connection, path.clone(), clock);
        writer.recover(&identity)?;
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|source| StoreError::Place { path, source: Arc::new(source) })?;
        Ok(Self { jobs, refusals: Refusals::default() })
    }

    /// Runs `job` in a transaction and returns when it is on the disk. Jobs that come at the same time share one
    /// sync; one that fails leaves no trace and does no harm to the others.
    ///
    /// # Errors
    /// The job's own, or that of the commit: then nothing of it was written.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_or(job, || ()).await
    }

    /// Like `write`. `lost` is called where the job was done and its transaction then failed, before any later job,
    /// whether or not somebody still waits.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) async fn write_or<T, E, F, L>(&self, job: F, lost: L) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        L: FnOnce() + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        self.send(Job::Write(Box::new(move |tx| match tx.map_err(E::from).and_then(job) {
            Ok(value) => Finish::commit(move |done| {
                if done.is_err() {
                    lost();
                }
                let _gone = answer.send(done.map(|()| value).map_err(E::from));
            }),
            Err(error) => Finish::undo(move || {
                let _gone = answer.send(Err(error));
            }),
        })))?;
        wait.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Like `write`, for a caller that does not wait: it goes to the disk with the next write that somebody waits for, or
    /// some milliseconds later, and a failure is logged. Later reads and writes see it.
    pub fn write_behind<E, F>(&self, what: &'static str, job: F)
    where
        F: FnOnce(&Tx<'_>) -> Result<(), E> + Send + 'static,
        E: From<StoreError> + std::fmt::Display + Send + 'static,
    {
        let failed = move |error: E| tracing::error!(%error, what, "a record could not be written");
        let sent = self.send(Job::Behind(Box::new(move |tx| match tx.map_err(E::from).and_then(job) {
            Ok(()) => Finish::commit(move |done| {
                if let Err(error) = done {
                    failed(error.into());
                }
            }),
            Err(error) => Finish::undo(move || failed(error)),
        })));
        if let Err(error) = sent {
            tracing::error!(%error, what, "a record could not be written");
        }
    }

    /// Like `write_behind`, for what must not get lost while the daemon runs: where there is no room, `job` runs again,
    /// before anything else is read or written, until there is.
    pub(crate) fn write_outcome<F>(&self, job: F)
    where
        F: Fn(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        if let Err(error) = self.send(Job::Outcome(Box::new(job))) {
            tracing::error!(%error, "the outcome of a signature could not be written");
        }
    }

    /// Runs `job` on what all writes before it left. What was written behind need not be on the disk yet; where that
    /// matters, use `read_settled`.
    ///
    /// # Errors
    /// The job's own, or that the store is closed or broken.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        self.send(Job::Read(Box::new(move |view| {
            let _gone = answer.send(view.map_err(E::from).and_then(job));
        })))?;
        wait.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Writes what is waiting, closes the file and returns when that is done. Later calls are refused.
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.send(Job::Close(done)).is_ok() {
            let _closed = wait.await;
        }
    }

    /// Like `read`, of what is on the disk: everything written before is brought there first.
    ///
    /// # Errors
    /// The job's own, or that the store is closed, full or broken.
    pub async fn read_settled<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| job(tx)).await
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).map_err(|_| StoreError::Closed)
    }
}

#[cfg(test)]
pub(crate) mod tests;
