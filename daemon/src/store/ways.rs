//! The ways to open the vault.
use rusqlite::params;
use touchmark_tuf::Instant;
use touchmark_tuf::PublicKey;

use super::keys::conversion;
use super::{Col, StoreError, Tx, View};
use crate::token::KeyRef;
use crate::vault::Way;

/// One way to open the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayRecord {
    /// By which token; `None`: by passphrase.
    pub token: Option<WayToken>,
    /// The wrapped vault key.
    pub way: Way,
    /// When it was made.
    pub created: Instant,
}

/// The token of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayToken {
    /// Its name in the configuration.
    pub name: String,
    /// Its serial number.
    pub serial: String,
    /// The key on it that opens.
    pub key: KeyRef,
}

impl View<'_> {
    /// All ways, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn ways(&self) -> Result<Vec<WayRecord>, StoreError> {
        let read = || {
            let mut statement = self
                .sql()
                .prepare_cached("SELECT token, serial, handle, public, way, created FROM ways ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                let token = match row.get::<_, Option<String>>(0)? {
                    None => None,
                    Some(name) => {
                        let spki: Vec<u8> = row.get(3)?;
                        let public = PublicKey::from_spki(&spki).map_err(|error| conversion(3, error))?;
                        Some(WayToken { name, serial: row.get(1)?, key: KeyRef { id: row.get(2)?, public } })
                    }
                };
                let way: Vec<u8> = row.get(4)?;
                let way = Way::from_bytes(&way).map_err(|error| conversion(4, error))?;
                Ok(WayRecord { token, way, created: row.get(5).map(|Col(at)| at)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }

    /// How many there are.
    ///
    /// # Errors
    /// If the database fails.
    pub fn way_count(&self) -> Result<u32, StoreError> {
        self.sql()
            .query_row("SELECT count(*) FROM ways", [], |row| row.get(0))
            .map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Adds a way, or replaces the one of the same token or the passphrase.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put_way(&self, record: &WayRecord) -> Result<(), StoreError> {
        self.remove_way(record.token.as_ref().map(|token| token.name.as_str()))?;
        let token = record.token.as_ref();
        let public = token.map(|token| token.key.public.spki()).transpose();
        let public = public.map_err(|error| StoreError::Statement(error.to_string()))?;
        self.sql()
            .execute(
                "INSERT INTO ways (token, serial, handle, public, way, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    token.map(|token| &token.name),
                    token.map(|token| &token.serial),
                    token.map(|token| &token.key.id),
                    public,
                    record.way.to_bytes(),
                    Col(record.created)
                ],
            )
            .map_err(|error| self.fault(error))?;
        Ok(())
    }

    /// Takes away the way of a token, or the passphrase's for `None`. `false`: there is none. Whether it is the last
    /// one is the caller's business.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_way(&self, token: Option<&str>) -> Result<bool, StoreError> {
        let gone = self
            .sql()
            .execute("DELETE FROM ways WHERE token IS ?1", [token])
            .map_err(|error| self.fault(error))?;
        Ok(gone > 0)
    }
}
