//! Key records: what there is to know of a key but its private half.
use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Row, params};
use touchmark_tuf::Instant;
use touchmark_tuf::PublicKey;
use touchmark_tuf::{DelegationName, Gun, KeyId};

use super::{Col, StoreError, Tx, View};
use crate::token::KeyRef;
use crate::vault::{Binding, KeyRole, Sealed};

/// A key that this daemon signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Canonical id of the public key.
    pub id: KeyId,
    /// What it signs.
    pub role: KeyRole,
    /// For which repositories; empty for a root key.
    pub guns: Vec<Gun>,
    /// Its public half, a plain key.
    pub public: PublicKey,
    /// Where its private half is.
    pub place: Place,
    /// Since when it is known; 1970 where that is not known.
    pub created: Instant,
    /// When it last signed.
    pub last_used: Option<Instant>,
    /// How it came here.
    pub origin: Origin,
}

impl KeyRecord {
    /// What its seal is bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding::new(self.role.clone(), self.guns.clone())
    }
}

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the vault.
    Vault {
        /// The private half, sealed.
        sealed: Sealed,
    },
    /// On a token.
    Token {
        /// The token's name in the configuration.
        token: String,
        /// The token's serial number.
        serial: String,
        /// How the token knows the key.
        key: KeyRef,
        /// Its label there.
        label: String,
    },
}

/// How a key came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made by this daemon.
    Generated,
    /// From a key file.
    Imported,
    /// Was on a token already.
    Found,
}

impl Origin {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
            Self::Found => "found",
        }
    }
}

const COLUMNS: &str =
    "SELECT id, role, public, origin, created, last_used, sealed, token, serial, handle, label";

impl View<'_> {
    /// One key, by its canonical id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let sql = format!("{COLUMNS} FROM keys WHERE id = ?1");
        let record = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([Col(id)], record).optional())
            .map_err(|error| self.fault(error))?;
        record.map(|record| self.with_guns(record)).transpose()
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let sql = format!("{COLUMNS} FROM keys ORDER BY created, id");
        let records: Vec<KeyRecord> = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_map([], record)?.collect())
            .map_err(|error| self.fault(error))?;
        let mut guns = self.guns_of_keys()?;
        let with_guns = |mut record: KeyRecord| {
            record.guns = guns.remove(&record.id).unwrap_or_default();
            record
        };
        Ok(records.into_iter().map(with_guns).collect())
    }

    /// The oldest key for that.
    ///
    /// # Errors
    /// If the database fails.
    pub fn key_for(&self, role: &KeyRole) -> Result<Option<KeyRecord>, StoreError> {
        let sql = format!("{COLUMNS} FROM keys WHERE role = ?1 ORDER BY created, id LIMIT 1");
        let record = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([role.to_string()], record).optional())
            .map_err(|error| self.fault(error))?;
        record.map(|record| self.with_guns(record)).transpose()
    }

    /// The repositories of every key, in order.
    fn guns_of_keys(&self) -> Result<HashMap<KeyId, Vec<Gun>>, StoreError> {
        let read = || {
            let mut guns: HashMap<KeyId, Vec<Gun>> = HashMap::new();
            let mut statement =
                self.sql().prepare_cached("SELECT key, gun FROM key_guns ORDER BY key, gun")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (Col(key), Col(gun)) = (row.get(0)?, row.get(1)?);
                guns.entry(key).or_default().push(gun);
            }
            Ok(guns)
        };
        read().map_err(|error| self.fault(error))
    }

    fn with_guns(&self, mut record: KeyRecord) -> Result<KeyRecord, StoreError> {
        record.guns = self
            .sql()
            .prepare_cached("SELECT gun FROM key_guns WHERE key = ?1 ORDER BY gun")
            .and_then(|mut statement| {
                statement.query_map([Col(&record.id)], |row| row.get(0).map(|Col(gun)| gun))?.collect()
            })
            .map_err(|error| self.fault(error))?;
        Ok(record)
    }
}

impl Tx<'_> {
    /// Adds a key. One that is there already stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub fn insert_key(&self, key: &KeyRecord) -> Result<Inserted, StoreError> {
        let (sealed, token, serial, handle, label) = match &key.place {
            Place::Vault { sealed } => (Some(sealed.to_bytes()), None, None, None, None),
            Place::Token { token, serial, key, label } => {
                (None, Some(token), Some(serial), Some(&key.id), Some(label))
            }
        };
        let spki = key.public.spki().map_err(|error| StoreError::Statement(error.to_string()))?;
        let insert = || {
            let added = self.sql().execute(
                "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
                params![
                    Col(&key.id),
                    key.role.to_string(),
                    spki,
                    key.origin.as_str(),
                    Col(key.created),
                    key.last_used.map(Col),
                    sealed,
                    token,
                    serial,
                    handle,
                    label
                ],
            )?;
            if added == 0 {
                return Ok(Inserted::WasThere);
            }
            for gun in &key.guns {
                self.sql()
                    .execute("INSERT INTO key_guns VALUES (?1, ?2)", params![Col(&key.id), Col(gun)])?;
            }
            Ok(Inserted::New)
        };
        insert().map_err(|error| self.fault(error))
    }

    /// Takes a key away, with its certificates. `false`: there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_key(&self, id: &KeyId) -> Result<bool, StoreError> {
        let gone = self
            .sql()
            .execute("DELETE FROM keys WHERE id = ?1", [Col(id)])
            .map_err(|error| self.fault(error))?;
        Ok(gone > 0)
    }

    /// Notes that a key signs now.
    ///
    /// # Errors
    /// If the database fails.
    pub fn key_used(&self, id: &KeyId) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached("UPDATE keys SET last_used = ?2 WHERE id = ?1 AND last_used IS NOT ?2")
            .and_then(|mut statement| statement.execute(params![Col(id), self.now_ms().div_euclid(1000)]))
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was added.
    New,
    /// There was one already, and it stays.
    WasThere,
}

/// A record without its repositories.
fn record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let public: Vec<u8> = row.get(2)?;
    let public = PublicKey::from_spki(&public).map_err(|error| conversion(2, error))?;
    let place = match row.get::<_, Option<Vec<u8>>>(6)? {
        Some(sealed) => {
            Place::Vault { sealed: Sealed::from_bytes(&sealed).map_err(|error| conversion(6, error))? }
        }
        None => Place::Token {
            token: row.get(7)?,
            serial: row.get(8)?,
            key: KeyRef { id: row.get(9)?, public: public.clone() },
            label: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
        },
    };
    Ok(KeyRecord {
        id: row.get(0).map(|Col(id)| id)?,
        role: role(&row.get::<_, String>(1)?).map_err(|error| conversion(1, error))?,
        guns: Vec::new(),
        public,
        place,
        created: row.get(4).map(|Col(at)| at)?,
        last_used: row.get::<_, Option<Col<Instant>>>(5)?.map(|Col(at)| at),
        origin: match row.get::<_, String>(3)?.as_str() {
            "generated" => Origin::Generated,
            "imported" => Origin::Imported,
            _ => Origin::Found,
        },
    })
}

fn role(text: &str) -> Result<KeyRole, touchmark_tuf::IdError> {
    Ok(match text {
        "root" => KeyRole::Root,
        "targets" => KeyRole::Targets,
        "snapshot" => KeyRole::Snapshot,
        "audit" => KeyRole::Audit,
        delegation => KeyRole::Delegation(delegation.parse::<DelegationName>()?),
    })
}

pub(super) fn conversion(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
}
