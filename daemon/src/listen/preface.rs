//! What the first 24 bytes of a connection say.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::secret::Handle;

/// Bytes of a preface.
pub(super) const LEN: usize = 24;
/// RFC 9113 section 3.4.
const HTTP2: &[u8; LEN] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A one-time handle of 16 bytes follows.
const SECRET: &[u8; 8] = b"TMSECRET";

/// What a connection is.
#[derive(Debug, PartialEq, Eq)]
pub enum Preface {
    /// gRPC; the bytes belong to it.
    Http2([u8; LEN]),
    /// One secret for whoever waits under this handle.
    Secret(Handle),
    /// Neither.
    Unknown,
}

impl Preface {
    /// Reads the meaning of 24 bytes.
    #[must_use]
    pub fn of(bytes: &[u8; LEN]) -> Self {
        if bytes == HTTP2 {
            return Self::Http2(*bytes);
        }
        match bytes.split_first_chunk() {
            Some((SECRET, rest)) => {
                rest.try_into().map_or(Self::Unknown, |handle| Self::Secret(Handle::from_bytes(handle)))
            }
            _ => Self::Unknown,
        }
    }
}

/// Whether a peer has sent these bytes already. Nothing is read.
pub(super) fn is_here(stream: &UnixStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes >= LEN as u64)
}

/// Reads exactly 24 bytes, and wipes them: whoever forgot the eight in front may have sent a secret.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Preface> {
    let mut bytes = Zeroizing::new([0; LEN]);
    stream.read_exact(bytes.as_mut_slice()).await?;
    Ok(Preface::of(&bytes))
}
