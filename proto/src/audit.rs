//! The form of audit rows and the check of their chain: shared by the daemon that writes them and by everybody who
//! does not want to take its word. Pure. See `docs/formats.md`, "Audit rows".
use serde_json::{Map, Value};
use touchmark_tuf::Sha256Digest;

use crate::line::{hex, write};
use crate::v1::AuditRow;

/// What stands before the first row.
pub const GENESIS: [u8; 32] = [0; 32];
/// Longest row that is written or read, in bytes.
pub const ROW_MAX: usize = 48 * 1024;
/// What a signed head begins with, so that its signature is good for nothing else.
const HEAD_LABEL: &[u8] = b"touchmark audit head v1\n";

/// The hash of a row: SHA-256 of the previous row's 32 bytes and the row's text.
#[must_use]
pub fn hash(previous: &[u8; 32], json: &str) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(32 + json.len());
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(json.as_bytes());
    *Sha256Digest::of(&bytes).as_bytes()
}

/// The text of a row: one line of JSON in ASCII, keys sorted at every level, no white space, with `seq` and `time`
/// (milliseconds since 1970) among the fields of the event.
#[must_use]
pub fn line(seq: u64, time_unix_ms: i64, mut event: Map<String, Value>) -> String {
    event.insert("seq".to_owned(), seq.into());
    event.insert("time".to_owned(), time_unix_ms.into());
    write(&event)
}

/// The bytes that the audit key signs for a head.
#[must_use]
pub fn head_message(seq: u64, hash: &[u8; 32]) -> Vec<u8> {
    [HEAD_LABEL, &seq.to_be_bytes(), hash].concat()
}

/// Why a record is not what it says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A row is missing, doubled or out of order.
    #[error("row {got} stands where row {wanted} belongs")]
    Sequence {
        /// The number that follows the last row.
        wanted: u64,
        /// The number found.
        got: u64,
    },
    /// The row does not follow the one before it: either was changed, or rows between were taken out.
    #[error("row {seq} does not follow the row before it")]
    Previous {
        /// The row's number.
        seq: u64,
    },
    /// The row's text is not what was hashed.
    #[error("row {seq} was changed: its hash is not that of its text")]
    Hash {
        /// The row's number.
        seq: u64,
    },
    /// The text is no row, or says another number or time than the columns beside it.
    #[error("row {seq} is malformed")]
    Malformed {
        /// The row's number, as the columns say.
        seq: u64,
    },
    /// The record ends before a row that somebody has seen.
    #[error("the record ends at row {end}, but row {expected} was seen before: its tail is gone")]
    Truncated {
        /// The last row there is.
        end: u64,
        /// The row that was seen.
        expected: u64,
    },
    /// The row that somebody has seen had another hash.
    #[error("row {seq} is not the row that was seen before: the record was rewritten")]
    Rewritten {
        /// The row's number.
        seq: u64,
    },
}

/// Follows rows, in order, and says where they stop being a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    head: [u8; 32],
    seen: Option<(u64, [u8; 32])>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, head: GENESIS, seen: None }
    }
}

impl Chain {
    /// Goes on after a row that is trusted: its number and hash.
    #[must_use]
    pub const fn after(seq: u64, head: [u8; 32]) -> Self {
        Self { seq, head, seen: None }
    }

    /// Also wants row `seq` to be there with this hash.
    #[must_use]
    pub const fn expecting(mut self, seq: u64, hash: [u8; 32]) -> Self {
        self.seen = Some((seq, hash));
        self
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// Names the first thing that is wrong with it; the chain stays where it was.
    pub fn push(&mut self, row: &AuditRow) -> Result<(), ChainError> {
        let seq = row.seq;
        let wanted = self.seq.saturating_add(1);
        if seq != wanted {
            return Err(ChainError::Sequence { wanted, got: seq });
        }
        if row.previous != self.head {
            return Err(ChainError::Previous { seq });
        }
        let hash = hash(&self.head, &row.json);
        if row.hash != hash {
            return Err(ChainError::Hash { seq });
        }
        let fields = fields(&row.json).ok_or(ChainError::Malformed { seq })?;
        let number = |name: &str| fields.get(name).and_then(Value::as_i64);
        if number("seq") != i64::try_from(seq).ok() || number("time") != Some(row.time_unix_ms) {
            return Err(ChainError::Malformed { seq });
        }
        if let Some((seen, expected)) = self.seen
            && seen == seq
            && expected != hash
        {
            return Err(ChainError::Rewritten { seq });
        }
        self.seq = seq;
        self.head = hash;
        Ok(())
    }

    /// After the last row: its number and hash.
    ///
    /// # Errors
    /// If the row that had to be there did not come.
    pub const fn finish(&self) -> Result<(u64, [u8; 32]), ChainError> {
        match self.seen {
            Some((expected, _)) if expected > self.seq => {
                Err(ChainError::Truncated { end: self.seq, expected })
            }
            _ => Ok((self.seq, self.head)),
        }
    }
}

/// The fields of a row's text. `None`: not one JSON object, or longer than `ROW_MAX`.
#[must_use]
pub fn fields(json: &str) -> Option<Map<String, Value>> {
    if json.len() > ROW_MAX || json.contains('\n') {
        return None;
    }
    match serde_json::from_str(json) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

const EXPORT_HASH: &str = "{\"hash\":\"";
const EXPORT_PREVIOUS: &str = "\",\"previous\":\"";
const EXPORT_ROW: &str = "\",\"row\":";

/// A row as `audit export` writes it: `{"hash":"..","previous":"..","row":{..}}`, the row byte for byte.
#[must_use]
pub fn export(row: &AuditRow) -> String {
    let (hash, previous) = (hex(&row.hash), hex(&row.previous));
    format!("{EXPORT_HASH}{hash}{EXPORT_PREVIOUS}{previous}{EXPORT_ROW}{}}}", row.json)
}

/// Reads a line of an export. `None`: it is none.
#[must_use]
pub fn import(line: &str) -> Option<AuditRow> {
    let (hash, rest) = line.strip_prefix(EXPORT_HASH)?.split_at_checked(64)?;
    let (previous, rest) = rest.strip_prefix(EXPORT_PREVIOUS)?.split_at_checked(64)?;
    let json = rest.strip_prefix(EXPORT_ROW)?.strip_suffix('}')?;
    let fields = fields(json)?;
    let digest = |text: &str| Some(text.parse::<Sha256Digest>().ok()?.as_bytes().to_vec());
    Some(AuditRow {
        seq: fields.get("seq")?.as_u64()?,
        hash: digest(hash)?,
        previous: digest(previous)?,
        time_unix_ms: fields.get("time")?.as_i64()?,
        json: json.to_owned(),
    })
}

#[cfg(test)]
mod tests;
