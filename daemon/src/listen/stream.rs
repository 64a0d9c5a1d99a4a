//! A connection on its way to the gRPC server: what was read of it already comes first, and it ends when the
//! register says so.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::Peer;
use super::outlet::Outlet;
use super::preface::LEN as PREFACE_LEN;
use super::register::{Member, Requests};

/// An accepted connection of a known peer.
#[derive(Debug)]
pub struct Conn {
    stream: UnixStream,
    preface: [u8; PREFACE_LEN],
    given: usize,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How far the peer's first words have come.
    first: First,
    info: ConnInfo,
    /// Gives its place back when the connection ends.
    member: Member,
}

/// How far a peer's first words have come, behind its preface.
#[derive(Clone, Copy, Debug)]
enum First {
    OnTheWay,
    /// The server has them, and asks for more when it has read them.
    Read,
    /// Its tasks for them are to run before this connection's turn comes again.
    Begun,
    Heard,
}

/// What every request of a connection carries.
#[derive(Clone, Debug)]
pub struct ConnInfo {
    /// Who calls.
    pub peer: Arc<Peer>,
    /// Where its requests are counted.
    pub requests: Requests,
    /// Whether it takes answers.
    pub outlet: Arc<Outlet>,
}

impl Conn {
    pub(super) fn new(
        stream: UnixStream,
        preface: [u8; PREFACE_LEN],
        peer: Arc<Peer>,
        member: Member,
    ) -> Self {
        let info = ConnInfo { peer, requests: member.requests(), outlet: Arc::default() };
        let closing = Box::pin(member.closing().cancelled_owned());
        Self { stream, preface, given: 0, closing, first: First::OnTheWay, info, member }
    }

    /// Fails once the register wants the connection closed; else arranges to be woken then.
    fn is_open(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closing.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Conn {
    /// Tells the register when the first words were heard: the server has read them, and its tasks had their turn.
    fn hear(&mut self, read: &Poll<io::Result<()>>, cx: &Context<'_>) {
        self.first = match (self.first, read) {
            (First::OnTheWay, Poll::Ready(_)) => First::Read,
            (First::Read, _) => {
                cx.waker().wake_by_ref();
                First::Begun
            }
            (First::OnTheWay, Poll::Pending) | (First::Begun, _) => {
                self.member.was_heard();
                First::Heard
            }
            (First::Heard, _) => return,
        };
    }

    /// Tells the answers whether the socket takes them.
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(_) => self.info.outlet.drain(),
            Poll::Pending => self.info.outlet.fill(),
        }
        written
    }
}

impl Connected for Conn {
    type ConnectInfo = ConnInfo;

    fn connect_info(&self) -> ConnInfo {
        self.info.clone()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_open(cx)?;
        let rest = self.preface.get(self.given..).unwrap_or_default();
        if !rest.is_empty() && buf.remaining() > 0 {
            let part = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
            buf.put_slice(part);
            let given = part.len();
            self.given += given;
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.hear(&read, cx);
        read
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_open(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_open(cx)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
