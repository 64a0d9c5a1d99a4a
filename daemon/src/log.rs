//! The log: fields on stderr, one line an event. What could print secrets is capped whatever the filter says.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// The variable with a filter in the usual form; default `info`.
pub const VARIABLE: &str = "TOUCHMARKD_LOG";
/// Crates that see what goes to tokens, or would flood the log: h2 warns whenever a peer misbehaves.
const CAPPED: [&str; 7] =
    ["cryptoki=warn", "pcsc=off", "yubikey=off", "h2=error", "hyper=warn", "hyper_util=warn", "tower=warn"];
/// Lines about one thing within [`WINDOW`].
const LINES: u64 = 20;
/// How long it takes until more lines about the same thing are written.
const WINDOW: Duration = Duration::from_secs(60);
/// Things that are told apart; whoever makes up more of them shares one.
const THINGS: usize = 256;

/// Starts the log of this process. A second start changes nothing.
pub fn start() {
    let filter = filter(std::env::var(VARIABLE).ok().as_deref());
    // journald has a clock of its own.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal()).with_target(false);
    // It would say that it cannot write by `eprintln!`, which panics where nothing can be written, on a full disk say.
    let log = log.log_internal_errors(false);
    // Fails only where a test or an embedder has a log already.
    let _other = if in_journal { log.without_time().try_init() } else { log.try_init() };
}

fn filter(written: Option<&str>) -> EnvFilter {
    let base =
        EnvFilter::builder().parse(written.unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    CAPPED.iter().filter_map(|cap| cap.parse().ok()).fold(base, EnvFilter::add_directive)
}

/// Keeps peers from flooding the log: of each thing twenty lines a minute, and how many were left out.
#[derive(Debug)]
pub struct Sparingly<K>(Mutex<HashMap<Option<K>, Lines>>);

#[derive(Debug)]
struct Lines {
    since: Instant,
    count: u64,
}

impl<K> Default for Sparingly<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Sparingly<K> {
    /// Whether a line about this is to be written now; and then, how many were not since the last one.
    pub fn line(&self, about: K) -> Option<u64> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = Some(about);
        if all.len() >= THINGS && !all.contains_key(&about) {
            all.retain(|_, lines| now.duration_since(lines.since) < WINDOW);
        }
        let about = if all.len() < THINGS || all.contains_key(&about) { about } else { None };
        let lines = all.entry(about).or_insert(Lines { since: now, count: 0 });
        let mut left_out = 0;
        if now.duration_since(lines.since) >= WINDOW {
            left_out = lines.count.saturating_sub(LINES);
            *lines = Lines { since: now, count: 0 };
        }
        lines.count += 1;
        (lines.count <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests;
