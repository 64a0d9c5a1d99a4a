//! A trust server that can be read and takes no upload: it breaks the connection at each POST. What a client that
//! was cut off between signing and publishing has seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hsm_tests::ca::Ca;
use hsm_tests::http::Request;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The front of another trust server. Its thread ends with the test's process.
pub(crate) struct ReadOnly {
    port: u16,
    refused: Arc<AtomicUsize>,
}

impl ReadOnly {
    /// In front of the server at `url`, with a certificate of the same CA.
    pub(crate) fn before(url: String, ca: Arc<Ca>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let refused = Arc::new(AtomicUsize::new(0));
        let (count, config) = (Arc::clone(&refused), config(&ca));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, ca, url, count) = (config.clone(), ca.clone(), url.clone(), count.clone());
                // A client that goes away early is none of this thread's business.
                std::thread::spawn(move || serve(connection, config, &ca, &url, &count).ok());
            }
        });
        Self { port, refused }
    }

    /// `https://localhost:PORT`
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    /// `localhost:PORT`
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Uploads that were cut off.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

fn config(ca: &Ca) -> Arc<ServerConfig> {
    let pair = ca.issue();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("our certificate");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("our key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("TLS versions").with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key).expect("our certificate and key"))
}

fn serve(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    ca: &Ca,
    url: &str,
    refused: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, tcp));
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    if method == "POST" {
        refused.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    let answer = Request { ca: Some(ca), method: &method, ..Request::get(&format!("{url}{path}")) }.send()?;
    let head = format!(
        "HTTP/1.1 {} -\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.body.len()
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(&answer.body)?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}
