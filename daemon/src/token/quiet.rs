//! Keeps what a module prints about secrets out of the daemon's log.
//!
//! The helper's stderr goes to the log line by line. Some modules print the PINs they get (`pkcs11-spy` does), so
//! the helper marks the calls that hand a secret over or get one, and the daemon drops what comes between.

/// Precedes what may hold secrets.
pub(super) const START: &str = "\u{1}touchmark: secrets";
/// Follows it.
pub(super) const END: &str = "\u{1}touchmark: no secrets";

/// Nothing printed during the life of this guard is logged.
pub(super) struct Quiet(());

impl Quiet {
    /// Starts the silence.
    pub(super) fn start() -> Self {
        mark(START);
        Self(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        mark(END);
    }
}

/// On a line of its own, whatever the module left unfinished before.
fn mark(word: &str) {
    super::helper::tell(&format!("\n{word}"));
}
