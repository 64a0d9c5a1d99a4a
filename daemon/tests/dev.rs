//! `touchmarkd run --dev DIR`, the shipped program with a real SoftHSM: ready in one line, a repository made and
//! signed over gRPC, everything there again after a restart, and nothing secret in the log.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is all that this file is

use std::io::{BufRead as _, BufReader, Read as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_proto::v1::{self, Role};
use touchmark_tuf::{
    Document as _, Expires, Gun, Instant, PublicKey, RootCertificate, Sha256Digest, Target, TargetChange,
    first_root, first_targets, next_targets,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A running daemon; ended by its own process id.
struct Dev {
    child: Child,
    folder: PathBuf,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Dev {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_touchmarkd"))
            .args(["run", "--memory", "mlock", "--dev"])
            .arg(folder)
            .env("TOUCHMARKD_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let dev = Self { child, folder: folder.to_path_buf(), log: Some(log) };
        if line.is_empty() {
            panic!("the daemon did not start:\n{}", dev.stop().1);
        }
        assert_eq!(line, format!("touchmarkd: ready, socket {}\n", dev.socket().display()));
        dev
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("touchmarkd.sock")
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("unix:{}", self.socket().display())).unwrap().connect().await.unwrap()
    }

    /// Sends SIGTERM; the exit code and the log.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let status = self.child.wait().unwrap();
        (status.code(), self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Already gone after `stop`.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn keys(dev: &Dev) -> Vec<v1::Key> {
    KeysClient::new(dev.channel().await).list(v1::ListKeysRequest {}).await.unwrap().into_inner().keys
}

async fn create(dev: &Dev, role: Role, repository: &Gun) -> PublicKey {
    let request =
        v1::CreateKeyRequest { role: role.into(), repository: repository.to_string(), ..Default::default() };
    let mut events = KeysClient::new(dev.channel().await).create(request).await.unwrap().into_inner();
    while let Some(event) = events.next().await {
        if let Some(v1::key_event::Event::Key(key)) = event.unwrap().event {
            return PublicKey::from_spki(&key.public_key).unwrap();
        }
    }
    panic!("no key was made")
}

async fn certificate(dev: &Dev, key_id: &str, gun: &Gun) -> RootCertificate {
    let request =
        v1::IssueRootCertificateRequest { key_id: key_id.to_owned(), gun: gun.to_string(), renew: false };
    let mut events =
        KeysClient::new(dev.channel().await).issue_root_certificate(request).await.unwrap().into_inner();
    while let Some(event) = events.next().await {
        if let Some(v1::root_certificate_event::Event::Certificate(made)) = event.unwrap().event {
            return RootCertificate::from_pem(made.pem.as_bytes()).unwrap();
        }
    }
    panic!("no certificate was issued")
}

/// Signs documents: role, key, canonical bytes.
async fn sign(
    dev: &Dev,
    gun: &Gun,
    documents: &[(&str, String, Vec<u8>)],
) -> Result<v1::Signed, tonic::Status> {
    let announced = documents.iter().map(|(role, key, bytes)| v1::Document {
        role: (*role).to_owned(),
        key_ids: vec![key.clone()],
        length: u64::try_from(bytes.len()).unwrap(),
        sha256: Sha256Digest::of(bytes).as_bytes().to_vec(),
    });
    let open = v1::SignOpen {
        gun: gun.to_string(),
        documents: announced.collect(),
        bases: vec![],
        accept_root: None,
        seen: vec![],
    };
    let bytes: Vec<u8> = documents.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
    let chunks = bytes.chunks(1000).map(|data| Part::Chunk(v1::Chunk { data: data.to_vec() }));
    let parts: Vec<_> = std::iter::once(Part::Open(open))
        .chain(chunks)
        .map(|part| v1::SignRequest { part: Some(part) })
        .collect();
    let mut events =
        SignerClient::new(dev.channel().await).sign(tokio_stream::iter(parts)).await?.into_inner();
    while let Some(event) = events.next().await {
        if let Some(v1::sign_event::Event::Signed(signed)) = event?.event {
            return Ok(signed);
        }
    }
    panic!("the stream ended without an answer")
}

fn expires(now: i64, days: u32) -> Expires {
    Expires::at(Instant::from_unix(now).plus(DAY * days))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_made_and_signed_and_survives_a_restart() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("dev");
    let dev = Dev::start(&folder);
    let status =
        DaemonClient::new(dev.channel().await).status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.dev);
    assert_eq!(status.vault.unwrap().state(), v1::VaultState::Open);
    let now = status.started_unix;

    let root = keys(&dev).await.pop().unwrap();
    assert_eq!((root.role(), root.token.as_str()), (Role::Root, "dev"));
    let gun: Gun = "127.0.0.1:5000/icho/alpine".parse().unwrap();
    let targets = create(&dev, Role::Targets, &gun).await;
    let snapshot = create(&dev, Role::Snapshot, &gun).await;
    let timestamp = create(&dev, Role::Targets, &"127.0.0.1:5000/other".parse().unwrap()).await;
    let listed = certificate(&dev, &root.id, &gun).await;
    assert!(listed.matches(&gun));
    assert_eq!(certificate(&dev, &root.id, &gun).await.pem(), listed.pem(), "one per key and repository");

    let root_document = first_root(
        &gun,
        &[listed.public_key()],
        NonZeroU32::MIN,
        &targets,
        &snapshot,
        &timestamp,
        expires(now, 3650),
    )
    .unwrap();
    let targets_document = first_targets(expires(now, 1095));
    let request = [
        ("root", root.id.clone(), root_document.write()),
        ("targets", targets.canonical_id().to_string(), targets_document.write()),
    ];
    let signed = sign(&dev, &gun, &request).await.unwrap();
    assert_eq!(signed.documents.iter().map(|d| d.role.as_str()).collect::<Vec<_>>(), ["root", "targets"]);
    assert!(signed.documents.iter().all(|document| document.signatures.len() == 1 && document.version == 1));
    let again = sign(&dev, &gun, &request).await.unwrap();
    assert_eq!(again.documents[1], signed.documents[1], "the same bytes get the same signature");

    let digest = Sha256Digest::of(b"image");
    let tag = TargetChange::Set { name: "trusted".parse().unwrap(), target: Target::new(digest, 528) };
    let next = next_targets(&targets_document, &[tag], expires(now, 1095)).unwrap();
    let tagged = [("targets", targets.canonical_id().to_string(), next.write())];
    let signed = sign(&dev, &gun, &tagged).await.unwrap();
    assert!(signed.differences.iter().any(|words| words.contains("trusted")), "{:?}", signed.differences);

    let pin = std::fs::read_to_string(folder.join("pin")).unwrap();
    let (code, log) = dev.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&pin), "the PIN is in the log");
    assert!(!folder.join("touchmarkd.sock").exists());

    let dev = Dev::start(&folder);
    let kept = keys(&dev).await;
    assert!(kept.iter().any(|key| key.id == root.id));
    let last = SignerClient::new(dev.channel().await)
        .last(v1::LastRequest { gun: gun.to_string(), role: "targets".into(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    let last: Vec<_> = last.map(|chunk| chunk.unwrap()).collect().await;
    assert_eq!((last[0].version, last[0].unpublished), (2, true));
    let reused = next_targets(&targets_document, &[], expires(now, 1000)).unwrap();
    let refused = sign(&dev, &gun, &[("targets", targets.canonical_id().to_string(), reused.write())]).await;
    let reason = touchmark_proto::reason::Refusal::from_status(&refused.unwrap_err()).unwrap().reason;
    assert_eq!(reason.exit_code(), 5, "{reason}");
    // The root key is asked for again: its token was let go after the vault was opened.
    let other: Gun = "127.0.0.1:5000/other".parse().unwrap();
    assert!(certificate(&dev, &root.id, &other).await.matches(&other));
    let (code, log) = dev.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&pin), "the PIN is in the log");
}

#[test]
fn two_daemons_in_one_folder_are_one_too_many() {
    let base = tempfile::tempdir().unwrap();
    let first = Dev::start(&base.path().join("dev"));
    let second = Command::new(env!("CARGO_BIN_EXE_touchmarkd"))
        .args(["run", "--dev"])
        .arg(&first.folder)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("a daemon serves"), "{said}");
    assert_eq!(first.stop().0, Some(0));
}

#[test]
fn a_wrong_configuration_ends_with_2_and_names_the_line() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("t.toml");
    std::fs::write(&file, "\nsokcet = \"/x/y\"\n").unwrap();
    for command in ["run", "check"] {
        let ended = Command::new(env!("CARGO_BIN_EXE_touchmarkd"))
            .args([command, "--config"])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(2));
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("line 2: unknown field `sokcet`"), "{said}");
    }
}

#[test]
fn systemds_socket_is_served() {
    let base = tempfile::tempdir().unwrap();
    let (socket, folder) = (base.path().join("s.sock"), base.path().join("dev"));
    let mut child = Command::new("systemd-socket-activate")
        .arg("-l")
        .arg(&socket)
        .args([env!("CARGO_BIN_EXE_touchmarkd"), "run", "--memory", "mlock", "--dev"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        assert!(child.try_wait().unwrap().is_none(), "systemd-socket-activate ended");
        std::thread::yield_now();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = runtime.block_on(async {
        let channel =
            Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.unwrap();
        DaemonClient::new(channel).status(v1::StatusRequest {}).await
    });
    assert!(status.unwrap().into_inner().dev);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_configured_pin_that_was_refused_is_not_sent_again() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("dev");
    assert_eq!(Dev::start(&folder).stop().0, Some(0));
    let file = folder.join("pin");
    let right = std::fs::read(&file).unwrap();
    std::fs::write(&file, "0000").unwrap();
    for _ in 0..3 {
        let ended = Command::new(env!("CARGO_BIN_EXE_touchmarkd"))
            .args(["run", "--dev"])
            .arg(&folder)
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1));
    }
    let state = rusqlite::Connection::open(folder.join("state/touchmark.db")).unwrap();
    let sql = "SELECT count(*) FROM audit WHERE json LIKE '%\"kind\":\"pin-refused\"%'";
    let refused: i64 = state.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(refused, 1, "three starts spend one try");
    drop(state);
    std::fs::write(&file, right).unwrap();
    assert_eq!(Dev::start(&folder).stop().0, Some(0), "another version of the file may be tried");
}
