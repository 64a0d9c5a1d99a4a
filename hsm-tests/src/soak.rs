//! Two lengths of the same tests: short in `make test`, long in `make soak`. What is promised in seconds or mebibytes
//! is printed by both and demanded by the long one alone, which has the machine to itself.

use std::fmt::Display;

/// The variable that asks for the long form.
const SOAK: &str = "TOUCHMARK_SOAK";

/// Whether this is `make soak`.
#[must_use]
pub fn is_on() -> bool {
    std::env::var_os(SOAK).is_some_and(|value| value == "1")
}

/// How often to do something: `short` times in `make test`, `long` times in `make soak`.
#[must_use]
pub fn rounds(short: usize, long: usize) -> usize {
    if is_on() { long } else { short }
}

/// Prints what was measured beside what is promised; over it, `make soak` fails.
///
/// # Panics
/// In `make soak`, when more was measured than is promised.
pub fn at_most<T: PartialOrd + Display>(what: &str, measured: T, promised: T) {
    say(&format!("MEASURED: {what}: {measured} (promised: at most {promised})"));
    assert!(!is_on() || measured <= promised, "{what}: {measured}, and at most {promised} is promised");
}

/// Prints what a test has found out, for whoever runs it with `--nocapture`.
#[allow(clippy::print_stderr, reason = "the test runner's capture is for such lines")]
pub fn say(text: &str) {
    eprintln!("{text}");
}
