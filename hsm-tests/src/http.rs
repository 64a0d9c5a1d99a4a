//! Just enough HTTP/1.1 to ask a server on this machine: one request, one connection.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::ca::Ca;

/// How long a server may take for a part of its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request to `http(s)://localhost:PORT/...` or `http(s)://127.0.0.1:PORT/...`.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// GET, PUT, ...
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// Header lines besides Host, Connection and Content-Length.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; may be empty.
    pub body: &'a [u8],
    /// Who vouches for an `https` server.
    pub ca: Option<&'a Ca>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the server's order.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A plain GET.
    #[must_use]
    pub fn get(url: &'a str) -> Self {
        Self { method: "GET", url, headers: &[], body: &[], ca: None }
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// Whatever the connection, TLS or the server's answer has wrong with it.
    pub fn send(&self) -> std::io::Result<Answer> {
        let (scheme, rest) = self.url.split_once("://").expect("a URL with its scheme");
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = authority.rsplit_once(':').expect("a URL with its port");
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().expect("a port number")))?;
        tcp.set_nodelay(true)?; // head and body are written apart: the second would wait for an acknowledgement
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let head = self.head(authority, path);
        match scheme {
            "http" => converse(tcp, &head, self.body),
            "https" => converse(tls(tcp, host, self.ca.expect("https needs a CA"))?, &head, self.body),
            other => panic!("no scheme {other}"),
        }
    }

    fn head(&self, authority: &str, path: &str) -> String {
        let path = if path.is_empty() { "/" } else { path };
        let mut head =
            format!("{} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n", self.method);
        for (name, value) in self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", self.body.len()).unwrap();
        head
    }
}

impl Answer {
    /// The value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer itself if it has this status; anything else fails the test with the body.
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "the server answered: {}", self.text());
        self
    }
}

fn tls(tcp: TcpStream, host: &str, ca: &Ca) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.der().to_vec())).expect("our own CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("TLS versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).expect("a host name");
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    Ok(StreamOwned::new(connection, tcp))
}

fn converse(mut stream: impl Read + Write, head: &str, body: &[u8]) -> std::io::Result<Answer> {
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // Go's servers end a TLS connection without close_notify; the length below says if anything is missing.
        Err(why) if why.kind() != std::io::ErrorKind::UnexpectedEof => Err(why),
        _ => parse(&bytes).ok_or_else(|| std::io::Error::other("not a whole HTTP answer")),
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let answer = Answer { status, headers, body: Vec::new() };
    let body = match (answer.header("transfer-encoding"), answer.header("content-length")) {
        (Some("chunked"), _) => unchunk(body)?,
        (_, Some(length)) => body.get(..length.parse().ok()?)?.to_vec(),
        _ => body.to_vec(),
    };
    Some(Answer { body, ..answer })
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(line + 2..line + 2 + length)?);
        bytes = bytes.get(line + 2 + length + 2..)?;
    }
}
