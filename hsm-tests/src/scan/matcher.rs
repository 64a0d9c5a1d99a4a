//! Finds runs of needles in a stretch of bytes.

use std::collections::BTreeSet;
use std::fmt;

use super::needles::{Needles, WINDOW};

/// Every second byte begins a comparison: a run of five bytes or more has a whole window at an even place.
const STRIDE: usize = 2;
/// Pages of zeros are most of a stack and need no look.
const PAGE: usize = 4096;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// One find. It names what was found and where, and never shows the bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The mapping or the file.
    pub place: String,
    /// The address, or the offset in the file.
    pub at: u64,
    /// Bytes of the needle found in a row.
    pub len: usize,
    /// What it is.
    pub needle: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {} at {:#x} in {}", self.len, self.needle, self.at, self.place)
    }
}

/// Every run that is long enough and lies within no longer one.
pub(super) fn find(bytes: &[u8], base: u64, place: &str, needles: &Needles) -> Vec<Hit> {
    let mut runs = BTreeSet::new();
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if page == &ZEROS[..page.len()] {
            continue;
        }
        let mut at = number * PAGE;
        let end = (at + page.len()).min(bytes.len().saturating_sub(WINDOW - 1));
        while at < end {
            let window = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            for (needle, offset) in needles.at(window) {
                let (from, to) = grow(bytes, at, &needles.all[*needle].bytes, *offset);
                if to - from >= needles.all[*needle].min_run {
                    runs.insert((from, to, *needle));
                }
            }
            at += STRIDE;
        }
    }
    let inside_another = |(from, to, _): &(usize, usize, usize)| {
        runs.iter().any(|(low, high, _)| low <= from && to <= high && high - low > to - from)
    };
    let hit = |(from, to, needle): &(usize, usize, usize)| Hit {
        place: place.to_owned(),
        at: base + *from as u64,
        len: to - from,
        needle: needles.all[*needle].name.clone(),
    };
    runs.iter().filter(|run| !inside_another(run)).map(hit).collect()
}

/// The longest run around a common window.
fn grow(bytes: &[u8], at: usize, needle: &[u8], offset: usize) -> (usize, usize) {
    let same = |(left, right): &(&u8, &u8)| left == right;
    let before = bytes[..at].iter().rev().zip(needle[..offset].iter().rev()).take_while(same).count();
    let after = bytes[at..].iter().zip(&needle[offset..]).take_while(same).count();
    (at - before, at + after)
}
