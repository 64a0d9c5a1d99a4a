//! The last document of each role: signed here, or accepted from the server as a base. Drafts, whose version is only
//! reserved, are kept beside them so that they are on the disk before their signature leaves, and count for nothing.
use rusqlite::{OptionalExtension as _, Row, params};
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::assemble;
use touchmark_tuf::{Gun, KeyId, RoleName, Version};
use touchmark_tuf::{Method, Signature};

use super::{Col, StoreError, Tx, View};

/// A document that the daemon knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// SHA-256 of `signed`.
    pub digest: Sha256Digest,
    /// The canonical bytes under the signatures.
    pub signed: Vec<u8>,
    /// The signatures. None: a crash took them; the same bytes may be signed again.
    pub signatures: Vec<Signature>,
    /// Whether it was signed here.
    pub source: Source,
    /// Whether somebody has shown it as published.
    pub published: bool,
    /// False after the state was moved or restored: others may have seen newer ones.
    pub confirmed: bool,
}

/// How a document came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Signed by this daemon.
    Signed,
    /// From the server, verified.
    Accepted,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Accepted => "accepted",
        }
    }
}

impl Kept {
    /// The file as it is published: envelope, canonical form, signatures. `None` without signatures.
    #[must_use]
    pub fn file(&self) -> Option<Vec<u8>> {
        assemble(&self.signed, &self.signatures).ok()
    }
}

/// What counts: everything but drafts and what was let go.
const COUNTS: &str = "FROM documents d LEFT JOIN ledger l USING (gun, role, version)
     WHERE d.gun = ?1 AND d.role = ?2 AND (d.source = 'accepted' OR l.state = 'released')";

impl View<'_> {
    /// The last document of a role.
    ///
    /// # Errors
    /// If the database fails.
    pub fn kept(&self, gun: &Gun, role: &RoleName) -> Result<Option<Kept>, StoreError> {
        let sql = format!(
            "SELECT d.version, d.digest, d.signed, d.source, d.published, d.confirmed {COUNTS}
             ORDER BY d.version DESC LIMIT 1"
        );
        let kept = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut s| s.query_row(params![Col(gun), Col(role)], |row| kept(role, row)).optional())
            .map_err(|error| self.fault(error))?;
        let Some(mut kept) = kept else { return Ok(None) };
        kept.signatures = self.signatures(gun, role, kept.version)?;
        Ok(Some(kept))
    }

    /// The document of a role that has that version.
    ///
    /// # Errors
    /// If the database fails.
    pub fn kept_at(&self, gun: &Gun, role: &RoleName, version: Version) -> Result<Option<Kept>, StoreError> {
        let sql = format!(
            "SELECT d.version, d.digest, d.signed, d.source, d.published, d.confirmed {COUNTS}
             AND d.version = ?3"
        );
        let kept = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut s| {
                s.query_row(params![Col(gun), Col(role), Col(version)], |row| kept(role, row)).optional()
            })
            .map_err(|error| self.fault(error))?;
        let Some(mut kept) = kept else { return Ok(None) };
        kept.signatures = self.signatures(gun, role, version)?;
        Ok(Some(kept))
    }

    /// The version of the last document of a role.
    ///
    /// # Errors
    /// If the database fails.
    pub fn kept_version(&self, gun: &Gun, role: &RoleName) -> Result<Option<Version>, StoreError> {
        let sql = format!("SELECT d.version {COUNTS} ORDER BY d.version DESC LIMIT 1");
        self.sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                let version = |row: &Row<'_>| row.get(0).map(|Col(version)| version);
                statement.query_row(params![Col(gun), Col(role)], version).optional()
            })
            .map_err(|error| self.fault(error))
    }

    /// The digest of the last document of a role, if that can be shown: it has signatures.
    ///
    /// # Errors
    /// If the database fails.
    pub fn shown_digest(&self, gun: &Gun, role: &RoleName) -> Result<Option<Sha256Digest>, StoreError> {
        let sql = format!(
            "SELECT d.digest, EXISTS (SELECT 1 FROM document_signatures s
                 WHERE s.gun = d.gun AND s.role = d.role AND s.version = d.version)
             {COUNTS} ORDER BY d.version DESC LIMIT 1"
        );
        let row = |row: &Row<'_>| Ok((row.get(0).map(|Col(digest)| digest)?, row.get(1)?));
        let last = self
            .sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row(params![Col(gun), Col(role)], row).optional())
            .map_err(|error| self.fault(error))?;
        Ok(last.filter(|(_, is_signed): &(_, bool)| *is_signed).map(|(digest, _)| digest))
    }

    /// The last document of every role of a repository, by role.
    ///
    /// # Errors
    /// If the database fails.
    pub fn kept_roles(&self, gun: &Gun) -> Result<Vec<Kept>, StoreError> {
        let roles: Vec<RoleName> = self
            .sql()
            .prepare_cached("SELECT DISTINCT role FROM documents WHERE gun = ?1 ORDER BY role")
            .and_then(|mut s| s.query_map([Col(gun)], |row| row.get(0).map(|Col(role)| role))?.collect())
            .map_err(|error| self.fault(error))?;
        self.kept_of(gun, &roles)
    }

    /// The last document of each of these roles that has one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn kept_of<'r>(
        &self,
        gun: &Gun,
        roles: impl IntoIterator<Item = &'r RoleName>,
    ) -> Result<Vec<Kept>, StoreError> {
        let documents = roles.into_iter().map(|role| self.kept(gun, role)).collect::<Result<Vec<_>, _>>()?;
        Ok(documents.into_iter().flatten().collect())
    }

    fn signatures(&self, gun: &Gun, role: &RoleName, version: Version) -> Result<Vec<Signature>, StoreError> {
        self.sql()
            .prepare_cached(
                "SELECT key, method, bytes FROM document_signatures
                 WHERE gun = ?1 AND role = ?2 AND version = ?3 ORDER BY position",
            )
            .and_then(|mut s| s.query_map(params![Col(gun), Col(role), Col(version)], signature)?.collect())
            .map_err(|error| self.fault(error))
    }
}

impl Tx<'_> {
    /// Keeps the bytes of a document whose version is being reserved.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn keep_draft(&self, gun: &Gun, draft: &Kept) -> Result<(), StoreError> {
        if self.insert(gun, draft)? {
            return Ok(());
        }
        let known: Col<Sha256Digest> = self
            .sql()
            .prepare_cached("SELECT digest FROM documents WHERE gun = ?1 AND role = ?2 AND version = ?3")
            .and_then(|mut s| {
                s.query_row(params![Col(gun), Col(&draft.role), Col(draft.version)], |row| row.get(0))
            })
            .map_err(|error| self.fault(error))?;
        if known.0 == draft.digest { Ok(()) } else { self.put(gun, draft) }
    }

    /// Takes a document of the server as the last one of its role.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn accept(&self, gun: &Gun, document: &Kept) -> Result<(), StoreError> {
        self.put(gun, document)?;
        self.add_signatures(gun, &document.role, document.version, &document.signatures)?;
        self.forget_older(gun, &document.role)
    }

    /// Adds the signatures that are new to a document.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn add_signatures(
        &self,
        gun: &Gun,
        role: &RoleName,
        version: Version,
        signatures: &[Signature],
    ) -> Result<(), StoreError> {
        let add = || {
            let mut insert = self.sql().prepare_cached(
                "INSERT INTO document_signatures
                 SELECT ?1, ?2, ?3, (SELECT coalesce(max(position), 0) + 1 FROM document_signatures
                                     WHERE gun = ?1 AND role = ?2 AND version = ?3), ?4, ?5, ?6
                 WHERE NOT EXISTS (SELECT 1 FROM document_signatures
                                   WHERE gun = ?1 AND role = ?2 AND version = ?3 AND key = ?4)",
            )?;
            for signature in signatures {
                let (key, method) = (Col(&signature.key_id), signature.method.as_str());
                insert.execute(params![Col(gun), Col(role), Col(version), key, method, signature.bytes])?;
            }
            Ok(())
        };
        add().map_err(|error| self.fault(error))
    }

    /// Notes that a document was seen published, which also confirms it.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn mark_published(
        &self,
        gun: &Gun,
        role: &RoleName,
        version: Version,
    ) -> Result<(), StoreError> {
        self.on_document(
            "UPDATE documents SET published = 1, confirmed = 1 WHERE gun = ?1 AND role = ?2 AND version = ?3",
            gun,
            role,
            version,
        )
    }

    /// Notes that a document is not in doubt any more.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn confirm(&self, gun: &Gun, role: &RoleName, version: Version) -> Result<(), StoreError> {
        self.on_document(
            "UPDATE documents SET confirmed = 1 WHERE gun = ?1 AND role = ?2 AND version = ?3",
            gun,
            role,
            version,
        )
    }

    /// Takes away the draft of a version that is not reserved any more.
    pub(crate) fn drop_draft(&self, gun: &Gun, role: &RoleName, version: Version) -> Result<(), StoreError> {
        self.on_document(
            "DELETE FROM documents WHERE gun = ?1 AND role = ?2 AND version = ?3 AND source = 'signed'",
            gun,
            role,
            version,
        )
    }

    /// Keeps the last document of a role and the one before it, to fall back on when a version is let go.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn forget_older(&self, gun: &Gun, role: &RoleName) -> Result<(), StoreError> {
        let sql = format!(
            "DELETE FROM documents WHERE gun = ?1 AND role = ?2
             AND version < (SELECT min(version) FROM
                            (SELECT d.version AS version {COUNTS} ORDER BY d.version DESC LIMIT 2))"
        );
        self.sql()
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.execute(params![Col(gun), Col(role)]))
            .map_err(|error| self.fault(error))?;
        Ok(())
    }

    /// The same for a role whose last document but one has that version.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn forget_before(
        &self,
        gun: &Gun,
        role: &RoleName,
        version: Version,
    ) -> Result<(), StoreError> {
        self.on_document(
            "DELETE FROM documents WHERE gun = ?1 AND role = ?2 AND version < ?3",
            gun,
            role,
            version,
        )
    }

    /// Marks everything unconfirmed.
    pub(super) fn doubt_everything(&self) -> Result<(), StoreError> {
        self.sql().execute("UPDATE documents SET confirmed = 0", []).map_err(|error| self.fault(error))?;
        Ok(())
    }

    fn put(&self, gun: &Gun, document: &Kept) -> Result<(), StoreError> {
        let (role, version) = (&document.role, document.version);
        // Signatures of what stood there before go with it.
        self.on_document(
            "DELETE FROM documents WHERE gun = ?1 AND role = ?2 AND version = ?3",
            gun,
            role,
            version,
        )?;
        self.insert(gun, document).map(drop)
    }

    /// `false`: there is one of that version.
    fn insert(&self, gun: &Gun, document: &Kept) -> Result<bool, StoreError> {
        let (role, version) = (&document.role, document.version);
        let added = self
            .sql()
            .prepare_cached(
                "INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    Col(gun),
                    Col(role),
                    Col(version),
                    Col(&document.digest),
                    document.signed,
                    document.source.as_str(),
                    document.published,
                    document.confirmed
                ])
            })
            .map_err(|error| self.fault(error))?;
        Ok(added > 0)
    }

    fn on_document(&self, sql: &str, gun: &Gun, role: &RoleName, version: Version) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![Col(gun), Col(role), Col(version)]))
            .map_err(|error| self.fault(error))?;
        Ok(())
    }
}

fn kept(role: &RoleName, row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        role: role.clone(),
        version: row.get(0).map(|Col(version)| version)?,
        digest: row.get(1).map(|Col(digest)| digest)?,
        signed: row.get(2)?,
        signatures: Vec::new(),
        source: if row.get::<_, String>(3)? == Source::Signed.as_str() {
            Source::Signed
        } else {
            Source::Accepted
        },
        published: row.get(4)?,
        confirmed: row.get(5)?,
    })
}

fn signature(row: &Row<'_>) -> rusqlite::Result<Signature> {
    let method: String = row.get(1)?;
    let key_id: Col<KeyId> = row.get(0)?;
    let unknown = || rusqlite::Error::InvalidColumnType(1, method.clone(), rusqlite::types::Type::Text);
    Ok(Signature {
        key_id: key_id.0,
        method: Method::from_word(&method).ok_or_else(unknown)?,
        bytes: row.get(2)?,
    })
}
