//! The shipped daemon, with an imported key that the test knows and enough to sign.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, shipped, tool};
use hsm_tests::home::Home;
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::place::Place;
use hsm_tests::process::Process;
use hsm_tests::registry::Registry;
use hsm_tests::scan::Needles;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::iter;
use tonic::transport::{Channel, Endpoint};
use touchmark_proto::v1;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_tuf::{Targets, Unverified};

use crate::secrets::{Secrets, pem};

const REPOSITORY: &str = "icho/memory";
const GO_ON: Ordering = Ordering::Relaxed;

/// A daemon that can be looked into, a repository signed with the imported key, and who asks for signatures.
pub(crate) struct Stage {
    pub(crate) process: Process,
    pub(crate) secrets: Secrets,
    /// Everything that the daemon writes.
    pub(crate) folder: PathBuf,
    home: Home,
    registry: Registry,
    place: Place,
    _notary: Notary,
}

/// Requests for signatures, one after the other from several tasks, until it is stopped.
pub(crate) struct Load {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    signed: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Stage {
    /// `touchmarkd run --dev` with memory that root can read, so that the scan sees the key where it may be.
    pub(crate) fn set() -> Self {
        let (notary, registry) = (Notary::start(&Ca::new()), Registry::start());
        let (place, mut home) = (Place::new(), Home::new());
        let (folder, own_home) = (place.folder("dev"), place.folder("home"));
        let socket = folder.join("touchmarkd.sock");
        let daemon = Cli::new(shipped("touchmarkd")).env("HOME", own_home).folder(place.path());
        let daemon = daemon.args(["run", "--memory", "mlock", "--dev"]).arg(&folder);
        let mut process = Process::start("touchmarkd", &mut daemon.command(), &folder.join("touchmarkd.log"));
        process.wait_for("serving", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &socket.to_string_lossy());
        let secrets = Secrets::fresh();
        let stage = Self { process, secrets, folder, home, registry, place, _notary: notary };
        stage.import_key();
        Image::saying("memory").push(&stage.registry, REPOSITORY, "one");
        stage.touchmark(&["init", &stage.name()]).exits(0);
        stage.touchmark(&["sign", &format!("{}:one", stage.name())]).exits(0).says("Successfully signed");
        stage
    }

    /// A command of the person on this stage.
    pub(crate) fn touchmark(&self, args: &[&str]) -> Ran {
        self.home.touchmark().args(args).run()
    }

    /// The key, the nonces of the document that [`Load`] has signed, the file's passphrase and the token's PIN.
    pub(crate) fn needles(&self, digest: [u8; 32]) -> Needles {
        let pin = std::fs::read(self.folder.join("pin")).unwrap();
        Needles::for_key(&self.secrets.key, &[digest])
            .secret("passphrase", self.secrets.passphrase.as_bytes())
            .secret("PIN", pin.trim_ascii())
    }

    /// What the person's own folder holds.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Has the current targets document signed over and over: the same version and digest may be signed again.
    pub(crate) fn load(&self) -> (Load, [u8; 32]) {
        let runtime = Runtime::new().unwrap();
        let (stop, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let gun = self.name();
        let (channel, bytes) = runtime.block_on(async {
            let socket = self.folder.join("touchmarkd.sock");
            let endpoint = Endpoint::try_from(format!("unix:{}", socket.display())).unwrap();
            let channel = endpoint.connect().await.unwrap();
            let bytes = last_targets(channel.clone(), &gun).await;
            (channel, bytes)
        });
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let key_id = self.key_id();
        let request = [
            v1::sign_request::Part::Open(v1::SignOpen {
                gun,
                documents: vec![v1::Document {
                    role: "targets".to_owned(),
                    key_ids: vec![key_id],
                    length: bytes.len() as u64,
                    sha256: digest.to_vec(),
                }],
                ..Default::default()
            }),
            v1::sign_request::Part::Chunk(v1::Chunk { data: bytes }),
        ]
        .map(|part| v1::SignRequest { part: Some(part) });
        let task = |_| {
            let (channel, request) = (channel.clone(), request.clone());
            let (stop, signed) = (Arc::clone(&stop), Arc::clone(&signed));
            runtime.spawn(async move {
                while !stop.load(GO_ON) {
                    sign(channel.clone(), request.clone()).await;
                    signed.fetch_add(1, GO_ON);
                }
            })
        };
        let tasks = (0..4).map(task).collect();
        (Load { runtime, stop, signed, tasks }, digest)
    }

    fn name(&self) -> String {
        format!("{}/{REPOSITORY}", self.registry.host())
    }

    /// An encrypted key file as Docker has them; the passphrase comes over the same way as a PIN.
    fn import_key(&self) {
        let [plain, file] = ["plain.pem", "encrypted.pem"].map(|name| self.place.join(name));
        std::fs::write(&plain, pem(&self.secrets.key)).unwrap();
        let openssl = Cli::new(tool("openssl")).args([
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-v2prf",
            "hmacWithSHA1",
        ]);
        let openssl = openssl.arg("-in").arg(&plain).arg("-out").arg(&file).args(["-passout", "stdin"]);
        openssl.stdin(format!("{}\n", self.secrets.passphrase)).ok();
        std::fs::remove_file(plain).unwrap();
        let import = self.home.touchmark().args(["key", "import"]).arg(file);
        let import = import.args(["--role", "targets", "--repository", &self.name(), "--pin-stdin"]);
        import.stdin(format!("{}\n", self.secrets.passphrase)).ok();
    }

    fn key_id(&self) -> String {
        let keys = self.touchmark(&["key", "ls", "--format", "json"]).exits(0).json();
        let keys = keys["keys"].as_array().unwrap();
        let ids: Vec<_> =
            keys.iter().filter(|key| key["role"] == "targets").map(|key| key["id"].clone()).collect();
        let [id] = ids.as_slice() else { panic!("one targets key, the imported one: {ids:?}") };
        id.as_str().unwrap().to_owned()
    }
}

impl Load {
    /// Signatures made so far.
    pub(crate) fn signed(&self) -> u64 {
        self.signed.load(GO_ON)
    }

    /// Waits until this many more have been made.
    pub(crate) fn wait_for(&self, more: u64) {
        let goal = self.signed() + more;
        while self.signed() < goal {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a task has failed");
            std::thread::yield_now();
        }
    }

    /// Ends all requests.
    pub(crate) fn stop(self) {
        self.stop.store(true, GO_ON);
        for task in self.tasks {
            self.runtime.block_on(task).unwrap();
        }
    }
}

/// The signed part of the targets document that the daemon last signed.
async fn last_targets(channel: Channel, gun: &str) -> Vec<u8> {
    let request = v1::LastRequest { gun: gun.to_owned(), role: "targets".to_owned(), ..Default::default() };
    let mut chunks = SignerClient::new(channel).last(request).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        file.extend_from_slice(&chunk.data);
    }
    Unverified::<Targets>::parse(&file).unwrap().signed_bytes().to_vec()
}

async fn sign(channel: Channel, request: [v1::SignRequest; 2]) {
    let mut events = SignerClient::new(channel).sign(iter(request)).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(v1::sign_event::Event::Signed(signed)) = event.event {
            assert_eq!(signed.documents.len(), 1);
            return;
        }
    }
    panic!("the daemon signed nothing");
}
