//! Why there is no socket.

use std::io;
use std::path::PathBuf;

/// Why the socket could not be opened. Each text names the thing and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A daemon answers on the socket. A retry helps once it has stopped.
    #[error("a daemon serves {} already; stop it first, or give this one another socket", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket has the socket's name. It is never removed.
    #[error("{} exists and is no socket; move it away", .0.display())]
    NotASocket(PathBuf),
    /// The folder's path leads through a symbolic link.
    #[error("{} is reached through a symbolic link; write {} instead", .given.display(), .real.display())]
    Link {
        /// As configured.
        given: PathBuf,
        /// Where it leads.
        real: PathBuf,
    },
    /// The folder belongs to somebody else.
    #[error("{} belongs to uid {owner}, not to uid {wanted}; type: chown {wanted} {}", .path.display(), .path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who must own it.
        wanted: u32,
    },
    /// The folder belongs to another group than `socket-group`.
    #[error("{} belongs to group {group}, not to {wanted}; type: chgrp {wanted} {}", .path.display(), .path.display())]
    Group {
        /// The folder.
        path: PathBuf,
        /// Its group.
        group: u32,
        /// The configured group.
        wanted: u32,
    },
    /// Others can enter or change the folder.
    #[error("{} has mode {mode:04o}; type: chmod {wanted:04o} {}", .path.display(), .path.display())]
    Mode {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The bits it must have.
        wanted: u32,
    },
    /// Somebody else could swap a folder on the way.
    #[error("{} can be changed by others ({why}), so nothing below it can be trusted; use another folder", .path.display())]
    Way {
        /// The folder on the way.
        path: PathBuf,
        /// Whose it is.
        why: String,
    },
    /// The path is no folder.
    #[error("{} is no folder", .0.display())]
    NotAFolder(PathBuf),
    /// A system call failed.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    pub(super) fn io(what: &'static str, path: &std::path::Path, source: impl Into<io::Error>) -> Self {
        Self::Io { what, path: path.to_path_buf(), source: source.into() }
    }
}
