//! Where the daemon's socket is: the same answer for client, daemon and tests.
use std::path::{Path, PathBuf};

/// The longest path a Unix socket can have on Linux, in bytes (`sun_path` less its NUL).
pub const PATH_MAX: usize = 107;
/// Where a system-wide daemon listens.
pub const SYSTEM: &str = "/run/touchmark/touchmarkd.sock";

/// The socket below a user's runtime directory.
#[must_use]
pub fn user(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("touchmark/touchmarkd.sock")
}

/// A path from the command line or the environment: plain, `unix:/path` or `unix:///path`.
#[must_use]
pub fn parse(written: &str) -> PathBuf {
    let path = written.strip_prefix("unix://").or_else(|| written.strip_prefix("unix:")).unwrap_or(written);
    PathBuf::from(path)
}

/// The client's choice: flag or `TOUCHMARK_SOCKET`, else the user's socket if it exists, else the system's.
#[must_use]
pub fn choose(written: Option<&str>, runtime_dir: Option<&Path>) -> PathBuf {
    if let Some(written) = written {
        return parse(written);
    }
    runtime_dir.map(user).filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(SYSTEM))
}
