//! How our types sit in columns: text as text, ids and digests as their bytes, versions as the 64-bit integers that
//! SQLite has (a version is below 2^53, so none is lost).
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use touchmark_tuf::Instant;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{Gun, KeyId, RoleName, Version};

/// A value of ours in a column.
pub(crate) struct Col<T>(pub(crate) T);

macro_rules! text_column {
    ($($name:ty),+) => {$(
        impl ToSql for Col<&$name> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0.as_str()))
            }
        }
        impl FromSql for Col<$name> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
            }
        }
    )+};
}
text_column!(Gun, RoleName);

macro_rules! bytes_column {
    ($($name:ty),+) => {$(
        impl ToSql for Col<&$name> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0.as_bytes().as_slice()))
            }
        }
        impl FromSql for Col<$name> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = value.as_blob()?;
                let expected_size = 32;
                let bytes = bytes
                    .try_into()
                    .map_err(|_| FromSqlError::InvalidBlobSize { expected_size, blob_size: bytes.len() })?;
                Ok(Self(<$name>::from_bytes(bytes)))
            }
        }
    )+};
}
bytes_column!(KeyId, Sha256Digest);

impl ToSql for Col<Version> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number =
            i64::try_from(self.0.get()).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(ToSqlOutput::from(number))
    }
}

impl FromSql for Col<Version> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let version = u64::try_from(number).ok().and_then(|number| Version::try_from(number).ok());
        version.map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

impl ToSql for Col<Instant> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.unix()))
    }
}

impl FromSql for Col<Instant> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|seconds| Self(Instant::from_unix(seconds)))
    }
}
