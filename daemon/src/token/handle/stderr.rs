//! What a helper's module prints, into the daemon's log: line by line, cut to size, so many a minute, nothing about
//! secrets.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::time::Instant;

use crate::token::quiet;

/// Bytes of a line that are logged; modules dump whole buffers.
const LINE: u64 = 400;
/// Lines that are logged in a [`WINDOW`]; a module that prints more fills no disk.
const LINES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Logs until the helper ends.
pub(super) async fn log(token: String, words: ChildStderr) {
    let mut lines = Lines { from: BufReader::new(words), quiet: false };
    let mut quota = Quota::new(Instant::now());
    while let Some(line) = lines.next().await {
        if let Some(left_out) = quota.roll(Instant::now()) {
            tracing::warn!(token, left_out, "token helper said more than is logged");
        }
        if quota.take() {
            tracing::info!(token, line = %touchmark_tuf::shown(&line), "token helper says");
        }
    }
    if quota.left_out > 0 {
        tracing::warn!(token, left_out = quota.left_out, "token helper said more than is logged");
    }
}

/// How much may still be logged.
struct Quota {
    since: Instant,
    taken: u32,
    left_out: u64,
}

impl Quota {
    fn new(now: Instant) -> Self {
        Self { since: now, taken: 0, left_out: 0 }
    }

    /// Starts anew when its time is over; how many lines were left out, if any.
    fn roll(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) < WINDOW {
            return None;
        }
        let left_out = self.left_out;
        *self = Self::new(now);
        (left_out > 0).then_some(left_out)
    }

    /// Whether one more line may be logged.
    fn take(&mut self) -> bool {
        if self.taken == LINES {
            self.left_out += 1;
            return false;
        }
        self.taken += 1;
        true
    }
}

/// Lines that may be seen.
struct Lines<R> {
    from: R,
    quiet: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    async fn next(&mut self) -> Option<String> {
        loop {
            let mut line = Vec::new();
            if (&mut self.from).take(LINE).read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&line);
            match text.trim_end() {
                quiet::START => self.quiet = true,
                quiet::END => self.quiet = false,
                "" => {}
                _ if self.quiet => {}
                said => return Some(said.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
