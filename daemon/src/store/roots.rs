//! The trusted root of each repository: a chain, moved only forward along it.
use rusqlite::{OptionalExtension as _, Params, Row, ToSql, params};
use touchmark_tuf::{Gun, Version};

use super::{Col, StoreError, Tx, View};

/// The newest root of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRoot {
    /// Its version.
    pub version: Version,
    /// The file as published.
    pub file: Vec<u8>,
}

impl View<'_> {
    /// The root that is trusted for a repository.
    ///
    /// # Errors
    /// If the database fails.
    pub fn trusted_root(&self, gun: &Gun) -> Result<Option<TrustedRoot>, StoreError> {
        self.newest_root(
            "SELECT version, file FROM roots WHERE gun = ?1 ORDER BY version DESC LIMIT 1",
            [&Col(gun) as &dyn ToSql],
        )
    }

    /// The last root that was trusted before that version.
    ///
    /// # Errors
    /// If the database fails.
    pub fn trusted_root_before(
        &self,
        gun: &Gun,
        version: Version,
    ) -> Result<Option<TrustedRoot>, StoreError> {
        self.newest_root(
            "SELECT version, file FROM roots WHERE gun = ?1 AND version < ?2 ORDER BY version DESC LIMIT 1",
            [&Col(gun) as &dyn ToSql, &Col(version)],
        )
    }

    fn newest_root(&self, sql: &str, of: impl Params) -> Result<Option<TrustedRoot>, StoreError> {
        let root = |row: &Row<'_>| {
            Ok(TrustedRoot { version: row.get(0).map(|Col(version)| version)?, file: row.get(1)? })
        };
        self.sql()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(of, root).optional())
            .map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Trusts this root from now on. The caller has verified it against the one before.
    ///
    /// # Errors
    /// If the database fails.
    pub fn trust_root(&self, gun: &Gun, root: &TrustedRoot) -> Result<(), StoreError> {
        self.sql()
            .execute(
                "INSERT INTO roots VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET file = excluded.file",
                params![Col(gun), Col(root.version), root.file],
            )
            .map_err(|error| self.fault(error))?;
        Ok(())
    }

    /// Takes back trust in a root that was never published: an administrator let its version go.
    pub(crate) fn distrust_root(&self, gun: &Gun, version: Version) -> Result<(), StoreError> {
        self.sql()
            .execute("DELETE FROM roots WHERE gun = ?1 AND version = ?2", params![Col(gun), Col(version)])
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}
