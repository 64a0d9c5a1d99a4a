//! Single values: whose state this is, the largest time seen, settings.
use rusqlite::{OptionalExtension as _, params};

use super::place::Identity;
use super::{StoreError, Tx, View};

const IDENTITY: &str = "identity";
const STATE_ID: &str = "state-id";
const CLOCK_HIGH: &str = "clock-high";

/// A clock that is behind the largest time seen by more than this is not believed.
pub const CLOCK_TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// Settings that stay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Made by `run --dev`: never to be taken for the real thing.
    Dev,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
        }
    }
}

impl View<'_> {
    /// The largest time seen, in milliseconds since 1970; `i64::MIN` before the first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn clock_high_ms(&self) -> Result<i64, StoreError> {
        Ok(self.value(CLOCK_HIGH)?.unwrap_or(i64::MIN))
    }

    /// By how much the clock is behind the largest time seen, in milliseconds, where that is more than five minutes.
    ///
    /// # Errors
    /// If the database fails.
    pub fn clock_behind_ms(&self) -> Result<Option<i64>, StoreError> {
        let behind = self.clock_high_ms()?.saturating_sub(self.now_ms());
        Ok((behind > CLOCK_TOLERANCE_MS).then_some(behind))
    }

    /// The random id of this state, 16 bytes.
    ///
    /// # Errors
    /// If the database fails.
    pub fn state_id(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.value(STATE_ID)
    }

    /// A setting's text.
    ///
    /// # Errors
    /// If the database fails.
    pub fn setting(&self, setting: Setting) -> Result<Option<String>, StoreError> {
        self.value(setting.name())
    }

    fn value<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.sql()
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")
            .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
            .map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Sets a setting's text.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_setting(&self, setting: Setting, text: &str) -> Result<(), StoreError> {
        self.set_value(setting.name(), text)
    }

    /// Notes that it is as late as it is.
    pub(super) fn note_clock(&self) -> Result<(), StoreError> {
        self.set_value(CLOCK_HIGH, self.now_ms())
    }

    /// Believes the clock again: an administrator says that a later time, seen before, was wrong. Returns by how much
    /// it is behind that, in milliseconds.
    ///
    /// # Errors
    /// If the database fails.
    pub fn believe_clock(&self) -> Result<i64, StoreError> {
        let behind = self.clock_high_ms()?.saturating_sub(self.now_ms());
        self.note_clock()?;
        Ok(behind)
    }

    /// Compares the place with the one that the state knows. Where it differs, everything that was signed or
    /// accepted here may be behind what others have seen: it is marked unconfirmed, and `true` returned.
    pub(super) fn check_identity(&self, identity: &Identity) -> Result<bool, StoreError> {
        if self.state_id()?.is_none() {
            let mut id = [0_u8; 16];
            getrandom::fill(&mut id).map_err(|error| StoreError::Statement(error.to_string()))?;
            self.set_value(STATE_ID, id.as_slice())?;
        }
        let here = identity.0.as_bytes().as_slice();
        let known: Option<Vec<u8>> = self.value(IDENTITY)?;
        if known.as_deref() == Some(here) {
            return Ok(false);
        }
        self.set_value(IDENTITY, here)?;
        if known.is_some() {
            self.doubt_everything()?;
        }
        Ok(known.is_some())
    }

    fn set_value(&self, name: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut statement| statement.execute(params![name, value]))
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}
