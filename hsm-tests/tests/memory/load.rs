//! Eight clients that keep a daemon busy, and what its signatures were at the moment of a scan.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hsm_tests::scan::{Findings, Needles, Signed};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::iter;
use tonic::transport::{Channel, Endpoint};
use touchmark_proto::v1;
use touchmark_proto::v1::audit_client::AuditClient;
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_tuf::{Document as _, Expires, Snapshot, Targets, Unverified};

const GO_ON: Ordering = Ordering::Relaxed;
/// Clients that ask for everything but signatures.
const OTHERS: usize = 4;

/// A role whose next version one client has signed over and over.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) gun: String,
    pub(crate) role: &'static str,
    pub(crate) key_id: String,
    pub(crate) key: [u8; 32],
    /// What the key is called among the needles.
    pub(crate) label: String,
}

impl Seat {
    /// Whether the key is found in locked memory, whole.
    pub(crate) fn is_seen_in(&self, findings: &Findings) -> bool {
        let name = format!("{}, big endian", self.label);
        findings.protected.iter().any(|hit| hit.needle == name && hit.len == 32)
    }
}

/// Requests from all clients until it is stopped.
pub(crate) struct Load {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    /// What each signer was answered lately, oldest first.
    made: Vec<Arc<Mutex<Vec<Signed>>>>,
    others: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
    keys: Vec<[u8; 32]>,
}

impl Load {
    /// One client signs for each seat. `stray` goes to a handle that nobody gave out.
    pub(crate) fn start(socket: &Path, seats: &[Seat], stray: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (mut made, mut tasks) = (Vec::new(), Vec::new());
        for seat in seats.iter().cloned() {
            let channel = runtime.block_on(async { connect(socket) });
            let file = runtime.block_on(last(channel.clone(), &seat.gun, seat.role));
            let (mut document, stop) = (Document::of(seat.role, &file), Arc::clone(&stop));
            let list = Arc::<Mutex<Vec<Signed>>>::default();
            made.push(Arc::clone(&list));
            tasks.push(runtime.spawn(async move {
                while !stop.load(GO_ON) {
                    // What was signed before would be given out as it was.
                    let bytes = document.next();
                    let signature = sign(channel.clone(), &seat, &bytes).await;
                    lock(&list).push(Signed { digest: Sha256::digest(&bytes).into(), signature });
                }
            }));
        }
        let others = Arc::new(AtomicU64::new(0));
        for _ in 0..OTHERS {
            let (channel, stop) = (runtime.block_on(async { connect(socket) }), Arc::clone(&stop));
            let (count, socket, stray) = (Arc::clone(&others), socket.to_owned(), stray.to_owned());
            let (gun, key) = (seats[0].gun.clone(), seats[1].key_id.clone());
            tasks.push(runtime.spawn(async move {
                while !stop.load(GO_ON) {
                    everything_else(channel.clone(), &socket, &stray, &gun, &key).await;
                    count.fetch_add(1, GO_ON);
                }
            }));
        }
        let keys = seats.iter().map(|seat| seat.key).collect();
        Self { runtime, stop, made, others, tasks, keys }
    }

    /// Takes something of a moment, and says which nonces were in use around it: the signatures that were under way
    /// came out as the next ones.
    pub(crate) fn around<T>(&self, moment: impl FnOnce() -> T) -> (T, Needles) {
        for list in &self.made {
            let mut list = lock(list);
            let old = list.len().saturating_sub(1);
            list.drain(..old);
        }
        let taken = moment();
        let before: Vec<_> = self.made.iter().map(|list| lock(list).len()).collect();
        // One may have been answered before and counted after; the one after it was begun later than the moment.
        let ends: Vec<_> = before.iter().map(|count| count + 2).collect();
        while self.made.iter().zip(&ends).any(|(list, end)| lock(list).len() < *end) {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a task has failed");
            std::thread::sleep(Duration::from_millis(1)); // the daemon needs the processor
        }
        let made = self.made.iter().zip(ends).map(|(list, end)| lock(list)[..end].to_vec());
        let needles = made
            .zip(&self.keys)
            .fold(Needles::default(), |needles, (signed, key)| needles.nonces(key, &signed));
        (taken, needles)
    }

    /// Ends all requests; how many of those that do not sign there were.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, GO_ON);
        for task in self.tasks {
            self.runtime.block_on(task).unwrap();
        }
        self.others.load(GO_ON)
    }
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap()
}

fn connect(socket: &Path) -> Channel {
    Endpoint::try_from(format!("unix:{}", socket.display())).unwrap().connect_lazy()
}

/// A document that gets older.
enum Document {
    Targets(Targets),
    Snapshot(Snapshot),
}

impl Document {
    fn of(role: &str, file: &[u8]) -> Self {
        match role {
            "snapshot" => Self::Snapshot(unverified(file)),
            _ => Self::Targets(unverified(file)),
        }
    }

    /// The canonical bytes of the next version: the same, good for a second less.
    fn next(&mut self) -> Vec<u8> {
        let (version, expires) = match self {
            Self::Targets(targets) => (&mut targets.version, &mut targets.expires),
            Self::Snapshot(snapshot) => (&mut snapshot.version, &mut snapshot.expires),
        };
        *version = version.next().unwrap();
        *expires = Expires::at(expires.instant().minus(Duration::from_secs(1)));
        match self {
            Self::Targets(targets) => targets.write(),
            Self::Snapshot(snapshot) => snapshot.write(),
        }
    }
}

fn unverified<D: touchmark_tuf::Document + Clone>(file: &[u8]) -> D {
    Unverified::<D>::parse(file).unwrap().document_unverified().clone()
}

/// The file of the document that the daemon last signed.
async fn last(channel: Channel, gun: &str, role: &str) -> Vec<u8> {
    let request = v1::LastRequest { gun: gun.to_owned(), role: role.to_owned(), ..Default::default() };
    let mut chunks = SignerClient::new(channel).last(request).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        file.extend_from_slice(&chunk.data);
    }
    file
}

/// The signature of a document.
async fn sign(channel: Channel, seat: &Seat, bytes: &[u8]) -> [u8; 64] {
    let request = request(&seat.gun, seat.role, &seat.key_id, bytes);
    let mut events = SignerClient::new(channel).sign(iter(request)).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(v1::sign_event::Event::Signed(signed)) = event.event {
            return signed.documents[0].signatures[0].signature.clone().try_into().expect("r and s");
        }
    }
    panic!("the daemon signed nothing");
}

fn request(gun: &str, role: &str, key_id: &str, bytes: &[u8]) -> Vec<v1::SignRequest> {
    let document = v1::Document {
        role: role.to_owned(),
        key_ids: vec![key_id.to_owned()],
        length: bytes.len() as u64,
        sha256: Sha256::digest(bytes).to_vec(),
    };
    let open = v1::SignOpen { gun: gun.to_owned(), documents: vec![document], ..Default::default() };
    let parts = [Part::Open(open), Part::Chunk(v1::Chunk { data: bytes.to_vec() })];
    parts.map(|part| v1::SignRequest { part: Some(part) }).into()
}

/// What other callers ask for meanwhile, refusals among it.
async fn everything_else(channel: Channel, socket: &Path, stray: &str, gun: &str, foreign_key: &str) {
    DaemonClient::new(channel.clone()).status(v1::StatusRequest::default()).await.unwrap();
    KeysClient::new(channel.clone()).list(v1::ListKeysRequest {}).await.unwrap();
    let rows = v1::AuditReadRequest { from_seq: 0, limit: 20 };
    let mut rows = AuditClient::new(channel.clone()).read(rows).await.unwrap().into_inner();
    while rows.message().await.unwrap().is_some() {}
    let targets: Targets = unverified(&last(channel.clone(), gun, "targets").await);
    let parts = request(gun, "targets", foreign_key, &targets.write());
    let refused = async {
        let mut events = SignerClient::new(channel.clone()).sign(iter(parts)).await?.into_inner();
        while events.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    };
    refused.await.expect_err("a key of another repository");
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = u16::try_from(stray.len()).unwrap().to_be_bytes();
    let secret = [b"TMSECRET".as_slice(), &[7; 16], &length, stray.as_bytes()].concat();
    stream.write_all(&secret).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 1, "nobody waits under this handle");
}
