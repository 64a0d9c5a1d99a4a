use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_proto::v1::vault_client::VaultClient;

use super::*;
use crate::clock::SystemClock;
use crate::config::SystemAccounts;
use crate::vault::{Binding, KeyRole};

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A daemon without tokens in a folder of its own.
struct Rig {
    app: Arc<App>,
    socket: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Result<(), StartError>>,
    folder: tempfile::TempDir,
}

impl Rig {
    /// `uid`: whom the daemon takes itself for.
    async fn start(uid: u32, config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), uid, config).await
    }

    async fn start_in(folder: tempfile::TempDir, uid: u32, config: &str) -> Self {
        let socket = folder.path().join("tm.sock");
        let place = format!("socket = {socket:?}\nstate = {:?}\n", folder.path().join("state"));
        let surroundings = Surroundings { uid, ..Surroundings::default() };
        let config = Config::parse(&(place + config), None, &surroundings, &SystemAccounts).unwrap();
        let options = Options {
            memory: Some(MemoryKind::Mlock),
            kind: Kind::Real,
            hardening: crate::harden::process(),
            surroundings,
            clock: Arc::new(SystemClock),
            accounts: Arc::new(SystemAccounts),
            helper: HelperProgram::touchmarkd("/nonexistent".into()),
            limits: Limits::default(),
            caps: Caps::default(),
        };
        let app = App::start(config, options).await.unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serving = Arc::clone(&app);
        let served =
            tokio::spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
        Self { app, socket, stop: Some(stop), served, folder }
    }

    async fn channel(&self) -> Channel {
        connect(&self.socket).await
    }

    async fn stop(mut self) -> tempfile::TempDir {
        drop(self.stop.take());
        self.served.await.unwrap().unwrap();
        std::fs::remove_file(&self.socket).unwrap();
        self.folder
    }
}

async fn connect(socket: &Path) -> Channel {
    Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.unwrap()
}

fn refusal(status: &Status) -> Refusal {
    Refusal::from_status(status).unwrap_or_else(|| panic!("no refusal of ours: {status:?}"))
}

/// Sends a secret as clients do.
async fn send_secret(socket: &Path, handle: &[u8], secret: &[u8]) -> u8 {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(&[b"TMSECRET", handle].concat()).await.unwrap();
    stream.write_all(&u16::try_from(secret.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(secret).await.unwrap();
    stream.read_u8().await.unwrap()
}

/// Answers every prompt of a vault call with `secret`; the last status, or how it failed.
async fn answered(
    rig: &Rig,
    events: Result<tonic::Response<Streaming<v1::VaultEvent>>, Status>,
    secret: &[u8],
) -> Result<v1::VaultStatus, Refusal> {
    let mut events = events.map_err(|status| refusal(&status))?.into_inner();
    while let Some(event) = events.next().await {
        match event.map_err(|status| refusal(&status))?.event.unwrap() {
            v1::vault_event::Event::Status(status) => return Ok(status),
            v1::vault_event::Event::Waiting(waiting) => {
                if let Some(v1::waiting::State::NeedsPin(pin)) = waiting.state {
                    assert_eq!(send_secret(&rig.socket, &pin.handle, secret).await, 0);
                }
            }
        }
    }
    panic!("the stream ended without an answer")
}

/// Returns when everything that was written behind is on the disk.
async fn flush(rig: &Rig) {
    rig.app.store().write(|_: &Tx<'_>| Ok::<_, StoreError>(())).await.unwrap();
}

async fn make_vault(rig: &Rig, passphrase: &[u8]) -> v1::VaultStatus {
    let mut vault = VaultClient::new(rig.channel().await);
    let events = vault.init(v1::VaultInitRequest { token: String::new() }).await;
    answered(rig, events, passphrase).await.unwrap()
}

async fn create_targets(rig: &Rig, gun: &str) -> Result<v1::Key, Refusal> {
    let mut keys = KeysClient::new(rig.channel().await);
    let request =
        v1::CreateKeyRequest { role: v1::Role::Targets.into(), repository: gun.into(), ..Default::default() };
    let mut events = keys.create(request).await.map_err(|status| refusal(&status))?.into_inner();
    while let Some(event) = events.next().await {
        match event.map_err(|status| refusal(&status))?.event.unwrap() {
            v1::key_event::Event::Key(key) => return Ok(key),
            v1::key_event::Event::Waiting(waiting) => {
                if let Some(v1::waiting::State::NeedsPin(pin)) = waiting.state {
                    assert_eq!(send_secret(&rig.socket, &pin.handle, b"passphrase").await, 0);
                }
            }
        }
    }
    panic!("the stream ended without an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    let rig = Rig::start(own_uid(), "").await;
    let mut health = HealthClient::new(rig.channel().await);
    let answer = health.check(HealthCheckRequest { service: "touchmark.v1.Signer".into() }).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let mut reflection = ServerReflectionClient::new(rig.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in ["Signer", "Keys", "Tokens", "Vault", "Audit", "Daemon"] {
        assert!(names.contains(&format!("touchmark.v1.{service}")), "{names:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_who_calls_and_what_there_is() {
    let rig = Rig::start(own_uid(), "").await;
    let mut daemon = DaemonClient::new(rig.channel().await);
    let status = daemon.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.caller.unwrap().uid, own_uid());
    assert!(!status.dev);
    let vault = status.vault.unwrap();
    assert_eq!((vault.state(), vault.memory.as_str()), (v1::VaultState::None, "mlock"));
    assert_eq!(status.state_dir, rig.folder.path().join("state").display().to_string());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_allowed_is_told_so_by_every_service() {
    let rig = Rig::start(own_uid() + 1, "").await;
    let status = DaemonClient::new(rig.channel().await).status(v1::StatusRequest {}).await.unwrap_err();
    let told = refusal(&status);
    assert_eq!((status.code(), told.reason), (Code::PermissionDenied, Reason::NotAllowed));
    assert!(told.message.contains(&format!("uid {}", own_uid())), "{}", told.message);
    assert!(told.request_id.is_some());
    let health =
        HealthClient::new(rig.channel().await).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&health).reason, Reason::NotAllowed);
    flush(&rig).await;
    let counted = rig.app.store().read(|view| view.refusals(0)).await.unwrap();
    assert_eq!(counted.iter().map(|row| (row.uid, row.count)).collect::<Vec<_>>(), [(own_uid(), 2)]);
    rig.stop().await;
}

#[tokio::test]
async fn a_document_that_comes_byte_by_byte_ends_in_time_and_gives_back_what_it_held() {
    let rig = Rig::start(own_uid(), "").await;
    let mut signer = SignerClient::new(rig.channel().await);
    tokio::time::pause();
    let document =
        v1::Document { role: "targets".into(), length: 16 << 20, sha256: vec![0; 32], ..Default::default() };
    let open = v1::SignOpen { gun: "a/b".into(), documents: vec![document], ..Default::default() };
    let byte = Part::Chunk(v1::Chunk { data: vec![b'{'] });
    let parts = futures_util::stream::unfold(Some(Part::Open(open)), move |open| {
        let byte = byte.clone();
        async move {
            let part = match open {
                Some(open) => open,
                None => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    byte
                }
            };
            Some((v1::SignRequest { part: Some(part) }, None))
        }
    });
    let mut events = signer.sign(parts).await.unwrap().into_inner();
    let told = refusal(&events.message().await.unwrap_err());
    assert_eq!(told.reason, Reason::InvalidField);
    assert!(told.message.contains("120 seconds"), "{}", told.message);
    rig.app.budget().take(own_uid(), crate::rpc::budget::EACH).expect("nothing is held any more");
    tokio::time::resume();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_by_passphrase_is_made_locked_and_opened() {
    let rig = Rig::start(own_uid(), "").await;
    let made = make_vault(&rig, b"passphrase").await;
    assert_eq!(made.state(), v1::VaultState::Open);
    assert_eq!(made.ways.first().map(|way| way.method.as_str()), Some("argon2id"));
    let key = create_targets(&rig, "registry.example.com/team/app").await.unwrap();
    assert_eq!(key.repositories, ["registry.example.com/team/app"]);
    let mut vault = VaultClient::new(rig.channel().await);
    vault.lock(v1::LockRequest {}).await.unwrap();
    assert_eq!(create_targets(&rig, "a/b").await.unwrap_err().reason, Reason::VaultLocked);
    let wrong = answered(&rig, vault.unlock(v1::UnlockRequest::default()).await, b"passphrase?").await;
    assert_eq!(wrong.unwrap_err().reason, Reason::WrongPin);
    let open = answered(&rig, vault.unlock(v1::UnlockRequest::default()).await, b"passphrase").await.unwrap();
    assert_eq!((open.state(), open.keys), (v1::VaultState::Open, 1));
    let again = answered(&rig, vault.init(v1::VaultInitRequest::default()).await, b"passphrase").await;
    assert_eq!(again.unwrap_err().reason, Reason::Conflict);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_the_daemon_and_the_record_is_signed() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let key = create_targets(&rig, "a/b").await.unwrap();
    let rig = Rig::start_in(rig.stop().await, own_uid(), "").await;
    assert!(!rig.app.vault().is_open());
    let signed = rig.app.store().read(|view| view.signed_heads(0, 10)).await.unwrap();
    assert!(!signed.is_empty(), "the head is signed when the vault closes");
    let mut vault = VaultClient::new(rig.channel().await);
    answered(&rig, vault.unlock(v1::UnlockRequest::default()).await, b"passphrase").await.unwrap();
    let listed =
        KeysClient::new(rig.channel().await).list(v1::ListKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.keys.iter().map(|k| &k.id).collect::<Vec<_>>(), [&key.id]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_told_whole_however_long_it_is() {
    const VERSIONS: u64 = 50_000; // more than one message takes
    let rig = Rig::start(own_uid(), "").await;
    let gun: touchmark_tuf::Gun = "registry.example.com/team/app".parse().unwrap();
    let fill = move |tx: &crate::store::Tx<'_>| {
        for version in 1..=VERSIONS {
            let version = touchmark_tuf::Version::try_from(version).unwrap();
            let slot =
                crate::ledger::Slot { gun: gun.clone(), role: touchmark_tuf::RoleName::Targets, version };
            tx.reserve(&slot, &touchmark_tuf::Sha256Digest::of(b""))?;
        }
        Ok::<_, crate::ledger::LedgerError>(())
    };
    rig.app.store().write(fill).await.unwrap();
    let request = v1::LedgerRequest::default();
    let pages = DaemonClient::new(rig.channel().await).ledger(request).await.unwrap().into_inner();
    let told: Vec<u64> = pages
        .map(|page| page.unwrap().entries.into_iter().map(|entry| entry.version).collect::<Vec<_>>())
        .collect::<Vec<_>>()
        .await
        .concat();
    assert!(told.into_iter().eq(1..=VERSIONS));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_opens_elsewhere_with_the_same_passphrase() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let key = create_targets(&rig, "a/b").await.unwrap();
    let parts =
        VaultClient::new(rig.channel().await).backup(v1::BackupRequest {}).await.unwrap().into_inner();
    let parts: Vec<_> = parts.map(|part| part.unwrap().data).collect().await;
    rig.stop().await;
    let rig = Rig::start(own_uid(), "").await;
    let mut vault = VaultClient::new(rig.channel().await);
    let garbage = tokio_stream::once(v1::RestoreRequest { data: b"{}".to_vec() });
    assert_eq!(
        answered(&rig, vault.restore(garbage).await, b"").await.unwrap_err().reason,
        Reason::InvalidField
    );
    let parts = tokio_stream::iter(parts.into_iter().map(|data| v1::RestoreRequest { data }));
    let restored = answered(&rig, vault.restore(parts).await, b"").await.unwrap();
    assert_eq!(restored.state(), v1::VaultState::Locked);
    answered(&rig, vault.unlock(v1::UnlockRequest::default()).await, b"passphrase").await.unwrap();
    let listed =
        KeysClient::new(rig.channel().await).list(v1::ListKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.keys.first().map(|k| &k.id), Some(&key.id));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_to_open_the_vault_stays() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let mut vault = VaultClient::new(rig.channel().await);
    let events = vault.set_passphrase(v1::VaultPassphraseRequest { remove: true }).await;
    assert_eq!(answered(&rig, events, b"passphrase").await.unwrap_err().reason, Reason::Conflict);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_see_their_own_repositories_only() {
    // The daemon takes itself for somebody else; the caller is listed for one repository.
    let name = SystemAccounts.uid(own_uid()).unwrap().name;
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap().name;
    let allow = format!(
        "socket-group = {group:?}\n[[allow]]\nuser = {name:?}\nrepositories = [\"a/*\"]\nactions = [\"read\", \"keys\", \"unlock\"]\n"
    );
    let rig = Rig::start(own_uid() + 1, &allow).await;
    make_vault(&rig, b"passphrase").await;
    let mine = create_targets(&rig, "a/b").await.unwrap();
    assert_eq!(create_targets(&rig, "z/b").await.unwrap_err().reason, Reason::NotAllowed);
    let hidden = Binding::new(KeyRole::Targets, vec!["z/b".parse().unwrap()]);
    let hidden = rig.app.create_vault_key(hidden, 0).await.unwrap();
    let mut keys = KeysClient::new(rig.channel().await);
    let listed = keys.list(v1::ListKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.keys.iter().map(|key| &key.id).collect::<Vec<_>>(), [&mine.id]);
    let mut remove = async |id: &str| {
        let events = keys.remove(v1::RemoveKeyRequest { id: id.to_owned() }).await.unwrap();
        events.into_inner().next().await.unwrap()
    };
    let removed = remove(&hidden.id.to_string()).await.unwrap_err();
    assert_eq!(refusal(&removed).reason, Reason::KeyUnknown);
    remove(&mine.id).await.unwrap();
    let id = mine.id.parse().unwrap();
    assert_eq!(rig.app.store().read(move |view| view.key(&id)).await.unwrap(), None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_with_a_wrong_handle_is_audited() {
    let rig = Rig::start(own_uid(), "").await;
    assert_eq!(send_secret(&rig.socket, &[7; 16], b"123456").await, 1);
    flush(&rig).await;
    let rows = rig.app.store().read(|view| view.audit_rows(1, 10)).await.unwrap();
    assert!(rows.iter().any(|row| row.json.contains("secret-refused")), "{rows:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_unlock_leaves_no_prompt_behind() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let mut vault = VaultClient::new(rig.channel().await);
    vault.lock(v1::LockRequest {}).await.unwrap();
    let mut events = vault.unlock(v1::UnlockRequest::default()).await.unwrap().into_inner();
    let Some(v1::vault_event::Event::Waiting(waiting)) = events.next().await.unwrap().unwrap().event else {
        panic!("a waiting state comes first")
    };
    let Some(v1::waiting::State::NeedsPin(pin)) = waiting.state else { panic!("a passphrase is wanted") };
    assert_eq!(pin.kind(), v1::SecretKind::Passphrase);
    drop(events);
    // The handle dies with its stream; how soon is the transport's matter.
    while rig.app.prompts().count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(send_secret(&rig.socket, &pin.handle, b"passphrase").await, 1);
    assert!(!rig.app.vault().is_open());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_answered_when_the_daemon_stops() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let mut vault = VaultClient::new(rig.channel().await);
    vault.lock(v1::LockRequest {}).await.unwrap();
    let mut unlocking = vault.unlock(v1::UnlockRequest::default()).await.unwrap().into_inner();
    unlocking.next().await.unwrap().unwrap();
    let mut watching =
        DaemonClient::new(rig.channel().await).watch(v1::StatusRequest {}).await.unwrap().into_inner();
    watching.next().await.unwrap().unwrap();
    let began = tokio::time::Instant::now();
    let stopping = tokio::spawn(rig.stop());
    let told = refusal(&unlocking.next().await.unwrap().unwrap_err());
    assert_eq!((told.reason, told.message.as_str()), (Reason::Conflict, "the daemon stops"));
    while watching.next().await.is_some_and(|status| status.is_ok()) {}
    drop((vault, unlocking, watching));
    stopping.await.unwrap();
    assert!(began.elapsed() < DRAIN, "nobody had to be cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_silent_connections_keep_nobody_out() {
    let rig = Rig::start(own_uid(), "").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(UnixStream::connect(&rig.socket).await.unwrap());
    }
    let status = DaemonClient::new(rig.channel().await).status(v1::StatusRequest {}).await.unwrap();
    assert_eq!(status.into_inner().caller.unwrap().uid, own_uid());
    drop(silent);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dev_state_stays_one_and_a_real_one_never_becomes_one() {
    let rig = Rig::start(own_uid(), "").await;
    make_vault(&rig, b"passphrase").await;
    let config = rig.app.config().clone();
    assert!(matches!(mark(rig.app.store(), &config, Kind::Dev).await, Err(StartError::NotDev(_))));
    rig.stop().await;
    let rig = Rig::start(own_uid(), "").await;
    assert_eq!(mark(rig.app.store(), &config, Kind::Dev).await.unwrap(), Kind::Dev);
    assert_eq!(mark(rig.app.store(), &config, Kind::Real).await.unwrap(), Kind::Dev);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_with_bytes_that_were_not_announced_is_refused() {
    use v1::sign_request::Part;
    use v1::signer_client::SignerClient;
    let rig = Rig::start(own_uid(), "").await;
    let mut signer = SignerClient::new(rig.channel().await);
    let document = |length, sha256: &[u8]| v1::Document {
        role: "targets".into(),
        key_ids: vec![],
        length,
        sha256: sha256.to_vec(),
    };
    let open = |documents| {
        Part::Open(v1::SignOpen {
            gun: "a/b".into(),
            documents,
            bases: vec![],
            accept_root: None,
            seen: vec![],
        })
    };
    let chunk = |data: &[u8]| Part::Chunk(v1::Chunk { data: data.to_vec() });
    let cases = [
        (vec![chunk(b"x")], "part"),
        (vec![open(vec![])], "documents"),
        (vec![open(vec![document(1, &[0; 31])])], "documents[0].sha256"),
        (vec![open(vec![document(17 * 1024 * 1024, &[0; 32])])], "documents: "),
        (vec![open(vec![document(2, &[0; 32])]), chunk(b"x")], "documents[0]: the request ended"),
        (vec![open(vec![document(1, &[0; 32])]), chunk(b"x")], "documents[0]: its bytes"),
        (vec![open(vec![document(1, &[0; 32])]), chunk(b"")], "chunk"),
        (vec![open(vec![document(1, &[0; 32])]), open(vec![])], "part"),
    ];
    for (parts, said) in cases {
        let parts = parts.into_iter().map(|part| v1::SignRequest { part: Some(part) });
        let mut events = signer.sign(tokio_stream::iter(parts)).await.unwrap().into_inner();
        let told = refusal(&events.next().await.unwrap().unwrap_err());
        assert_eq!(told.reason, Reason::InvalidField, "{said}");
        assert!(told.message.starts_with(said), "{} for {said}", told.message);
    }
    rig.stop().await;
}
