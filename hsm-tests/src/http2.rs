//! HTTP/2 by hand, for what no library sends: frames are written as they are, in any order, and nothing is read
//! unless it is asked for. RFC 9113 for frames, RFC 7541 for header blocks.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// What every connection begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
pub mod kind {
    /// Bytes of a request.
    pub const DATA: u8 = 0x0;
    /// A request's first frame.
    pub const HEADERS: u8 = 0x1;
    /// A stream is given up.
    pub const RST_STREAM: u8 = 0x3;
    /// Settings, or their acknowledgement.
    pub const SETTINGS: u8 = 0x4;
    /// A question for a sign of life.
    pub const PING: u8 = 0x6;
    /// The connection ends.
    pub const GOAWAY: u8 = 0x7;
    /// More may be sent.
    pub const WINDOW_UPDATE: u8 = 0x8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 0x9;
}

/// The last frame of a request's bytes (RFC 9113 section 6.1).
pub const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING: an answer (RFC 9113 sections 6.5 and 6.7).
pub const ACK: u8 = 0x1;
/// The last frame of a header block (RFC 9113 section 6.2).
pub const END_HEADERS: u8 = 0x4;
/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.5.2).
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// How long a frame may take to be written, or to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection on which anything may be said.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
}

/// A frame that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type, see [`kind`].
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Raw {
    /// A connection, and nothing said.
    ///
    /// # Errors
    /// The kernel's.
    pub fn silent(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// A connection with preface and settings.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(socket: &Path, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut raw = Self::silent(socket)?;
        raw.stream.write_all(PREFACE)?;
        let entries = settings.iter().flat_map(|(name, value)| {
            name.to_be_bytes().into_iter().chain(value.to_be_bytes()).collect::<Vec<u8>>()
        });
        raw.frame(kind::SETTINGS, 0, 0, &entries.collect::<Vec<u8>>())?;
        Ok(raw)
    }

    /// The socket itself.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Writes bytes that need not be a frame.
    ///
    /// # Errors
    /// The kernel's: the server has closed the connection, or reads nothing for 20 seconds.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// As for [`Raw::bytes`].
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame(kind, flags, stream, payload))
    }

    /// Begins a gRPC request for this path; its bytes are to follow.
    ///
    /// # Errors
    /// As for [`Raw::bytes`].
    pub fn request(&mut self, stream: u32, path: &str) -> io::Result<()> {
        self.frame(kind::HEADERS, END_HEADERS, stream, &header_block(path))
    }

    /// Makes a whole request with one message.
    ///
    /// # Errors
    /// As for [`Raw::bytes`].
    pub fn call(&mut self, stream: u32, path: &str, message: &[u8]) -> io::Result<()> {
        self.request(stream, path)?;
        self.frame(kind::DATA, END_STREAM, stream, &grpc(message))
    }

    /// The next frame of the server; `None` when it has closed the connection.
    ///
    /// # Errors
    /// The kernel's; nothing came for 20 seconds.
    pub fn read(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head) {
            Ok(()) => (),
            Err(why) if is_end(&why) => return Ok(None),
            Err(why) => return Err(why),
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Ok(Some(Frame { kind: head[3], flags: head[4], stream, payload }))
    }

    /// Whether the server has closed it; what it has sent is thrown away.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket that does not block");
        let mut waste = [0; 16 * 1024];
        let closed = loop {
            match self.stream.read(&mut waste) {
                Ok(0) => break true,
                Ok(_) => (),
                Err(why) => break why.kind() != io::ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).expect("a socket that blocks");
        closed
    }
}

fn is_end(why: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(why.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// A frame (RFC 9113 section 4.1): 24 bits of length, type, flags, stream, payload.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a gRPC request.
#[must_use]
pub fn header_block(path: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A header that no table keeps (RFC 7541 section 6.2.2), its strings not Huffman-coded (section 5.2).
#[must_use]
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x00];
    for text in [name, value] {
        bytes.extend(integer(0x00, 7, text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// An integer behind the bits of `first`, in the `prefix` bits that they leave (RFC 7541 section 5.1).
#[must_use]
pub fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << prefix) - 1;
    let byte = |value: usize| u8::try_from(value).expect("at most seven bits and a flag");
    if value < most {
        return vec![first | byte(value)];
    }
    let (mut bytes, mut rest) = (vec![first | byte(most)], value - most);
    while rest >= 128 {
        bytes.push(byte(rest % 128) | 0x80);
        rest /= 128;
    }
    bytes.push(byte(rest));
    bytes
}

/// A gRPC message on the wire: not compressed, four bytes of length, then itself.
#[must_use]
pub fn grpc(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).expect("a message's length").to_be_bytes());
    bytes.extend(message);
    bytes
}

#[cfg(test)]
mod tests;
