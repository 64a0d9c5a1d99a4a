//! A server that behaves as badly as it is told to: HTTP over TLS, each answer from a closure.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::ca::Ca;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status, header lines and a body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Announces a body without an end, and sends it as long as anybody takes it.
    Endless,
    /// Answers a byte every half second, for ever.
    Drip,
    /// Takes the request and never answers.
    Silence,
    /// Cuts the connection in the middle of the body.
    Cut,
    /// Says something that is no HTTP.
    Nonsense,
}

impl Reply {
    /// Status 200 with this body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, Vec::new(), body.into())
    }

    /// A status with no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    /// A status with one header line and no body.
    #[must_use]
    pub fn header(status: u16, name: &str, value: &str) -> Self {
        Self::Answer(status, vec![(name.to_owned(), value.to_owned())], Vec::new())
    }
}

/// A running one, until the test process ends.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    sent: AtomicU64,
    requests: Mutex<Vec<String>>,
}

type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

impl Hostile {
    /// Serves TLS with a certificate of this CA; `script` turns a path into what is done.
    #[must_use]
    pub fn tls(ca: &Ca, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let pair = ca.issue();
        let certificate =
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("our certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("our key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("TLS versions").with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate], key).expect("a pair"));
        Self::serve(
            move |tcp, script, state| {
                if let Ok(connection) = ServerConnection::new(Arc::clone(&config)) {
                    answer(StreamOwned::new(connection, tcp), script, state).ok(); // the other side may go
                }
            },
            Arc::new(script),
        )
    }

    /// The same over plain HTTP.
    #[must_use]
    pub fn plain(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(|tcp, script, state| drop(answer(tcp, script, state)), Arc::new(script))
    }

    /// `localhost:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// How many bytes of bodies have been sent in all.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// The requests so far, each its first line and its headers.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    fn serve(talk: impl Fn(TcpStream, &Script, &State) + Send + Sync + 'static, script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of our own");
        let port = listener.local_addr().expect("its address").port();
        let (state, talk) = (Arc::new(State::default()), Arc::new(talk));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                tcp.set_nodelay(true).ok(); // what is written apart would wait for an acknowledgement
                let (talk, script, state) = (Arc::clone(&talk), Arc::clone(&script), Arc::clone(&shared));
                std::thread::spawn(move || talk(tcp, &script, &state));
            }
        });
        Self { port, state }
    }
}

/// One request, one reply, then the connection ends.
fn answer(mut stream: impl Read + Write, script: &Script, state: &State) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    state.requests.lock().unwrap().push(head);
    match script(&path) {
        Reply::Answer(status, headers, body) => {
            write!(
                stream,
                "HTTP/1.1 {status} Reply\r\nConnection: close\r\nContent-Length: {}\r\n",
                body.len()
            )?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            stream.write_all(b"\r\n")?;
            send(&mut stream, state, &body)
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"signed\":\"")?;
            loop {
                send(&mut stream, state, &[b'a'; 65_536])?;
            }
        }
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                send(&mut stream, state, b" ")?;
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        Reply::Silence => stream.read_exact(&mut byte), // until the other side gives up
        Reply::Cut => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"signed\":"),
        Reply::Nonsense => stream.write_all(b"\x15\x03\x01 220 mail.example.com ESMTP\r\n"),
    }?;
    stream.flush()
}

fn send(stream: &mut impl Write, state: &State, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()?;
    state.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}
