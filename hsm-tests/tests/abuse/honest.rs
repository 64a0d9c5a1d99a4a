//! Somebody who works: new connections, short calls and signatures, one after the other, each timed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hsm_tests::soak;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::UnixStream;
use tonic::Status;
use tonic::codegen::tokio_stream;
use tonic::transport::{Channel, Endpoint, Uri};
use touchmark_proto::v1;
use touchmark_proto::v1::audit_client::AuditClient;
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::sign_event::Event;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::v1::signer_client::SignerClient;

use crate::stage::{GUN, User};
use crate::standstill::{Span, Standstills};

/// How long a crowd is put up with (a busy machine is no failure here), and the pause between two tries.
const CROWDED: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(2);

/// A client that means well.
pub(crate) struct Honest {
    pub(crate) user: User,
    pub(crate) socket: PathBuf,
    pub(crate) document: Vec<u8>,
    pub(crate) key: String,
}

/// What it met.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) user: User,
    pub(crate) calls: Vec<(&'static str, Span)>,
    pub(crate) failures: Vec<String>,
}

impl Honest {
    /// Works until it is told to stop. The thread is that user from now on.
    pub(crate) fn work(self, stop: &AtomicBool) -> Worked {
        self.user.become_in_this_thread();
        let mut worked = Worked { user: self.user, calls: Vec::new(), failures: Vec::new() };
        runtime().block_on(async {
            let mut kept = None;
            while !stop.load(Ordering::Relaxed) {
                self.round(&mut kept, &mut worked).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        worked
    }

    /// One of everything. A connection is kept over the rounds, and one is new.
    async fn round(&self, kept: &mut Option<Channel>, worked: &mut Worked) {
        let fresh = worked.timed("connect and status", self.status_anew()).await;
        let channel = match kept.take().or(fresh) {
            Some(channel) => channel,
            None => return,
        };
        worked.timed("last", last(&channel)).await;
        worked.timed("sign", self.sign(&channel)).await;
        worked.timed("head", head(&channel)).await;
        *kept = Some(channel);
    }

    /// As the shipped client does it: a connection that is lost in a crowd before it was heard is opened once more.
    async fn status_anew(&self) -> Result<Channel, Status> {
        let began = Instant::now();
        loop {
            match status_of(&self.socket).await {
                Err(why) if is_lost(&why) && began.elapsed() < CROWDED => tokio::time::sleep(AGAIN).await,
                done => return done,
            }
        }
    }

    /// The document that was signed last once more: the same version with the same bytes.
    pub(crate) async fn sign(&self, channel: &Channel) -> Result<(), Status> {
        let open = Part::Open(open(&self.document, &self.key));
        let chunk = Part::Chunk(v1::Chunk { data: self.document.clone() });
        let parts = [open, chunk].map(|part| v1::SignRequest { part: Some(part) });
        let mut events =
            SignerClient::new(channel.clone()).sign(tokio_stream::iter(parts)).await?.into_inner();
        while let Some(event) = events.message().await? {
            if matches!(event.event, Some(Event::Signed(_))) {
                return Ok(());
            }
        }
        Err(Status::unknown("the stream ended before the signature"))
    }
}

impl Honest {
    /// One signature, in a thread that is this user.
    pub(crate) fn sign_once(&self) -> Result<(), String> {
        std::thread::scope(|threads| {
            let signing = threads.spawn(|| {
                self.user.become_in_this_thread();
                runtime().block_on(async { self.sign(&connect(&self.socket).await?).await })
            });
            signing.join().expect("a client").map_err(|why| said(&why))
        })
    }
}

impl Worked {
    async fn timed<T>(
        &mut self,
        what: &'static str,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Option<T> {
        let began = Instant::now();
        let done = tokio::time::timeout(Duration::from_secs(20), call).await;
        self.calls.push((what, (began, Instant::now())));
        let done = done.unwrap_or_else(|_| Err(Status::deadline_exceeded("20 seconds")));
        done.map_err(|why| self.failures.push(format!("{what}: {:?}: {}", why.code(), said(&why)))).ok()
    }
}

/// The median call and the worst one, in milliseconds in which the machine ran.
pub(crate) fn served(name: &str, worked: &[Worked], stood: &Standstills) -> (f64, f64) {
    let ms = |took: Duration| (took.as_secs_f64() * 1000.0).round();
    let mut took: Vec<f64> = Vec::new();
    for worked in worked {
        let all = worked.calls.iter().map(|(what, call)| (call.1 - call.0, what));
        let worst = all.max().expect("a call");
        soak::say(&format!("{name}: {:?}: {} calls, worst {worst:?}", worked.user, worked.calls.len()));
        took.extend(worked.calls.iter().map(|(_, call)| ms(stood.without(*call))));
    }
    took.sort_unstable_by(f64::total_cmp);
    assert!(took.len() > 4, "{name}: the honest clients were served {} times", took.len());
    let (median, worst, (all, longest)) = (took[took.len() / 2], took[took.len() - 1], stood.in_all());
    soak::say(&format!(
        "{name}: median {median} ms, worst {worst} ms, without the {} ms for which the machine stood still, {} at once",
        ms(all),
        ms(longest)
    ));
    (median, worst)
}

async fn status_of(socket: &Path) -> Result<Channel, Status> {
    let channel = connect(socket).await?;
    DaemonClient::new(channel.clone()).status(v1::StatusRequest {}).await?;
    Ok(channel)
}

/// Whether the connection is gone. What the daemon answers has no source.
fn is_lost(why: &Status) -> bool {
    std::error::Error::source(why).is_some()
}

/// The stable reason too, which the message does not have.
fn said(why: &Status) -> String {
    use std::error::Error as _;
    let reason = touchmark_proto::reason::Refusal::from_status(why);
    let source = why.source().map(|source| format!(" ({source:?})")).unwrap_or_default();
    format!("{reason:?} {}{source}", why.message())
}

/// A runtime in this thread: what it opens is this thread's user's.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A connection like the shipped client's: it waits in line where the socket's queue is full.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, Status> {
    let path = socket.to_path_buf();
    let connector = tower::service_fn(move |_: Uri| std::future::ready(in_line(&path).map(TokioIo::new)));
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connector).await.map_err(|why| Status::from_error(why.into()))
}

fn in_line(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

async fn last(channel: &Channel) -> Result<Vec<u8>, Status> {
    let request = v1::LastRequest { gun: GUN.to_owned(), role: "targets".to_owned(), ..Default::default() };
    let mut chunks = SignerClient::new(channel.clone()).last(request).await?.into_inner();
    let mut file = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        file.extend(chunk.data);
    }
    if file.is_empty() { Err(Status::not_found("nothing was signed")) } else { Ok(file) }
}

async fn head(channel: &Channel) -> Result<(), Status> {
    AuditClient::new(channel.clone()).head(v1::AuditHeadRequest::default()).await.map(|_| ())
}

/// The canonical bytes of what was signed last.
pub(crate) fn last_targets(socket: &Path) -> Vec<u8> {
    let file = runtime().block_on(async { last(&connect(socket).await?).await });
    let file = String::from_utf8(file.expect("what was signed last")).expect("JSON");
    // The envelope is {"signatures":[...],"signed":{...}} in one order or the other.
    let begin = file.find("\"signed\":").expect("the signed part") + "\"signed\":".len();
    let end = file.find(",\"signatures\":").filter(|at| *at > begin).unwrap_or(file.len() - 1);
    file.as_bytes()[begin..end].to_vec()
}

/// What announces this document.
pub(crate) fn open(document: &[u8], key: &str) -> v1::SignOpen {
    let document = v1::Document {
        role: "targets".to_owned(),
        key_ids: vec![key.to_owned()],
        length: u64::try_from(document.len()).expect("a length"),
        sha256: Sha256::digest(document).to_vec(),
    };
    v1::SignOpen {
        gun: GUN.to_owned(),
        documents: vec![document],
        bases: Vec::new(),
        accept_root: None,
        seen: Vec::new(),
    }
}
