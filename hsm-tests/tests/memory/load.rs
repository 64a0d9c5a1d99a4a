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
use touchmark_tuf::{Snapshot, Targets, Unverified};

const GO_ON: Ordering = Ordering::Relaxed;
/// Of the eight clients, those that sign; the others ask for everything else.
const SIGNERS: usize = 6;
const OTHERS: usize = 2;

/// A role whose document is signed over and over: the same version and digest may be signed again.
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

/// The signatures of one request, each with the place of its key among the seats.
type Answer = Vec<(usize, Signed)>;

/// Requests from all clients until it is stopped.
pub(crate) struct Load {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    /// What each signer was answered lately, oldest first.
    made: Vec<Arc<Mutex<Vec<Answer>>>>,
    others: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
    keys: Vec<[u8; 32]>,
}

impl Load {
    /// Every signer asks for one group of seats: all documents of one request. `stray` goes to a handle that nobody
    /// gave out.
    pub(crate) fn start(socket: &Path, groups: &[Vec<Seat>], stray: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (mut made, mut tasks, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut requests = Vec::new();
        for group in groups {
            let request = runtime.block_on(async { request(connect(socket), group).await });
            requests.push((keys.len(), request));
            keys.extend(group.iter().map(|seat| seat.key));
        }
        for number in 0..SIGNERS {
            let (channel, stop) = (runtime.block_on(async { connect(socket) }), Arc::clone(&stop));
            let ((first, (digests, request)), list): (_, Arc<Mutex<Vec<Answer>>>) =
                (requests[number % requests.len()].clone(), Arc::<Mutex<Vec<Answer>>>::default());
            made.push(Arc::clone(&list));
            tasks.push(runtime.spawn(async move {
                while !stop.load(GO_ON) {
                    let signatures = sign(channel.clone(), request.clone()).await;
                    let signed = signatures.into_iter().zip(&digests).enumerate();
                    let signed = signed.map(|(place, (signature, digest))| {
                        (first + place, Signed { digest: *digest, signature })
                    });
                    lock(&list).push(signed.collect());
                }
            }));
        }
        let others = Arc::new(AtomicU64::new(0));
        for _ in 0..OTHERS {
            let (channel, stop) = (runtime.block_on(async { connect(socket) }), Arc::clone(&stop));
            let (count, socket, stray) = (Arc::clone(&others), socket.to_owned(), stray.to_owned());
            let (gun, key) = (groups[0][0].gun.clone(), groups[1][0].key_id.clone());
            tasks.push(runtime.spawn(async move {
                while !stop.load(GO_ON) {
                    everything_else(channel.clone(), &socket, &stray, &gun, &key).await;
                    count.fetch_add(1, GO_ON);
                }
            }));
        }
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
        let all = self.made.iter().zip(ends).flat_map(|(list, end)| lock(list)[..end].concat());
        let needles =
            all.fold(Needles::default(), |needles, (key, signed)| needles.nonces(&self.keys[key], &[signed]));
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

/// The documents as the daemon last signed them, with their digests.
async fn request(channel: Channel, group: &[Seat]) -> (Vec<[u8; 32]>, Vec<v1::SignRequest>) {
    let mut documents = Vec::new();
    for seat in group {
        documents.push(last(channel.clone(), &seat.gun, seat.role).await);
    }
    let digests: Vec<[u8; 32]> = documents.iter().map(|bytes| Sha256::digest(bytes).into()).collect();
    let described = group.iter().zip(documents.iter().zip(&digests)).map(|(seat, (bytes, digest))| {
        let (role, key_ids) = (seat.role.to_owned(), vec![seat.key_id.clone()]);
        v1::Document { role, key_ids, length: bytes.len() as u64, sha256: digest.to_vec() }
    });
    let open =
        v1::SignOpen { gun: group[0].gun.clone(), documents: described.collect(), ..Default::default() };
    let chunks = documents.iter().map(|bytes| Part::Chunk(v1::Chunk { data: bytes.clone() }));
    let parts = std::iter::once(Part::Open(open)).chain(chunks);
    (digests.clone(), parts.map(|part| v1::SignRequest { part: Some(part) }).collect())
}

/// The signed part of the document that the daemon last signed.
async fn last(channel: Channel, gun: &str, role: &str) -> Vec<u8> {
    let request = v1::LastRequest { gun: gun.to_owned(), role: role.to_owned() };
    let mut chunks = SignerClient::new(channel).last(request).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        file.extend_from_slice(&chunk.data);
    }
    match role {
        "snapshot" => Unverified::<Snapshot>::parse(&file).unwrap().signed_bytes().to_vec(),
        _ => Unverified::<Targets>::parse(&file).unwrap().signed_bytes().to_vec(),
    }
}

/// The signature of each document.
async fn sign(channel: Channel, request: Vec<v1::SignRequest>) -> Vec<[u8; 64]> {
    let mut events = SignerClient::new(channel).sign(iter(request)).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(v1::sign_event::Event::Signed(signed)) = event.event {
            let one = |document: &v1::DocumentSignatures| {
                document.signatures[0].signature.clone().try_into().expect("r and s")
            };
            return signed.documents.iter().map(one).collect();
        }
    }
    panic!("the daemon signed nothing");
}

/// What other callers ask for meanwhile, refusals among it.
async fn everything_else(channel: Channel, socket: &Path, stray: &str, gun: &str, foreign_key: &str) {
    DaemonClient::new(channel.clone()).status(v1::StatusRequest::default()).await.unwrap();
    KeysClient::new(channel.clone()).list(v1::ListKeysRequest {}).await.unwrap();
    let rows = v1::AuditReadRequest { from_seq: 0, limit: 20 };
    let mut rows = AuditClient::new(channel.clone()).read(rows).await.unwrap().into_inner();
    while rows.message().await.unwrap().is_some() {}
    let bytes = last(channel.clone(), gun, "targets").await;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let document = v1::Document {
        role: "targets".to_owned(),
        key_ids: vec![foreign_key.to_owned()],
        length: bytes.len() as u64,
        sha256: digest.to_vec(),
    };
    let open = v1::SignOpen { gun: gun.to_owned(), documents: vec![document], ..Default::default() };
    let parts = [Part::Open(open), Part::Chunk(v1::Chunk { data: bytes })];
    let parts = parts.map(|part| v1::SignRequest { part: Some(part) });
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
