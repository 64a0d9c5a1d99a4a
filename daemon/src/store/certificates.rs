//! Root certificates: one per root key and repository, kept and returned again.
use rusqlite::{OptionalExtension as _, params};
use touchmark_tuf::RootCertificate;
use touchmark_tuf::{Gun, KeyId};

use super::keys::conversion;
use super::{Col, StoreError, Tx, View};

impl View<'_> {
    /// The certificate of a root key for a repository.
    ///
    /// # Errors
    /// If the database fails.
    pub fn certificate(&self, key: &KeyId, gun: &Gun) -> Result<Option<RootCertificate>, StoreError> {
        self.sql()
            .prepare_cached("SELECT pem FROM certificates WHERE key = ?1 AND gun = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![Col(key), Col(gun)], |row| certificate(&row.get::<_, Vec<u8>>(0)?))
                    .optional()
            })
            .map_err(|error| self.fault(error))
    }

    /// All certificates of a root key, by repository.
    ///
    /// # Errors
    /// If the database fails.
    pub fn certificates(&self, key: &KeyId) -> Result<Vec<(Gun, RootCertificate)>, StoreError> {
        let read = || {
            let mut statement =
                self.sql().prepare_cached("SELECT gun, pem FROM certificates WHERE key = ?1 ORDER BY gun")?;
            let rows = statement.query_map([Col(key)], |row| {
                Ok((row.get(0).map(|Col(gun)| gun)?, certificate(&row.get::<_, Vec<u8>>(1)?)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Keeps a certificate; the first one for a key and repository stays, and is returned.
    ///
    /// # Errors
    /// If the database fails.
    pub fn keep_certificate(
        &self,
        key: &KeyId,
        gun: &Gun,
        certificate: &RootCertificate,
    ) -> Result<RootCertificate, StoreError> {
        self.sql()
            .execute(
                "INSERT INTO certificates VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![Col(key), Col(gun), certificate.pem().as_bytes(), Col(certificate.not_after())],
            )
            .map_err(|error| self.fault(error))?;
        Ok(self.certificate(key, gun)?.unwrap_or_else(|| certificate.clone()))
    }

    /// Makes room for a new certificate of a key and repository.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn forget_certificate(&self, key: &KeyId, gun: &Gun) -> Result<(), StoreError> {
        self.sql()
            .execute("DELETE FROM certificates WHERE key = ?1 AND gun = ?2", params![Col(key), Col(gun)])
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}

fn certificate(pem: &[u8]) -> rusqlite::Result<RootCertificate> {
    RootCertificate::from_pem(pem).map_err(|error| conversion(0, error))
}
