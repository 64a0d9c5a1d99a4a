//! The envelope of a message between daemon and helper.
//!
//! ```text
//! 0      1        5      9              11              13
//! | ver  | number | body | first secret | second secret | body bytes | first secret bytes | second secret bytes
//! | u8 1 | u32    | u32  | u16          | u16           |
//! ```
//! Lengths are big-endian and come first, so that each side can read a secret straight into the memory where it is
//! to stay. A secret is never part of the body.

use super::secret::Secret;

/// Version of the envelope and of the messages in it. Daemon and helper are one program, so there is one.
pub(super) const VERSION: u8 = 1;

/// Bytes of a [`Header`].
pub(super) const HEADER: usize = 13;

/// The longest body: a token with a thousand keys.
pub(super) const MAX_BODY: usize = 1 << 20;

/// What precedes every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of the request; its answer carries the same.
    pub(super) number: u32,
    /// Length of the body in bytes.
    pub(super) body: usize,
    /// Lengths of the secrets in bytes; zero: none.
    pub(super) secrets: [usize; 2],
}

/// An envelope that this program did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// Another version, or not a frame at all.
    #[error("frame version {0} instead of {VERSION}")]
    Version(u8),
    /// A length over its limit.
    #[error("a length in the frame is over its limit")]
    TooLong,
}

impl Header {
    /// The header as bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub(super) fn encode(&self) -> Result<[u8; HEADER], FrameError> {
        self.check()?;
        let body = u32::try_from(self.body).map_err(|_| FrameError::TooLong)?.to_be_bytes();
        let [first, second] = self.secrets.map(|len| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        let mut bytes = [0; HEADER];
        let fields =
            [VERSION].into_iter().chain(self.number.to_be_bytes()).chain(body).chain(first).chain(second);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        Ok(bytes)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`FrameError`].
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Result<Self, FrameError> {
        let [version, n0, n1, n2, n3, b0, b1, b2, b3, f0, f1, s0, s1] = *bytes;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let body = usize::try_from(u32::from_be_bytes([b0, b1, b2, b3])).map_err(|_| FrameError::TooLong)?;
        let secrets = [u16::from_be_bytes([f0, f1]), u16::from_be_bytes([s0, s1])].map(usize::from);
        let header = Self { number: u32::from_be_bytes([n0, n1, n2, n3]), body, secrets };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), FrameError> {
        if self.body > MAX_BODY || self.secrets.iter().any(|len| *len > Secret::MAX) {
            return Err(FrameError::TooLong);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
