//! Tokens as they were enrolled, and the guard of configured PINs. Never a PIN, nor a hash of one.
use rusqlite::{OptionalExtension as _, params};

use super::{StoreError, Tx, View};

/// A token as it was enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its name in the configuration.
    pub token: String,
    /// Its serial number.
    pub serial: String,
    /// SubjectPublicKeyInfo of a key on it, where it has one: serial numbers are not unique on every kind.
    pub public: Option<Vec<u8>>,
}

impl View<'_> {
    /// The token that was enrolled under a name.
    ///
    /// # Errors
    /// If the database fails.
    pub fn enrolled(&self, token: &str) -> Result<Option<Enrolled>, StoreError> {
        self.sql()
            .query_row("SELECT token, serial, public FROM token_pins WHERE token = ?1", [token], |row| {
                Ok(Enrolled { token: row.get(0)?, serial: row.get(1)?, public: row.get(2)? })
            })
            .optional()
            .map_err(|error| self.fault(error))
    }

    /// Whether a configured PIN may be sent: not while an earlier one of that source was sent and never accepted.
    ///
    /// # Errors
    /// If the database fails.
    pub fn may_try_pin(&self, serial: &str, source: &str) -> Result<bool, StoreError> {
        let tried = self
            .sql()
            .query_row("SELECT 1 FROM pin_guard WHERE serial = ?1 AND source = ?2", [serial, source], |_| {
                Ok(())
            })
            .optional()
            .map_err(|error| self.fault(error))?;
        Ok(tried.is_none())
    }
}

impl Tx<'_> {
    /// Enrols a token. `public`: SubjectPublicKeyInfo of a key on it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn enrol(&self, token: &Enrolled) -> Result<(), StoreError> {
        self.sql()
            .execute(
                "INSERT INTO token_pins VALUES (?1, ?2, ?3, ?4) ON CONFLICT (token) DO UPDATE
                 SET serial = excluded.serial, public = excluded.public, enrolled = excluded.enrolled",
                params![token.token, token.serial, token.public, self.now_ms().div_euclid(1000)],
            )
            .map_err(|error| self.fault(error))?;
        Ok(())
    }

    /// Notes that a PIN of this source is about to be sent. `false`, and nothing noted: one was sent before and not
    /// accepted. The PIN goes out only after this is on the disk.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pin_tried(&self, serial: &str, source: &str) -> Result<bool, StoreError> {
        let noted = self
            .sql()
            .execute(
                "INSERT INTO pin_guard VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![serial, source, self.now_ms().div_euclid(1000)],
            )
            .map_err(|error| self.fault(error))?;
        Ok(noted > 0)
    }

    /// Notes that the token accepted a PIN: this source's, or, for `None`, one that a person gave.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pin_accepted(&self, serial: &str, source: Option<&str>) -> Result<(), StoreError> {
        self.sql()
            .execute(
                "DELETE FROM pin_guard WHERE serial = ?1 AND (?2 IS NULL OR source = ?2)",
                params![serial, source],
            )
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}
