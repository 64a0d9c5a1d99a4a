//! Reading and writing the vault's own stored forms: fixed magic, version, big-endian lengths, nothing left over.

/// Stored bytes that are not in a form that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Other bytes altogether.
    #[error("not a {0}")]
    Magic(&'static str),
    /// Written by a newer touchmarkd; a newer one reads it.
    #[error("{what} of version {version}; this touchmarkd reads version 1")]
    Version {
        /// What it is.
        what: &'static str,
        /// Its version.
        version: u8,
    },
    /// Cut short, too long, or with a field out of its range.
    #[error("damaged {0}")]
    Damaged(&'static str),
}

/// Takes fields off the front of stored bytes.
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks magic and version.
    pub(super) fn new(what: &'static str, magic: [u8; 4], bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Self { what, rest: bytes };
        if reader.array::<4>().ok() != Some(magic) {
            return Err(FormatError::Magic(what));
        }
        match reader.byte()? {
            1 => Ok(reader),
            version => Err(FormatError::Version { what, version }),
        }
    }

    pub(super) const fn damaged(&self) -> FormatError {
        FormatError::Damaged(self.what)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FormatError> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 16-bit length and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(self.damaged())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Nothing may be left.
    pub(super) const fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }
}

/// Appends a 16-bit length and the bytes; longer ones, which no caller has, are cut so that reading them fails.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(length)).unwrap_or(bytes));
}
