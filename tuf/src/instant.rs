//! Points in time, and the texts they are written as. No clock: the time comes from the caller.
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::error::TimeError;

/// 0000-01-01T00:00:00Z, the first second that RFC 3339 can write.
const EARLIEST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, the last one.
const LATEST: i64 = 253_402_300_799;

/// A point in time, UTC, to the nanosecond; in the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    seconds: i64,
    nanos: u32,
}

impl Instant {
    /// `seconds` after 1970-01-01T00:00:00Z; what lies outside the years 0 to 9999 becomes the nearest end of them.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self { seconds: seconds.clamp(EARLIEST, LATEST), nanos: 0 }
    }

    /// What a clock showed.
    #[must_use]
    pub fn from_system(clock: SystemTime) -> Self {
        match clock.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_unix(0).plus(since),
            Err(before) => Self::from_unix(0).minus(before.duration()),
        }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after `unix()`, below 1,000,000,000.
    #[must_use]
    pub const fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Later by `duration`, at most the end of the year 9999.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.moved(i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX))
    }

    /// Earlier by `duration`, at least the start of the year 0.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        self.moved(i128::try_from(duration.as_nanos()).map_or(i128::MIN, |nanos| -nanos))
    }

    /// The time from `earlier` to here, or `None` if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let nanos = u64::try_from(self.total_nanos() - earlier.total_nanos());
        // Differences beyond 584 years do not fit: they saturate, nobody tells them apart.
        if self < earlier { None } else { Some(Duration::from_nanos(nanos.unwrap_or(u64::MAX))) }
    }

    fn total_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    fn moved(self, by: i128) -> Self {
        let nanos = self.total_nanos().saturating_add(by);
        let seconds = nanos.div_euclid(1_000_000_000);
        match (i64::try_from(seconds), u32::try_from(nanos.rem_euclid(1_000_000_000))) {
            (Ok(seconds), Ok(nanos)) if (EARLIEST..=LATEST).contains(&seconds) => Self { seconds, nanos },
            _ => Self::from_unix(if by < 0 { EARLIEST } else { LATEST }),
        }
    }
}

impl fmt::Display for Instant {
    /// `2036-11-19T13:46:27Z`: whole seconds, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.seconds) else { return Err(fmt::Error) };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

impl FromStr for Instant {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        read(text).map(|(instant, _)| instant)
    }
}

/// When a document expires: the text as written, kept because it is signed, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expires {
    text: Box<str>,
    instant: Instant,
    go: bool,
}

impl Expires {
    /// As touchmark writes it: whole seconds, UTC. A fraction of a second is dropped.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        let instant = Instant { nanos: 0, ..instant };
        Self { text: instant.to_string().into(), instant, go: true }
    }

    /// The text as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    #[must_use]
    pub const fn instant(&self) -> Instant {
        self.instant
    }

    /// Whether `now` is past it. No leeway.
    #[must_use]
    pub fn has_passed(&self, now: Instant) -> bool {
        self.instant < now
    }

    /// Whether Go would write the text just so: no trailing zeros in the fraction and `Z` for UTC. The server hashes
    /// what Go writes, so another form makes a repository unreadable.
    #[must_use]
    pub const fn is_go_form(&self) -> bool {
        self.go
    }
}

impl FromStr for Expires {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (instant, go) = read(text)?;
        Ok(Self { text: text.into(), instant, go })
    }
}

impl fmt::Display for Expires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 3339 with 0 to 9 fraction digits and any offset; and whether Go would write it so.
fn read(text: &str) -> Result<(Instant, bool), TimeError> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    literal(&mut rest, '-')?;
    let month = two(&mut rest)?;
    literal(&mut rest, '-')?;
    let day = two(&mut rest)?;
    literal(&mut rest, 'T')?;
    let hour = two(&mut rest)?;
    literal(&mut rest, ':')?;
    let minute = two(&mut rest)?;
    literal(&mut rest, ':')?;
    let second = two(&mut rest)?;
    let (nanos, plain_fraction) = fraction(&mut rest)?;
    let (offset, plain_offset) = offset(rest)?;

    let month = Month::try_from(month).map_err(|_| TimeError::NoSuchTime)?;
    let year = i32::try_from(year).map_err(|_| TimeError::NoSuchTime)?;
    let date = Date::from_calendar_date(year, month, day).map_err(|_| TimeError::NoSuchTime)?;
    let time = Time::from_hms_nano(hour, minute, second, nanos).map_err(|_| TimeError::NoSuchTime)?;
    let seconds = PrimitiveDateTime::new(date, time).assume_offset(offset).unix_timestamp();
    if !(EARLIEST..=LATEST).contains(&seconds) {
        return Err(TimeError::NoSuchTime);
    }
    Ok((Instant { seconds, nanos }, plain_fraction && plain_offset))
}

fn fraction(rest: &mut &str) -> Result<(u32, bool), TimeError> {
    let Some(after) = rest.strip_prefix('.') else { return Ok((0, true)) };
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let (digits, tail) = after.split_at(end);
    *rest = tail;
    if digits.is_empty() || digits.len() > 9 {
        return Err(TimeError::Form);
    }
    let nanos = format!("{digits:0<9}").parse().map_err(|_| TimeError::Form)?;
    Ok((nanos, !digits.ends_with('0')))
}

fn offset(text: &str) -> Result<(UtcOffset, bool), TimeError> {
    let (sign, mut rest) = match text.split_at_checked(1) {
        Some(("Z", "")) => return Ok((UtcOffset::UTC, true)),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(TimeError::Form),
    };
    let hours = two(&mut rest)?;
    literal(&mut rest, ':')?;
    let minutes = two(&mut rest)?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return Err(TimeError::Form);
    }
    let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
    let offset = UtcOffset::from_whole_seconds(seconds).map_err(|_| TimeError::NoSuchTime)?;
    Ok((offset, seconds != 0))
}

fn literal(rest: &mut &str, expected: char) -> Result<(), TimeError> {
    *rest = rest.strip_prefix(expected).ok_or(TimeError::Form)?;
    Ok(())
}

fn two(rest: &mut &str) -> Result<u8, TimeError> {
    u8::try_from(number(rest, 2)?).map_err(|_| TimeError::Form)
}

fn number(rest: &mut &str, digits: usize) -> Result<u32, TimeError> {
    let (head, tail) = rest.split_at_checked(digits).ok_or(TimeError::Form)?;
    if !head.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TimeError::Form);
    }
    *rest = tail;
    head.parse().map_err(|_| TimeError::Form)
}

#[cfg(test)]
mod tests;
