//! A front before a real server, over TLS: passes requests on, and does to some of them what a test wants. What a
//! client has seen that was cut off, killed or lied to on the way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::ca::Ca;
use crate::http::Request;

const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of one request.
#[derive(Clone)]
pub enum Way {
    /// It is passed on, and its answer comes back.
    Pass,
    /// It is not passed on, and the connection ends.
    Cut,
    /// It is not passed on, and no answer ever comes.
    Silence,
    /// It is passed on, and its answer never comes back.
    Swallow,
    /// It is passed on, and the body of its answer is changed.
    Change(Change),
}

/// What is done to a body.
pub type Change = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
/// Turns `GET /v2/...` into what becomes of it. May take its time.
type Rule = Arc<dyn Fn(&str) -> Way + Send + Sync>;

/// The front. Its threads end with the test's process.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    port: u16,
    url: String,
    ca: Arc<Ca>,
    rule: Mutex<Rule>,
    /// Requests that got as far as they get: passed, cut, swallowed.
    done: Mutex<Vec<String>>,
    news: Condvar,
}

impl Front {
    /// In front of the server at `url`, with a certificate of the same CA; everything passes.
    #[must_use]
    pub fn before(url: String, ca: Arc<Ca>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let config = config(&ca);
        let rule: Rule = Arc::new(|_| Way::Pass);
        let shared =
            Shared { port, url, ca, rule: Mutex::new(rule), done: Mutex::default(), news: Condvar::new() };
        let front = Self(Arc::new(shared));
        let ours = front.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (front, config) = (ours.clone(), Arc::clone(&config));
                // A client that goes away early is none of this thread's business.
                std::thread::spawn(move || front.serve(connection, config).ok());
            }
        });
        front
    }

    /// `https://localhost:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    /// `localhost:PORT`
    #[must_use]
    pub fn host(&self) -> String {
        format!("localhost:{}", self.0.port)
    }

    /// What becomes of requests from now on; `METHOD /path` each. Forgets those so far.
    pub fn rule(&self, rule: impl Fn(&str) -> Way + Send + Sync + 'static) {
        *self.0.rule.lock().unwrap() = Arc::new(rule);
        self.0.done.lock().unwrap().clear();
    }

    /// Everything passes again.
    pub fn pass(&self) {
        self.rule(|_| Way::Pass);
    }

    /// How many requests that begin so have got as far as they get.
    #[must_use]
    pub fn count(&self, begin: &str) -> usize {
        self.0.done.lock().unwrap().iter().filter(|one| one.starts_with(begin)).count()
    }

    /// Waits for a request that begins and ends so to get as far as it gets.
    ///
    /// # Panics
    /// When none comes for a minute.
    #[track_caller]
    pub fn wait_for(&self, begin: &str, end: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut done = self.0.done.lock().unwrap();
        while !done.iter().any(|one| one.starts_with(begin) && one.ends_with(end)) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {begin}...{end} came: {done:?}");
            done = self.0.news.wait_timeout(done, left).unwrap().0;
        }
    }

    fn done(&self, what: String) {
        self.0.done.lock().unwrap().push(what);
        self.0.news.notify_all();
    }

    fn serve(&self, tcp: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
        tcp.set_nodelay(true)?; // what is written apart would wait for an acknowledgement
        let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, tcp));
        let (line, headers) = head(&mut stream)?;
        let length = header(&headers, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let rule = Arc::clone(&self.0.rule.lock().unwrap());
        let way = rule(&line);
        match way {
            Way::Cut => {
                self.done(line);
                return Ok(());
            }
            Way::Silence => {
                self.done(line);
                return stream.read_to_end(&mut Vec::new()).map(drop); // until the client goes
            }
            Way::Pass | Way::Swallow | Way::Change(_) => {}
        }
        let url = format!("{}{path}", self.0.url);
        let kept: Vec<(&str, &str)> = ["content-type", "accept"]
            .iter()
            .filter_map(|name| Some((*name, header(&headers, name)?)))
            .collect();
        let request =
            Request { method, headers: &kept, body: &body, ca: Some(&self.0.ca), ..Request::get(&url) };
        let mut answer = request.send()?;
        match way {
            Way::Swallow => {
                self.done(line.clone());
                return stream.read_to_end(&mut Vec::new()).map(drop);
            }
            Way::Change(change) => answer.body = change(answer.body),
            Way::Pass | Way::Cut | Way::Silence => {}
        }
        let head = format!(
            "HTTP/1.1 {} -\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        let stream = stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(&answer.body)?;
        stream.flush()?;
        self.done(line.clone());
        stream.conn.send_close_notify();
        stream.flush()
    }
}

/// `METHOD /path` and the headers, names in lower case.
fn head(stream: &mut impl BufRead) -> std::io::Result<(String, Vec<(String, String)>)> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let line = first.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        match header.trim().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok((line, headers)),
        }
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
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
