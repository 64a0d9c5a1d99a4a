//! One socket at one path, and only one daemon on it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::ListenError;
use super::folder::{Opening, prepare};

/// Connections that may wait at the door. In a flood a newcomer waits behind these at most, some milliseconds; with
/// the kernel's thousands it would be a good part of a second. Whoever finds the queue full waits for it in `connect`.
const QUEUE: i32 = 64;

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Place {
    /// Absolute path of the socket.
    pub path: PathBuf,
    /// Who may reach it beside the owner.
    pub opening: Opening,
    /// The uid that we run as.
    pub own_uid: u32,
}

/// A listening socket with the lock that keeps other daemons away from its path.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
    /// Held, never read: the kernel lets go of it when we end, however we end.
    _lock: File,
}

impl Place {
    /// Prepares the folder, takes the lock, removes a dead socket and listens.
    ///
    /// # Errors
    /// [`ListenError::InUse`] when a daemon answers there or is about to; nothing but a dead socket is removed.
    pub fn bind(&self) -> Result<Bound, ListenError> {
        let path = &self.path;
        let folder = path.parent().unwrap_or(Path::new("/"));
        prepare(folder, self.opening, self.own_uid)?;
        let lock = self.lock()?;
        self.remove_dead()?;
        let listener = UnixListener::bind(path)
            .and_then(with_queue)
            .map_err(|e| ListenError::io("cannot listen on", path, e))?;
        self.open_up()?;
        Ok(Bound { listener, path: path.clone(), _lock: lock })
    }

    fn lock(&self) -> Result<File, ListenError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        let name = PathBuf::from(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&name)
            .map_err(|e| ListenError::io("cannot open", &name, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(Errno::WOULDBLOCK) => Err(ListenError::InUse(self.path.clone())),
            Err(error) => Err(ListenError::io("cannot lock", &name, error)),
        }
    }

    fn remove_dead(&self) -> Result<(), ListenError> {
        let path = &self.path;
        let found = match std::fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ListenError::io("cannot look at", path, error)),
        };
        if !found.file_type().is_socket() {
            return Err(ListenError::NotASocket(path.clone()));
        }
        if answers(path)? {
            return Err(ListenError::InUse(path.clone()));
        }
        std::fs::remove_file(path).map_err(|e| ListenError::io("cannot remove the dead socket", path, e))
    }

    /// The folder is ours alone or the group's, so nobody else got in between `bind` and here.
    fn open_up(&self) -> Result<(), ListenError> {
        let mode = match self.opening {
            Opening::Own => 0o600,
            Opening::Group(gid) => {
                std::os::unix::fs::chown(&self.path, None, Some(gid))
                    .map_err(|e| ListenError::io("cannot give to socket-group", &self.path, e))?;
                0o660
            }
        };
        rustix::fs::chmod(&self.path, Mode::from_raw_mode(mode))
            .map_err(|e| ListenError::io("cannot set the mode of", &self.path, e))
    }
}

/// Whether somebody listens. Never waits: a full queue is an answer.
fn answers(path: &Path) -> Result<bool, ListenError> {
    let refuse = |e: Errno| ListenError::io("cannot try", path, e);
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(refuse)?;
    let address = SocketAddrUnix::new(path).map_err(refuse)?;
    match rustix::net::connect(&socket, &address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(true),
        Err(error) => Err(refuse(error)),
    }
}

impl Bound {
    /// For tokio: the same socket, non-blocking. Dropping `Bound` removes the path, so keep it.
    ///
    /// # Errors
    /// When the kernel refuses a second descriptor.
    pub fn listener(&self) -> std::io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // The lock is still held: the socket at this path is ours.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the socket was not removed");
        }
    }
}

/// The socket that systemd opened for us, if it did (`LISTEN_FDS`). To be called before threads are started.
///
/// # Errors
/// When the descriptor is no listening Unix socket.
pub fn activated() -> std::io::Result<Option<UnixListener>> {
    listenfd::ListenFd::from_env().take_unix_listener(0)?.map(with_queue).transpose()
}

/// A listening socket may be told to listen again, and then has the new queue.
fn with_queue(listener: UnixListener) -> std::io::Result<UnixListener> {
    rustix::net::listen(&listener, QUEUE)?;
    Ok(listener)
}
