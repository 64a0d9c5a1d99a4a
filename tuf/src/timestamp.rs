//! The timestamp document: which snapshot is the current one.
use crate::canonical::{Reader, Writer};
use crate::document::{Document, FileMeta, read_expires, read_type, read_version, required};
use crate::error::DocumentError;
use crate::ids::{RoleName, Version};
use crate::instant::Expires;
use crate::limits;

/// A timestamp document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Until when readers may believe it: days.
    pub expires: Expires,
    /// The current snapshot file.
    pub snapshot: FileMeta,
    /// Grows with each signing.
    pub version: Version,
}

impl Document for Timestamp {
    const ROLE_TYPE: &'static str = "Timestamp";
    const LIMIT: usize = limits::TIMESTAMP_BYTES;

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> &Expires {
        &self.expires
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let (mut kind, mut expires, mut snapshot, mut version) = (None, None, None, None);
        reader.fields(&["_type", "expires", "meta", "version"], |reader, field| {
            match field {
                "_type" => kind = Some(read_type::<Self>(reader)?),
                "expires" => expires = Some(read_expires(reader)?),
                "meta" => reader.fields(&["snapshot"], |reader, _| {
                    snapshot = Some(FileMeta::read(reader)?);
                    Ok(())
                })?,
                _ => version = Some(read_version(reader)?),
            }
            Ok(())
        })?;
        required(kind, "_type")?;
        Ok(Self {
            expires: required(expires, "expires")?,
            snapshot: snapshot.ok_or(DocumentError::MissingRole { role: RoleName::Snapshot })?,
            version: required(version, "version")?,
        })
    }

    fn write_to(&self, out: &mut Writer<'_>) {
        out.raw(r#"{"_type":"Timestamp","expires":"#);
        out.string(self.expires.text());
        out.raw(r#","meta":{"snapshot":"#);
        self.snapshot.write(out);
        out.raw(r#"},"version":"#);
        out.integer(self.version.get());
        out.raw("}");
    }
}

#[cfg(test)]
mod tests;
