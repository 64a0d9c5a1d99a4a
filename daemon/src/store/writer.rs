//! The thread that owns the connection: group commit, savepoints, and no word after a failed sync.
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;
use super::place::Identity;
use crate::audit::{Event, Receipt};
use crate::clock::Clock;

/// The most jobs that share one sync.
const GROUP_MAX: usize = 256;
/// How long what nobody waits for may wait for company.
const LINGER: Duration = Duration::from_millis(10);
/// How soon what found no room is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The largest time seen is noted when it has grown by this.
const CLOCK_STEP_MS: i64 = 30_000;

/// The database as all jobs before this one left it.
pub struct View<'c> {
    pub(super) connection: &'c Connection,
    path: &'c Path,
    now_ms: i64,
    fault: RefCell<Option<StoreError>>,
    group: u64,
    /// The audit's last row, where it is known.
    pub(crate) audit_head: &'c Cell<Option<Receipt>>,
}

impl View<'_> {
    /// Milliseconds since 1970, as the clock stood when this job began.
    #[must_use]
    pub const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// What a failed statement means here. What harms more than its own job is also told to the writer.
    pub(crate) fn fault(&self, error: rusqlite::Error) -> StoreError {
        let error = StoreError::of_sqlite(self.path, &error);
        if error.is_fatal() || matches!(error, StoreError::Full(_)) {
            self.fault.borrow_mut().get_or_insert_with(|| error.clone());
        }
        error
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        let ran = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        ran.map(|_| ()).map_err(|error| self.fault(error))
    }

    /// The number of the transaction, counted since the start: what has the same number reaches the disk together.
    #[must_use]
    pub const fn group(&self) -> u64 {
        self.group
    }

    /// The connection, for the rooms that keep tables here.
    pub(crate) const fn sql(&self) -> &Connection {
        self.connection
    }
}

/// A transaction: everything that a `View` can do, and writing.
pub struct Tx<'c>(View<'c>);

impl<'c> Deref for Tx<'c> {
    type Target = View<'c>;
    fn deref(&self) -> &View<'c> {
        &self.0
    }
}

/// How a job ends: whether its savepoint stays, and who is told when the group is on the disk.
pub(super) enum Finish {
    Commit(Box<dyn FnOnce(Result<(), StoreError>) + Send>),
    Undo(Box<dyn FnOnce() + Send>),
}

impl Finish {
    pub(super) fn commit(tell: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Self {
        Self::Commit(Box::new(tell))
    }

    pub(super) fn undo(tell: impl FnOnce() + Send + 'static) -> Self {
        Self::Undo(Box::new(tell))
    }

    fn tell(self, done: Result<(), StoreError>) {
        match self {
            Self::Commit(tell) => tell(done),
            Self::Undo(tell) => tell(),
        }
    }
}

type ReadJob = Box<dyn for<'c> FnOnce(Result<&View<'c>, StoreError>) + Send>;
type WriteJob = Box<dyn for<'c> FnOnce(Result<&Tx<'c>, StoreError>) -> Finish + Send>;
type OutcomeJob = Box<dyn for<'c> Fn(&Tx<'c>) -> Result<(), StoreError> + Send>;

pub(super) enum Job {
    Read(ReadJob),
    /// Somebody waits for it to be on the disk.
    Write(WriteJob),
    /// Nobody does: it goes to the disk with the next one that somebody waits for, or a little later.
    Behind(WriteJob),
    /// Nobody does either, and it must not get lost: where there is no room it is done again, before all else.
    Outcome(OutcomeJob),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    broken: Option<StoreError>,
    /// Those who are told when the open transaction ends.
    told: Vec<Finish>,
    /// Outcomes that are not on the disk yet, in order: those of the open transaction, or those that found no room.
    outcomes: Vec<OutcomeJob>,
    /// Which transaction it is.
    group: u64,
    /// The audit's last row as the open transaction has it; not known after anything was undone.
    audit_head: Cell<Option<Receipt>>,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            connection,
            path,
            clock,
            broken: None,
            told: Vec::new(),
            outcomes: Vec::new(),
            group: 0,
            audit_head: Cell::new(None),
        }
    }

    /// What a start has to put right: a state that was moved or restored, and versions that a crash left reserved.
    pub(super) fn recover(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let identity = identity.clone();
        let (answer, outcome) = channel();
        self.write(Box::new(move |tx| match tx.and_then(|tx| recover(tx, &identity)) {
            Ok(()) => Finish::commit(move |done| {
                let _gone = answer.send(done);
            }),
            Err(error) => Finish::undo(move || {
                let _gone = answer.send(Err(error));
            }),
        }));
        self.commit();
        outcome.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Takes jobs, in order, until the last handle is gone or the store is closed.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let first = match (self.connection.is_autocommit(), self.outcomes.is_empty()) {
                (true, true) => queue.recv().map_err(RecvTimeoutError::from),
                (true, false) => queue.recv_timeout(AGAIN),
                (false, _) => queue.recv_timeout(LINGER),
            };
            let mut next = match first {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.catch_up();
                    None
                }
                Err(RecvTimeoutError::Disconnected) => return self.commit(),
            };
            // What has come meanwhile goes into one transaction.
            let mut due = next.is_none();
            let mut count = 0;
            while let Some(job) = next {
                match job {
                    Job::Read(job) => self.read(job),
                    Job::Behind(job) => self.write(job),
                    Job::Outcome(job) => self.outcome(job),
                    Job::Write(job) => {
                        self.write(job);
                        due = true;
                    }
                    Job::Close(done) => {
                        self.catch_up();
                        self.commit();
                        drop(self);
                        let _gone = done.send(());
                        return;
                    }
                }
                count += 1;
                next = if count < GROUP_MAX { queue.try_recv().ok() } else { None };
            }
            if due || self.told.len() + self.outcomes.len() >= GROUP_MAX {
                self.commit();
            }
        }
    }

    fn view(&self) -> View<'_> {
        View {
            connection: &self.connection,
            path: &self.path,
            now_ms: self.clock.unix_ms(),
            fault: RefCell::new(None),
            group: self.group,
            audit_head: &self.audit_head,
        }
    }

    fn read(&mut self, job: ReadJob) {
        if let Some(error) = &self.broken {
            return job(Err(error.clone()));
        }
        self.catch_up();
        let view = self.view();
        // A job that panics answers nobody; its caller sees a closed store.
        let _panicked = catch_unwind(AssertUnwindSafe(|| job(Ok(&view))));
        let fault = view.fault.into_inner();
        self.note(fault.as_ref());
    }

    /// Runs a job in the open transaction; opens one where none is.
    fn write(&mut self, job: WriteJob) {
        let begun = match &self.broken {
            Some(error) => Err(error.clone()),
            None if self.connection.is_autocommit() => self.begin(),
            None => Ok(()),
        };
        if let Err(error) = begun {
            self.told.push(job(Err(error.clone())));
            return self.abort(&error);
        }
        let tx = Tx(self.view());
        let (finish, done) = in_savepoint(&tx, job);
        drop(tx);
        self.told.extend(finish);
        if let Err(error) = done {
            self.abort(&error);
        }
    }

    /// Opens a transaction; the outcomes that found no room before are its first part.
    fn begin(&mut self) -> Result<(), StoreError> {
        self.group += 1;
        let tx = Tx(self.view());
        tx.run("BEGIN IMMEDIATE")?;
        if tx.now_ms >= tx.clock_high_ms()?.saturating_add(CLOCK_STEP_MS) {
            tx.note_clock()?;
        }
        self.outcomes.iter().try_for_each(|job| settle(&tx, job))
    }

    /// Runs an outcome in the open transaction, and keeps it until that is on the disk.
    fn outcome(&mut self, job: OutcomeJob) {
        if self.broken.is_some() {
            return;
        }
        let open = !self.connection.is_autocommit();
        self.outcomes.push(job);
        let done = match self.outcomes.last() {
            Some(job) if open => settle(&Tx(self.view()), job),
            _ => self.begin(),
        };
        if let Err(error) = done {
            self.abort(&error);
        }
    }

    /// Tries again to write the outcomes that found no room.
    fn catch_up(&mut self) {
        if self.outcomes.is_empty() || !self.connection.is_autocommit() || self.broken.is_some() {
            return;
        }
        if let Err(error) = self.begin() {
            self.abort(&error);
        }
    }

    /// Brings the open transaction to the disk, and only then tells anybody.
    fn commit(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        let done = self.view().run("COMMIT");
        match done {
            Ok(()) => {
                self.outcomes.clear();
                self.told.drain(..).for_each(|finish| finish.tell(Ok(())));
            }
            Err(error) => self.abort(&error),
        }
    }

    /// Nothing of the open transaction was written.
    fn abort(&mut self, error: &StoreError) {
        if !self.connection.is_autocommit()
            && let Err(rollback) = self.connection.execute_batch("ROLLBACK")
        {
            self.note(Some(&StoreError::Broken { path: self.path.clone(), why: rollback.to_string() }));
        }
        self.note(Some(error));
        if self.broken.is_some() {
            // The next start finds their versions reserved, and takes them for released.
            self.outcomes.clear();
        }
        self.audit_head.set(None);
        self.told.drain(..).for_each(|finish| finish.tell(Err(error.clone())));
    }

    /// Remembers a fault after which nothing may be read or written.
    fn note(&mut self, error: Option<&StoreError>) {
        if let Some(error) = error.filter(|error| error.is_fatal())
            && self.broken.is_none()
        {
            tracing::error!(%error, "the state is neither read nor written any more");
            self.broken = Some(error.clone());
        }
    }
}

/// The job's answer, if it did not panic, and whether the transaction still stands.
fn in_savepoint(tx: &Tx<'_>, job: WriteJob) -> (Option<Finish>, Result<(), StoreError>) {
    if let Err(error) = tx.run("SAVEPOINT job") {
        return (Some(job(Err(error.clone()))), Err(error));
    }
    let finish = catch_unwind(AssertUnwindSafe(|| job(Ok(tx)))).ok();
    // SQLite may have ended the transaction by itself: nobody's work is in it any more.
    if let Some(fault) = tx.fault.borrow().clone() {
        return (finish, Err(fault));
    }
    let keep = matches!(finish, Some(Finish::Commit(_)));
    let kept = if keep { Ok(()) } else { undo(tx) };
    (finish, kept.and_then(|()| tx.run("RELEASE job")))
}

/// Runs an outcome. One that fails by itself is logged and left; a fault ends the transaction.
fn settle(tx: &Tx<'_>, job: &OutcomeJob) -> Result<(), StoreError> {
    tx.run("SAVEPOINT job")?;
    let done = catch_unwind(AssertUnwindSafe(|| job(tx)));
    if let Some(fault) = tx.fault.borrow().clone() {
        return Err(fault);
    }
    if !matches!(done, Ok(Ok(()))) {
        tracing::error!(?done, "the outcome of a signature could not be written");
        undo(tx)?;
    }
    tx.run("RELEASE job")
}

/// Takes back what a job wrote; the audit's last row may be gone with it.
fn undo(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.audit_head.set(None);
    tx.run("ROLLBACK TO job")
}

fn recover(tx: &Tx<'_>, identity: &Identity) -> Result<(), StoreError> {
    if tx.check_identity(identity)? {
        tx.append(&Event::StateMoved {})?;
    }
    let count = tx.release_leftovers()?;
    if count > 0 {
        tx.append(&Event::LedgerRecovered { count })?;
    }
    Ok(())
}
