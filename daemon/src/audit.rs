//! What was done: hash-chained rows that triggers keep from change, written in the transaction of what they tell of.
//! The form and the check of the chain are in `touchmark_proto::audit`, for everybody.
pub mod event;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;
use touchmark_proto::audit::{GENESIS, ROW_MAX, hash, line};
use touchmark_proto::v1::{AuditRow, SignedHead};
use touchmark_tuf::KeyId;

use crate::store::{Col, Store, StoreError, Tx, View};

pub use event::{Event, RequestId};

/// Milliseconds of the minute in which refusals are counted together.
const MINUTE_MS: i64 = 60_000;

/// Where a row stands: what a client keeps to see a cut tail or a rewritten record later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The row's number; 0: before the first.
    pub seq: u64,
    /// Its hash, which covers every row before it.
    pub hash: [u8; 32],
}

/// Refusals of one kind in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// Whose requests.
    pub uid: u32,
    /// Why; a reason of the contract.
    pub reason: String,
    /// Minutes since 1970.
    pub minute: i64,
    /// How many.
    pub count: u64,
}

impl View<'_> {
    /// The last row.
    ///
    /// # Errors
    /// If the database fails.
    pub fn audit_head(&self) -> Result<Receipt, StoreError> {
        let head = self
            .sql()
            .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .and_then(|mut statement| {
                statement
                    .query_row([], |row| Ok(Receipt { seq: number(row.get(0)?), hash: row.get(1)? }))
                    .optional()
            })
            .map_err(|error| self.fault(error))?;
        Ok(head.unwrap_or(Receipt { seq: 0, hash: GENESIS }))
    }

    /// At most `limit` rows from number `from_seq` on, in order, each with the hash of the one before it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn audit_rows(&self, from_seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let from = i64::try_from(from_seq.max(1)).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.sql().prepare_cached(
                "SELECT a.seq, a.hash, a.time, a.json, b.hash FROM audit a LEFT JOIN audit b ON b.seq = a.seq - 1
                 WHERE a.seq >= ?1 ORDER BY a.seq LIMIT ?2",
            )?;
            let rows = statement.query_map(params![from, limit], |row| {
                Ok(AuditRow {
                    seq: number(row.get(0)?),
                    hash: row.get(1)?,
                    previous: row.get::<_, Option<Vec<u8>>>(4)?.unwrap_or_else(|| GENESIS.to_vec()),
                    time_unix_ms: row.get(2)?,
                    json: row.get(3)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }

    /// At most `limit` of the heads that the audit key signed, from number `from_seq` on, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn signed_heads(&self, from_seq: u64, limit: u32) -> Result<Vec<SignedHead>, StoreError> {
        let from = i64::try_from(from_seq).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.sql().prepare_cached(
                "SELECT seq, hash, key, public, signature FROM audit_heads WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
            )?;
            let rows = statement.query_map(params![from, limit], |row| {
                let Col(key): Col<KeyId> = row.get(2)?;
                Ok(SignedHead {
                    seq: number(row.get(0)?),
                    hash: row.get(1)?,
                    key_id: key.to_string(),
                    public_key: row.get(3)?,
                    signature: row.get(4)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }

    /// The number of the last row whose head the audit key signed; 0: none.
    ///
    /// # Errors
    /// If the database fails.
    pub fn last_signed_head(&self) -> Result<u64, StoreError> {
        let last =
            self.sql().query_row("SELECT coalesce(max(seq), 0) FROM audit_heads", [], |row| row.get(0));
        last.map(number).map_err(|error| self.fault(error))
    }

    /// Counted refusals since a minute, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn refusals(&self, since_minute: i64) -> Result<Vec<RefusalCount>, StoreError> {
        let read = || {
            let mut statement = self.sql().prepare_cached(
                "SELECT uid, reason, minute, count FROM refusals WHERE minute >= ?1 ORDER BY minute DESC, uid, reason",
            )?;
            let rows = statement.query_map([since_minute], |row| {
                let count = number(row.get(3)?);
                Ok(RefusalCount { uid: row.get(0)?, reason: row.get(1)?, minute: row.get(2)?, count })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }
}

/// Refusals on their way to the database, counted: whoever floods us makes one job and not thousands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Mutex<Counts>>);

type Counts = HashMap<(u32, &'static str), u64>;

/// Some of them, taken along by one job. They are gone with it where it cannot run.
struct Counted {
    all: Refusals,
    key: (u32, &'static str),
}

impl Refusals {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more. The first is to be taken to the database, and takes along those that come until then.
    fn one_more(&self, key: (u32, &'static str)) -> Option<Counted> {
        let mut counts = self.counts();
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        (*count == 1).then(|| Counted { all: self.clone(), key })
    }
}

impl Counted {
    fn many(&self) -> u64 {
        self.all.counts().get(&self.key).copied().unwrap_or(0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.all.counts().remove(&self.key);
    }
}

impl Store {
    /// Counts a refusal with the next group. `reason` is a word of the contract, `message` what the caller was told.
    pub fn refused(&self, uid: u32, reason: &'static str, message: &str) {
        let first = || Event::Refused { uid, reason, message: message.chars().take(1000).collect() };
        self.count(uid, reason, first);
    }

    /// The same for a secret that came with a wrong handle. `kind` is what is counted together.
    pub fn secret_refused(&self, uid: u32, kind: &'static str, why: &str) {
        self.count(uid, kind, || Event::SecretRefused { uid, why: why.to_owned() });
    }

    fn count(&self, uid: u32, reason: &'static str, first: impl FnOnce() -> Event) {
        let Some(counted) = self.refusals().one_more((uid, reason)) else { return };
        let first = first();
        self.write_behind("a refusal", move |tx| -> Result<(), StoreError> {
            tx.count_refusals(counted.many(), uid, reason, &first)
        });
    }
}

impl Tx<'_> {
    /// Appends a row.
    ///
    /// # Errors
    /// If the row would be longer than a reader takes, or the database fails.
    pub fn append(&self, event: &Event) -> Result<Receipt, StoreError> {
        let head = match self.audit_head.get() {
            Some(head) => head,
            None => self.audit_head()?,
        };
        let seq = head.seq.saturating_add(1);
        let json = match serde_json::to_value(event) {
            Ok(Value::Object(fields)) => line(seq, self.now_ms(), fields),
            Ok(_) => return Err(StoreError::Statement("an audit event is no object".to_owned())),
            Err(error) => return Err(StoreError::Statement(error.to_string())),
        };
        if json.len() > ROW_MAX {
            return Err(StoreError::Statement(format!("an audit row has {} bytes", json.len())));
        }
        let hash = hash(&head.hash, &json);
        self.sql()
            .prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut s| {
                s.execute(params![i64::try_from(seq).unwrap_or(i64::MAX), hash, self.now_ms(), json])
            })
            .map_err(|error| self.fault(error))?;
        let head = Receipt { seq, hash };
        self.audit_head.set(Some(head));
        Ok(head)
    }

    /// Counts refusals. The first of a uid, reason and minute is also a row of the audit; so nobody fills the disk
    /// from outside the policy.
    ///
    /// # Errors
    /// If the database fails.
    fn count_refusals(&self, many: u64, uid: u32, reason: &str, first: &Event) -> Result<(), StoreError> {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        let count: i64 = self
            .sql()
            .prepare_cached(
                "INSERT INTO refusals VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count RETURNING count",
            )
            .and_then(|mut s| {
                let minute = self.now_ms().div_euclid(MINUTE_MS);
                s.query_row(params![uid, reason, minute, many], |row| row.get(0))
            })
            .map_err(|error| self.fault(error))?;
        if count == many {
            self.append(first)?;
        }
        Ok(())
    }

    /// Keeps a signed head.
    ///
    /// # Errors
    /// If the database fails.
    pub fn keep_head(
        &self,
        head: &Receipt,
        key: &KeyId,
        public_spki: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), StoreError> {
        let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
        self.sql()
            .execute(
                "INSERT INTO audit_heads VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![seq, head.hash, Col(key), public_spki, signature],
            )
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}

/// SQLite's integers are signed; ours here are counted from 1.
fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

#[cfg(test)]
mod tests;
