//! The log: fields on stderr, one line an event. What could print secrets is capped whatever the filter says.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The variable with a filter in the usual form; default `info`.
pub const VARIABLE: &str = "TOUCHMARKD_LOG";
/// Crates that see what goes to tokens, or would flood the log.
const CAPPED: [&str; 7] =
    ["cryptoki=warn", "pcsc=off", "yubikey=off", "h2=warn", "hyper=warn", "hyper_util=warn", "tower=warn"];

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

#[cfg(test)]
mod tests;
