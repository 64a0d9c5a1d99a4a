//! The way to the daemon's socket: a place in its queue.

use std::io;
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixStream;

/// How long one try waits in the queue.
const QUEUED: Duration = Duration::from_secs(1);

/// Connects. Where the queue is full this waits in line, where a non-blocking `connect` would be sent away (EAGAIN)
/// and find the place taken by others whenever it comes back.
///
/// # Errors
/// The kernel's own; `WouldBlock` when the queue was full for a second.
pub(super) async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let socket = socket.to_path_buf();
    // A thread of its own waits: the command can be ended meanwhile.
    let stream =
        tokio::task::spawn_blocking(move || wait_in_line(&socket)).await.map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn wait_in_line(path: &Path) -> io::Result<Blocking> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(QUEUED))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(Blocking::from(socket))
}

#[cfg(test)]
mod tests;
