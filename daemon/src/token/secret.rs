//! A secret inside the helper process: a PIN, a scalar on its way onto a token, an opened vault key.
//!
//! The helper has no locked memory of its own (the module copies what it gets to where it likes); it writes no core,
//! cannot be traced, and ends soon. What is ours there is wiped.

use zeroize::Zeroize;

/// At most [`Secret::MAX`] bytes at one place on the heap, wiped on drop.
pub struct Secret {
    bytes: Box<[u8; Secret::MAX]>,
    len: usize,
}

impl Secret {
    /// The longest secret, in bytes.
    pub const MAX: usize = 255;

    /// Takes `bytes` and wipes them where they were. `None` where they are too many.
    #[must_use]
    pub fn take(bytes: &mut [u8]) -> Option<Self> {
        let mut secret = Self { bytes: Box::new([0; Self::MAX]), len: bytes.len() };
        let fits = secret.bytes.get_mut(..bytes.len()).map(|to| to.copy_from_slice(bytes)).is_some();
        bytes.zeroize();
        fits.then_some(secret)
    }

    /// Reads exactly `len` bytes from `from`, into their final place.
    ///
    /// # Errors
    /// Whatever `from` says; `InvalidData` where `len` is over [`Secret::MAX`].
    pub(super) fn read(from: &mut impl std::io::Read, len: usize) -> std::io::Result<Self> {
        let mut secret = Self { bytes: Box::new([0; Self::MAX]), len };
        let to = secret.bytes.get_mut(..len).ok_or(std::io::ErrorKind::InvalidData)?;
        from.read_exact(to)?;
        Ok(secret)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// A second copy, for the login that has to be repeated.
    pub(super) fn again(&self) -> Self {
        Self { bytes: self.bytes.clone(), len: self.len }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.len.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests;
