//! HTTPS as Docker's own files configure it: verified always, with a deadline and a cap on every answer,
//! credentials only where they belong. Knows no trust documents and no images.
pub(crate) mod auth;
mod error;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use self::error::{HttpError, Login, Peer};
use crate::image::Host;

/// How long one request, or one whole read of trust data, may take in all.
pub const TOTAL: Duration = Duration::from_secs(45);
const CONNECT: Duration = Duration::from_secs(15);
const REDIRECTS: usize = 5;
/// What `localhost` and names below it stand for (RFC 6761, section 6.3); the port is the URL's.
const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
];

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `length` from now.
    #[must_use]
    pub fn after(length: Duration) -> Self {
        Self(Instant::now() + length)
    }

    /// This deadline, or `length` from now if that is earlier.
    #[must_use]
    pub fn within(self, length: Duration) -> Self {
        Self(self.0.min(Instant::now() + length))
    }

    /// The moment itself.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0
    }
}

/// One request. Its body is small enough to be held.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, HEAD, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// Where; https, or http on loopback.
    pub url: Url,
    /// More headers than the ones of every request.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
    /// The registry whose credentials may be used.
    pub account: Host,
    /// What is asked for, in the token servers' words: `repository:NAME:pull`. The server's own wish goes first.
    pub scope: String,
    /// When to give up.
    pub deadline: Deadline,
}

impl Request {
    /// A GET without further headers.
    #[must_use]
    pub fn get(url: Url, account: Host, scope: String, deadline: Deadline) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            account,
            scope,
            deadline,
        }
    }
}

/// An answer that was read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most as long as the cap.
    pub body: Bytes,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Incoming {
    response: reqwest::Response,
    host: String,
}

/// The way out. Cheap to clone; connections and tokens are shared.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    docker_dir: PathBuf,
    clients: Mutex<HashMap<String, reqwest::Client>>,
    tokens: Mutex<HashMap<(String, String), HeaderValue>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.0.docker_dir.display())
    }
}

impl Http {
    /// With the TLS material and credentials below Docker's folder (`~/.docker`). Reads nothing yet.
    #[must_use]
    pub fn new(docker_dir: PathBuf) -> Self {
        Self(Arc::new(Shared { docker_dir, clients: Mutex::default(), tokens: Mutex::default() }))
    }

    /// Docker's folder.
    #[must_use]
    pub fn docker_dir(&self) -> &Path {
        &self.0.docker_dir
    }

    /// Asks and reads the whole answer, at most `cap` bytes.
    ///
    /// # Errors
    /// No answer, a wrong one, or one that is too long or too slow. A status is no error, but 401 after the
    /// credentials were shown is.
    pub async fn fetch(&self, request: &Request, cap: u64) -> Result<Answer, HttpError> {
        let mut incoming = self.open(request).await?;
        let (status, headers) = (incoming.status(), incoming.headers().clone());
        if incoming.response.content_length().is_some_and(|length| length > cap)
            && request.method != Method::HEAD
        {
            return Err(HttpError::TooLarge { host: incoming.host, limit: cap });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = incoming.chunk(request.deadline).await? {
            if u64::try_from(body.len() + chunk.len()).is_ok_and(|length| length > cap) {
                return Err(HttpError::TooLarge { host: incoming.host, limit: cap });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Asks and returns as soon as the head of the answer is there. Logs in once where the server wants it, and
    /// follows redirects of GET and HEAD, without credentials to any other server.
    ///
    /// # Errors
    /// As [`Http::fetch`].
    pub async fn open(&self, request: &Request) -> Result<Incoming, HttpError> {
        let mut url = request.url.clone();
        let known = (authority(&url), request.scope.clone());
        let mut authorization = lock(&self.0.tokens).get(&known).cloned();
        let mut login = Login::NotTried;
        let mut redirects = 0;
        loop {
            let at_home = same_server(&url, &request.url);
            let shown = authorization.as_ref().filter(|_| at_home);
            let response = self.send(request, &url, shown).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && at_home {
                if login != Login::NotTried {
                    return Err(self.unauthorized(request, login));
                }
                let (value, how) = self.log_in(request, response.headers()).await?;
                login = how;
                lock(&self.0.tokens).insert(known.clone(), value.clone());
                authorization = Some(value);
            } else if status == StatusCode::UNAUTHORIZED {
                return Err(HttpError::Redirect {
                    host: authority(&url),
                    why: "leads to a server that wants a login",
                });
            } else if is_redirect(status) && is_safe(&request.method) {
                redirects += 1;
                url = next_hop(&url, response.headers(), redirects)?;
            } else {
                return Ok(Incoming { response, host: authority(&url) });
            }
        }
    }

    async fn send(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Response, HttpError> {
        let host = authority(url);
        if url.scheme() != "https" && !is_loopback(url) {
            return Err(HttpError::Plain { host });
        }
        let mut builder = self.client(url)?.request(request.method.clone(), url.clone());
        builder = builder.headers(request.headers.clone());
        if let Some(value) = authorization {
            if url.scheme() != "https" {
                return Err(HttpError::Plain { host });
            }
            builder = builder.header(AUTHORIZATION, value.clone());
        }
        if !is_safe(&request.method) {
            builder = builder.body(request.body.clone());
        }
        match timeout_at(request.deadline.at(), builder.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(cause)) => Err(HttpError::from_reqwest(&cause, host, &self.0.docker_dir)),
            Err(_) => Err(HttpError::Timeout { host }),
        }
    }

    fn unauthorized(&self, request: &Request, login: Login) -> HttpError {
        HttpError::Unauthorized { host: authority(&request.url), account: request.account.clone(), login }
    }

    /// The client for a server: its own CAs and client certificate.
    fn client(&self, url: &Url) -> Result<reqwest::Client, HttpError> {
        let key = authority(url);
        if let Some(client) = lock(&self.0.clients).get(&key) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("touchmark/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT)
            .tls_backend_preconfigured(tls::config(&self.0.docker_dir, &key)?);
        if is_loopback(url) {
            builder = builder.no_proxy(); // as Go does: a proxy's loopback is another machine
            if let Some(name) = url.domain() {
                // What may go in the clear to this machine must not leave it because a resolver says so.
                builder = builder.resolve_to_addrs(name, &LOOPBACK);
            }
        }
        let client = builder
            .build()
            .map_err(|cause| HttpError::from_reqwest(&cause, key.clone(), &self.0.docker_dir))?;
        lock(&self.0.clients).insert(key, client.clone());
        Ok(client)
    }
}

impl Incoming {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or the deadline passed.
    pub async fn chunk(&mut self, deadline: Deadline) -> Result<Option<Bytes>, HttpError> {
        match timeout_at(deadline.at(), self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(cause)) => {
                Err(HttpError::Broken { host: self.host.clone(), cause: error::root_cause(&cause) })
            }
            Err(_) => Err(HttpError::Timeout { host: self.host.clone() }),
        }
    }
}

/// `host[:port]` as in the URL: the name of the folder with the server's TLS material.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    authority(url).parse::<Host>().is_ok_and(|host| host.is_loopback())
}

fn same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn is_safe(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn next_hop(from: &Url, headers: &HeaderMap, count: usize) -> Result<Url, HttpError> {
    let wrong = |why| HttpError::Redirect { host: authority(from), why };
    if count > REDIRECTS {
        return Err(wrong("does not end"));
    }
    let location =
        headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(|| wrong("leads nowhere"))?;
    let next = from.join(location).map_err(|_| wrong("leads nowhere"))?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(wrong("leads away from https"));
    }
    Ok(next)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
