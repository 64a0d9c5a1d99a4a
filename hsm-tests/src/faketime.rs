//! Other clocks for single programs, by libfaketime: a wall clock that jumps while they run (monotonic time, which
//! timeouts go by, stays as it is), or time that passes faster. The times of files stay as they are.

use std::path::PathBuf;

use crate::place::Place;

/// Where Debian has the library: `faketime` itself brings it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// A clock that shows the machine's time until it jumps.
#[derive(Debug)]
pub struct FakeClock {
    place: Place,
}

impl FakeClock {
    /// One that is right.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "makes a file on disk: no default value")]
    pub fn new() -> Self {
        let clock = Self { place: Place::new() };
        clock.ahead_by(0);
        clock
    }

    /// Shows another time from now on: so many days ahead of the machine's clock, or behind it.
    pub fn ahead_by(&self, days: i64) {
        let (file, new) = (self.place.join("clock"), self.place.join("clock.new"));
        std::fs::write(&new, format!("{days:+}d\n")).expect("the clock's file");
        std::fs::rename(new, file).expect("the clock's file");
    }

    /// The environment of a program that goes by this clock.
    ///
    /// # Panics
    /// When the library is not installed.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let file = self.place.join("clock");
        [
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// The environment of a program for which time passes so many times as fast: its clocks, and whatever it waits for.
///
/// # Panics
/// When the library is not installed.
#[must_use]
pub fn faster(times: u32) -> Vec<(String, String)> {
    [("LD_PRELOAD", library()), ("FAKETIME", format!("+0 x{times}")), ("NO_FAKE_STAT", "1".to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

fn library() -> String {
    let found = LIBRARIES.map(PathBuf::from).into_iter().find(|file| file.is_file());
    let library =
        found.expect("libfaketime is not installed; scripts/install.sh installs what the tests need");
    library.display().to_string()
}
