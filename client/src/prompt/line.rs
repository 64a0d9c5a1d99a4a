//! One typed line, byte by byte: what ends it, what is cut off it, when it is too long.
use super::{PromptError, Secret};

/// A line being read; holds no more than the secret's own buffer.
pub(crate) struct Line {
    secret: Secret,
    max: usize,
    fits: bool,
    untouched: bool,
}

impl Line {
    /// A line that may have `max` bytes before its end.
    pub(crate) fn new(max: usize) -> Self {
        // One byte more for the carriage return of a file written elsewhere.
        Self { secret: Secret::with_capacity(max.saturating_add(1)), max, fits: true, untouched: true }
    }

    /// Takes the next byte; `true` once the line is complete.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        self.untouched = false;
        if byte == b'\n' {
            return true;
        }
        // The rest of a line that is too long is swallowed, so that it does not become the next secret.
        self.fits &= self.secret.push(byte);
        false
    }

    /// No byte came at all.
    pub(crate) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// The line without its end.
    pub(crate) fn finish(mut self) -> Result<Secret, PromptError> {
        if self.secret.expose().ends_with(b"\r") {
            self.secret.pop();
        }
        if !self.fits || self.secret.len() > self.max {
            return Err(PromptError::TooLong { max: self.max });
        }
        Ok(self.secret)
    }
}
