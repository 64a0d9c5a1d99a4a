//! The snapshot document: which root, targets and delegations belong together.
use std::collections::BTreeMap;

use crate::canonical::{Reader, Writer};
use crate::document::{Document, FileMeta, read_expires, read_type, read_version, required};
use crate::error::{DocumentError, ValueError};
use crate::ids::{RoleName, Version};
use crate::instant::Expires;
use crate::limits;

/// A snapshot document. It always lists `root` and `targets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Until when readers may believe it.
    pub expires: Expires,
    /// The current file of each role.
    pub meta: BTreeMap<RoleName, FileMeta>,
    /// Grows with each signing.
    pub version: Version,
}

impl Document for Snapshot {
    const ROLE_TYPE: &'static str = "Snapshot";
    const LIMIT: usize = limits::SNAPSHOT_BYTES;

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> &Expires {
        &self.expires
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let (mut kind, mut expires, mut meta, mut version) = (None, None, None, None);
        reader.fields(&["_type", "expires", "meta", "version"], |reader, field| {
            match field {
                "_type" => kind = Some(read_type::<Self>(reader)?),
                "expires" => expires = Some(read_expires(reader)?),
                "meta" => meta = Some(read_meta(reader)?),
                _ => version = Some(read_version(reader)?),
            }
            Ok(())
        })?;
        required(kind, "_type")?;
        let snapshot = Self {
            expires: required(expires, "expires")?,
            meta: required(meta, "meta")?,
            version: required(version, "version")?,
        };
        for role in [RoleName::Root, RoleName::Targets] {
            if !snapshot.meta.contains_key(&role) {
                return Err(DocumentError::MissingRole { role });
            }
        }
        Ok(snapshot)
    }

    fn write_to(&self, out: &mut Writer<'_>) {
        out.raw(r#"{"_type":"Snapshot","expires":"#);
        out.string(self.expires.text());
        out.raw(r#","meta":{"#);
        out.list(&self.meta, |out, (role, meta)| {
            out.plain(role);
            out.raw(":");
            meta.write(out);
        });
        out.raw(r#"},"version":"#);
        out.integer(self.version.get());
        out.raw("}");
    }
}

fn read_meta(reader: &mut Reader<'_>) -> Result<BTreeMap<RoleName, FileMeta>, DocumentError> {
    let mut meta = BTreeMap::new();
    reader.map("files", limits::DELEGATIONS, |reader, name| {
        let role = RoleName::try_from(&*name)
            .map_err(|error| DocumentError::Value { field: "meta", cause: ValueError::Id(error) })?;
        meta.insert(role, FileMeta::read(reader)?);
        Ok(())
    })?;
    Ok(meta)
}

#[cfg(test)]
mod tests;
