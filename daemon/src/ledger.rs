//! Which content each version of each document was given to. *Reserved*, then *released* once a signature may have
//! left the daemon, or *void* when it certainly did not. A released version never gets other content.
use rusqlite::{OptionalExtension as _, params};
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{Gun, RoleName, Version};

use crate::store::{Col, StoreError, Tx, View};

/// One version of one document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The repository.
    pub gun: Gun,
    /// The role.
    pub role: RoleName,
    /// The version.
    pub version: Version,
}

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A request is about to sign it.
    Reserved,
    /// A signature may have left the daemon.
    Released,
    /// No signature left, or an administrator let it go: it may get other content.
    Void,
}

impl State {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Void => "void",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "reserved" => Self::Reserved,
            "void" => Self::Void,
            // What cannot be read must not be given away again.
            _ => Self::Released,
        }
    }
}

/// A version in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub slot: Slot,
    /// SHA-256 of the canonical bytes it was given to.
    pub digest: Sha256Digest,
    /// How it stands.
    pub state: State,
    /// When that last changed, in milliseconds since 1970.
    pub time_ms: i64,
    /// False after the state was moved or restored: the server's document of this role is wanted first.
    pub confirmed: bool,
}

/// Why a version is not given out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// A higher version was signed. A retry does not help; building on the newer document does.
    #[error("{} version {} of {} is below version {have}, which was signed already", .slot.role, .slot.version, .slot.gun)]
    Regression {
        /// What was asked for.
        slot: Slot,
        /// The highest version given out.
        have: Version,
    },
    /// Other content was signed under this version. Publish that, or build on it.
    #[error("{} version {} of {} was signed with other content already", .slot.role, .slot.version, .slot.gun)]
    Reused {
        /// What was asked for.
        slot: Slot,
    },
    /// Another request is signing other content under this version right now. A retry helps later.
    #[error("another request is signing {} version {} of {} right now", .slot.role, .slot.version, .slot.gun)]
    InFlight {
        /// What was asked for.
        slot: Slot,
    },
    /// There is no such version to let go.
    #[error("{} version {} of {} was never given out", .slot.role, .slot.version, .slot.gun)]
    Unknown {
        /// What was asked for.
        slot: Slot,
    },
    /// The ledger cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl View<'_> {
    /// At most `most` of the versions that were given out, of one repository or of all: those that follow `after`, by
    /// repository, role and version.
    ///
    /// # Errors
    /// If the database fails.
    pub fn ledger(
        &self,
        gun: Option<&Gun>,
        after: Option<&Slot>,
        most: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let first = gun.map_or("", Gun::as_str);
        let (from, role, version) = after.map_or((first, "", 0), |after| {
            (after.gun.as_str(), after.role.as_str(), i64::try_from(after.version.get()).unwrap_or(i64::MAX))
        });
        let read = || {
            let mut statement = self.sql().prepare_cached(
                "SELECT gun, role, version, digest, state, time,
                        NOT EXISTS (SELECT 1 FROM documents d
                                    WHERE d.gun = l.gun AND d.role = l.role AND d.confirmed = 0)
                 FROM ledger l
                 WHERE (gun, role, version) > (?1, ?2, ?3) AND gun <= ifnull(?4, x'') -- a blob is above all text
                 ORDER BY gun, role, version LIMIT ?5",
            )?;
            let rows =
                statement.query_map(params![from, role, version, gun.map(Gun::as_str), most], |row| {
                    Ok(Entry {
                        slot: Slot {
                            gun: row.get(0).map(|Col(gun)| gun)?,
                            role: row.get(1).map(|Col(role)| role)?,
                            version: row.get(2).map(|Col(version)| version)?,
                        },
                        digest: row.get(3).map(|Col(digest)| digest)?,
                        state: State::of(&row.get::<_, String>(4)?),
                        time_ms: row.get(5)?,
                        confirmed: row.get(6)?,
                    })
                })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }

    /// The content that a version was given to, where a signature under it may have left.
    ///
    /// # Errors
    /// If the database fails.
    pub fn given_out(&self, slot: &Slot) -> Result<Option<Sha256Digest>, StoreError> {
        let entry = self.entry(slot)?;
        Ok(entry.filter(|(_, state)| *state == State::Released).map(|(digest, _)| digest))
    }

    fn entry(&self, slot: &Slot) -> Result<Option<(Sha256Digest, State)>, StoreError> {
        self.sql()
            .prepare_cached("SELECT digest, state FROM ledger WHERE gun = ?1 AND role = ?2 AND version = ?3")
            .and_then(|mut statement| {
                statement
                    .query_row(params![Col(&slot.gun), Col(&slot.role), Col(slot.version)], |row| {
                        let Col(digest) = row.get(0)?;
                        Ok((digest, State::of(&row.get::<_, String>(1)?)))
                    })
                    .optional()
            })
            .map_err(|error| self.fault(error))
    }

    /// The highest version from this one on that is not void.
    fn taken(&self, slot: &Slot) -> Result<Option<(Version, Sha256Digest, State)>, StoreError> {
        self.sql()
            .prepare_cached(
                "SELECT version, digest, state FROM ledger
                 WHERE gun = ?1 AND role = ?2 AND version >= ?3 AND state <> 'void' ORDER BY version DESC LIMIT 1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![Col(&slot.gun), Col(&slot.role), Col(slot.version)], |row| {
                        let (Col(version), Col(digest)) = (row.get(0)?, row.get(1)?);
                        Ok((version, digest, State::of(&row.get::<_, String>(2)?)))
                    })
                    .optional()
            })
            .map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Gives a version to this content. Given to the same content before, it may be signed again.
    ///
    /// # Errors
    /// Where a higher version or other content has it, or the database fails.
    pub fn reserve(&self, slot: &Slot, digest: &Sha256Digest) -> Result<(), LedgerError> {
        match self.taken(slot)? {
            None => self.take(slot, digest),
            Some((have, ..)) if have > slot.version => {
                Err(LedgerError::Regression { slot: slot.clone(), have })
            }
            Some((_, known, State::Reserved)) if known != *digest => {
                Err(LedgerError::InFlight { slot: slot.clone() })
            }
            Some((_, known, _)) if known != *digest => Err(LedgerError::Reused { slot: slot.clone() }),
            Some(_) => Ok(self.change(slot, digest, "UPDATE ledger SET holders = holders + 1, time = ?5")?),
        }
    }

    /// A signature under this version may leave now.
    ///
    /// # Errors
    /// If the database fails.
    pub fn release(&self, slot: &Slot, digest: &Sha256Digest) -> Result<(), StoreError> {
        self.change(
            slot,
            digest,
            "UPDATE ledger SET state = 'released', holders = max(holders - 1, 0), time = ?5",
        )
    }

    /// The request that reserved this version ended and no signature left. Another request for the same content may
    /// still hold it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn void(&self, slot: &Slot, digest: &Sha256Digest) -> Result<(), StoreError> {
        self.change(
            slot,
            digest,
            "UPDATE ledger SET holders = max(holders - 1, 0), time = ?5,
             state = CASE WHEN state = 'reserved' AND holders <= 1 THEN 'void' ELSE state END",
        )?;
        match self.entry(slot)? {
            Some((_, State::Void)) => self.drop_draft(&slot.gun, &slot.role, slot.version),
            _ => Ok(()),
        }
    }

    /// Lets a version go that was released: an administrator says that no signature under it was ever published. The
    /// document signed under it is forgotten, and the one before it counts again.
    ///
    /// # Errors
    /// If it was never given out, is being signed now, or the database fails.
    pub fn let_go(&self, slot: &Slot) -> Result<(), LedgerError> {
        let digest = match self.entry(slot)? {
            Some((digest, State::Released)) => digest,
            Some((_, State::Reserved)) => return Err(LedgerError::InFlight { slot: slot.clone() }),
            Some((_, State::Void)) | None => return Err(LedgerError::Unknown { slot: slot.clone() }),
        };
        self.change(slot, &digest, "UPDATE ledger SET state = 'void', holders = 0, time = ?5")?;
        self.drop_draft(&slot.gun, &slot.role, slot.version)?;
        if slot.role == RoleName::Root {
            self.distrust_root(&slot.gun, slot.version)?;
        }
        Ok(())
    }

    /// After a start: what was reserved when the daemon ended may have left it.
    pub(crate) fn release_leftovers(&self) -> Result<u64, StoreError> {
        let count = self
            .sql()
            .execute("UPDATE ledger SET state = 'released', holders = 0 WHERE state = 'reserved'", [])
            .map_err(|error| self.fault(error))?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn take(&self, slot: &Slot, digest: &Sha256Digest) -> Result<(), LedgerError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, 'reserved', 1, ?5) ON CONFLICT DO UPDATE
                 SET digest = excluded.digest, state = 'reserved', holders = 1, time = excluded.time",
            )
            .and_then(|mut s| {
                s.execute(params![
                    Col(&slot.gun),
                    Col(&slot.role),
                    Col(slot.version),
                    Col(digest),
                    self.now_ms()
                ])
            })
            .map_err(|error| self.fault(error))?;
        Ok(())
    }

    fn change(&self, slot: &Slot, digest: &Sha256Digest, update: &str) -> Result<(), StoreError> {
        let sql = format!("{update} WHERE gun = ?1 AND role = ?2 AND version = ?3 AND digest = ?4");
        self.sql()
            .prepare_cached(&sql)
            .and_then(|mut s| {
                s.execute(params![
                    Col(&slot.gun),
                    Col(&slot.role),
                    Col(slot.version),
                    Col(digest),
                    self.now_ms()
                ])
            })
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
