//! Lengths of time: a number and a unit, as people write them.

use std::fmt;
use std::time::Duration;

const UNITS: [(&str, u64); 6] =
    [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800), ("y", 365 * 86_400)];
/// A century: longer than any key should live, and far from overflow.
const MOST: u64 = 100 * 365 * 86_400;

/// Reads `8h`, `90s`, `10y` (365 days). The reason where it is none.
pub(super) fn duration(written: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{written}` is no length of time; write a number and one of s, m, h, d, w, y, as in \"8h\"")
    };
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = written.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    match number.checked_mul(seconds) {
        Some(0) => Err(format!("`{written}` is no time at all")),
        Some(seconds) if seconds <= MOST => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{written}` is more than 100 years")),
    }
}

pub(super) const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// A length of time in the largest unit that fits it exactly, as the file has it.
#[must_use]
pub fn shown(time: Duration) -> Span {
    Span(time)
}

/// See [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let fits =
            UNITS.into_iter().rev().find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit));
        match fits {
            Some((name, unit)) => write!(f, "{}{name}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}
