//! Patterns of repositories and tags: `*` stays within one path segment, `**` crosses them.
use std::fmt;

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing is written.
    #[error("a pattern is empty")]
    Empty,
    /// Longer than 512 bytes.
    #[error("a pattern is longer than 512 bytes")]
    TooLong,
    /// A control character or white space.
    #[error("a pattern has white space or a control character in it")]
    Character,
    /// `***`
    #[error("a pattern has more than two `*` in a row")]
    Stars,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Byte(u8),
    WithinSegment,
    Anything,
}

/// A pattern. It matches whole names, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it is empty, over 512 bytes long, or has white space, control characters or `***` in it.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > 512 {
            return Err(GlobError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(GlobError::Character);
        }
        if text.contains("***") {
            return Err(GlobError::Stars);
        }
        let mut parts = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match (byte, parts.last()) {
                (b'*', Some(Part::WithinSegment)) => {
                    parts.pop();
                    parts.push(Part::Anything);
                }
                (b'*', _) => parts.push(Part::WithinSegment),
                (byte, _) => parts.push(Part::Byte(byte)),
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether the whole of `name` is covered. Takes length times length steps at most, whatever the pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // `reached[i]`: the parts up to here can cover the first i bytes of the name.
        let name = name.as_bytes();
        let mut reached = vec![false; name.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for part in &self.parts {
            let mut next = vec![false; name.len() + 1];
            let mut carried = false;
            for (at, (slot, was)) in next.iter_mut().zip(&reached).enumerate() {
                let before = at.checked_sub(1).and_then(|i| name.get(i));
                *slot = match part {
                    Part::Byte(wanted) => {
                        let reached_before = at.checked_sub(1).and_then(|i| reached.get(i)) == Some(&true);
                        reached_before && before == Some(wanted)
                    }
                    Part::WithinSegment => {
                        carried = *was || (carried && before != Some(&b'/'));
                        carried
                    }
                    Part::Anything => {
                        carried = *was || carried;
                        carried
                    }
                };
            }
            reached = next;
        }
        reached.last() == Some(&true)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
