//! Bytes from a descriptor that somebody else opened: a pipe, a file, a socket, a terminal. Never blocks the
//! runtime, reads one byte at a time so that what follows the line stays for the next reader.
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::unix::AsyncFd;

use super::{PromptError, Source};

/// An open input.
#[derive(Debug)]
pub(super) struct Input {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A regular file or a device that is always ready.
    Ready(OwnedFd),
    /// A pipe, opened anew: not blocking without changing it for those who share it.
    Pipe(AsyncFd<OwnedFd>),
    /// A socket (`ssh host touchmark ... --pin-stdin`), which cannot be opened anew.
    Socket(AsyncFd<OwnedFd>),
}

impl Input {
    /// Opens the input that `source` names.
    pub(super) fn open(source: Source) -> Result<Self, PromptError> {
        let (name, number) = match source {
            Source::Fd(number) => (format!("descriptor {number}"), number),
            Source::Stdin | Source::Terminal => ("standard input".to_owned(), 0),
        };
        match Self::kind(number) {
            Ok(kind) => Ok(Self { name, kind }),
            Err(source) => Err(PromptError::Io { from: name, source }),
        }
    }

    fn kind(number: i32) -> io::Result<Kind> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(format!("/dev/fd/{number}"), flags, Mode::empty()) {
            Ok(fd) => match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
                FileType::RegularFile => Ok(Kind::Ready(fd)),
                FileType::CharacterDevice if !rustix::termios::isatty(&fd) => Ok(Kind::Ready(fd)),
                _ => Ok(Kind::Pipe(watched(fd)?)),
            },
            Err(Errno::NXIO) if number == 0 => {
                Ok(Kind::Socket(watched(rustix::io::dup(rustix::stdio::stdin())?)?))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// The next byte, or `None` at the end.
    pub(super) async fn byte(&mut self) -> Result<Option<u8>, PromptError> {
        let read = match &self.kind {
            Kind::Ready(fd) => once(|byte| rustix::io::read(fd, byte)).map_err(io::Error::from),
            Kind::Pipe(fd) => when_ready(fd, |byte| rustix::io::read(fd.get_ref(), byte)).await,
            Kind::Socket(fd) => {
                when_ready(fd, |byte| {
                    rustix::net::recv(fd.get_ref(), byte, RecvFlags::DONTWAIT).map(|(count, _)| count)
                })
                .await
            }
        };
        read.map_err(|source| PromptError::Io { from: self.name.clone(), source })
    }
}

/// A descriptor whose readiness the runtime reports.
#[allow(
    deprecated,
    reason = "its unsoundness is in types that close or replace their descriptor, which an OwnedFd behind a shared \
              reference does not; the successor wants `unsafe`"
)]
pub(super) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

fn once(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Option<u8>> {
    let mut byte = zeroize::Zeroizing::new([0_u8; 1]);
    let count = rustix::io::retry_on_intr(|| read(byte.as_mut_slice()))?;
    Ok(byte.first().copied().filter(|_| count > 0))
}

/// Reads first and waits second: a pipe whose writer has gone before we came never becomes ready.
pub(super) async fn when_ready(
    fd: &AsyncFd<OwnedFd>,
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Option<u8>> {
    loop {
        match once(&read) {
            Err(Errno::AGAIN) => fd.readable().await?.clear_ready(),
            other => return other.map_err(io::Error::from),
        }
    }
}
