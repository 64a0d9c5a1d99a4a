//! What a helper's module prints, into the daemon's log: line by line, cut to size, nothing about secrets.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;

use crate::token::quiet;

/// Bytes of a line that are logged; modules dump whole buffers.
const LINE: u64 = 400;

/// Logs until the helper ends.
pub(super) async fn log(token: String, words: ChildStderr) {
    let mut lines = Lines { from: BufReader::new(words), quiet: false };
    while let Some(line) = lines.next().await {
        tracing::info!(token, line = %touchmark_tuf::shown(&line), "token helper says");
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
