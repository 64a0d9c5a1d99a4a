use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::policy::Caller;
use crate::secret::Want;
use crate::vault::{Locked, MemoryKind};

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn place(path: &Path) -> Place {
    Place { path: path.to_path_buf(), opening: Opening::Own, own_uid: own_uid() }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn folder_and_socket_are_for_the_owner_alone() {
    let base = folder();
    let path = base.path().join("made/here/tm.sock");
    let bound = place(&path).bind().unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    drop(bound);
    assert!(!path.exists(), "a stopped daemon leaves no socket");
}

#[test]
fn a_group_gets_0750_and_0660() {
    let base = folder();
    let path = base.path().join("made/tm.sock");
    let gid = rustix::process::getegid().as_raw();
    let _bound = Place { opening: Opening::Group(gid), ..place(&path) }.bind().unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o750);
    assert_eq!(mode(&path), 0o660);
}

#[test]
fn a_folder_that_others_reach_is_refused_with_the_command_that_mends_it() {
    let base = folder();
    set_mode(base.path(), 0o755);
    let path = base.path().join("tm.sock");
    let error = place(&path).bind().unwrap_err();
    assert!(matches!(error, ListenError::Mode { mode: 0o755, wanted: 0o700, .. }), "{error}");
    let shown = base.path().display();
    assert_eq!(error.to_string(), format!("{shown} has mode 0755; type: chmod 0700 {shown}"));
    let gid = rustix::process::getegid().as_raw();
    assert!(matches!(
        Place { opening: Opening::Group(gid), ..place(&path) }.bind(),
        Err(ListenError::Mode { wanted: 0o750, .. })
    ));
    set_mode(base.path(), 0o750);
    assert!(matches!(
        Place { opening: Opening::Group(gid + 1), ..place(&path) }.bind(),
        Err(ListenError::Group { .. })
    ));
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let base = folder();
    let other = Place { own_uid: own_uid() + 1, ..place(&base.path().join("tm.sock")) };
    let error = other.bind().unwrap_err();
    assert!(matches!(error, ListenError::Owner { .. } | ListenError::Way { .. }), "{error}");
}

#[test]
fn a_way_through_a_link_or_an_open_folder_is_refused() {
    let base = folder();
    let real = base.path().join("real");
    std::fs::create_dir(&real).unwrap();
    set_mode(&real, 0o700);
    symlink(&real, base.path().join("link")).unwrap();
    let error = place(&base.path().join("link/tm.sock")).bind().unwrap_err();
    assert!(matches!(&error, ListenError::Link { real: to, .. } if *to == real), "{error}");
    let open = base.path().join("open");
    std::fs::create_dir_all(open.join("inner")).unwrap();
    set_mode(&open.join("inner"), 0o700);
    set_mode(&open, 0o777);
    let error = place(&open.join("inner/tm.sock")).bind().unwrap_err();
    assert!(matches!(&error, ListenError::Way { path, .. } if *path == open), "{error}");
    set_mode(&open, 0o1777);
    place(&open.join("inner/tm.sock")).bind().unwrap();
}

#[test]
fn two_daemons_on_one_path_are_one_too_many() {
    let base = folder();
    let path = base.path().join("tm.sock");
    let _first = place(&path).bind().unwrap();
    assert!(matches!(place(&path).bind(), Err(ListenError::InUse(_))));
}

#[test]
fn few_can_stand_before_a_newcomer() {
    let base = folder();
    let path = base.path().join("tm.sock");
    let _bound = place(&path).bind().unwrap();
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    let waiting: Vec<_> = std::iter::from_fn(|| {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        connect(&socket, &address).map(|()| socket).ok()
    })
    .take(1000)
    .collect();
    assert_eq!(waiting.len(), 65, "the queue and one more, as the kernel counts");
}

#[test]
fn a_live_server_without_our_lock_is_left_alone_and_a_dead_one_is_replaced() {
    let base = folder();
    let path = base.path().join("tm.sock");
    let live = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(place(&path).bind(), Err(ListenError::InUse(_))));
    drop(live);
    let _bound = place(&path).bind().unwrap();
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let base = folder();
    let path = base.path().join("tm.sock");
    std::fs::write(&path, "somebody's file").unwrap();
    assert!(matches!(place(&path).bind(), Err(ListenError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's file");
}

#[test]
fn the_first_bytes_say_what_it_is() {
    assert!(matches!(Preface::of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Preface::Http2(_)));
    let Preface::Secret(handle) = Preface::of(b"TMSECRET0123456789abcdef") else { panic!("a secret") };
    assert_eq!(handle.as_bytes(), b"0123456789abcdef");
    assert_eq!(Preface::of(b"GET / HTTP/1.1\r\nHost: lo"), Preface::Unknown);
    assert_eq!(Preface::of(b"tmsecret0123456789abcdef"), Preface::Unknown);
}

struct Everybody;

impl Peers for Everybody {
    fn peer(&self, uid: u32, gid: u32) -> Peer {
        Peer { caller: Caller { uid, gid, groups: vec![], name: None }, admitted: true }
    }
}

/// A door with an open socket; what it passes on comes out of the receiver.
fn door(base: &Path, caps: Caps) -> (Door, std::path::PathBuf, mpsc::Receiver<std::io::Result<Conn>>, Bound) {
    let memory = Locked::open(Some(MemoryKind::Mlock), 1).unwrap();
    let door = Door {
        peers: Directory::new(Arc::new(Everybody)),
        register: Register::new(caps),
        prompts: Prompts::new(memory, |_| ()),
    };
    let path = base.join("tm.sock");
    let bound = place(&path).bind().unwrap();
    let (to_grpc, from_door) = mpsc::channel(16);
    tokio::spawn(door.clone().accept(bound.listener().unwrap(), to_grpc));
    (door, path, from_door, bound)
}

#[tokio::test]
async fn http2_goes_on_with_its_preface_and_its_peer() {
    let base = folder();
    let (_, path, mut from_door, _bound) = door(base.path(), Caps::default());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more").await.unwrap();
    let mut conn = from_door.recv().await.unwrap().unwrap();
    let mut seen = [0; 32];
    conn.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more");
    let info = tonic::transport::server::Connected::connect_info(&conn);
    assert_eq!(info.peer.caller.uid, own_uid());
}

#[tokio::test]
async fn a_secret_never_reaches_the_grpc_server() {
    let base = folder();
    let (door, path, mut from_door, _bound) = door(base.path(), Caps::default());
    let want = Want { uid: own_uid(), request: "r".into(), max_length: 16 };
    let prompt = door.prompts.open(want).unwrap();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"TMSECRET").await.unwrap();
    client.write_all(prompt.handle().as_bytes()).await.unwrap();
    client.write_all(b"\0\x06123456").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 0);
    assert_eq!(prompt.secret().await.unwrap().expose(), b"123456");
    assert!(from_door.try_recv().is_err());
}

#[tokio::test]
async fn whoever_says_nothing_is_closed_in_time_and_other_languages_at_once() {
    let base = folder();
    let (_, path, _from_door, _bound) = door(base.path(), Caps::default());
    let mut silent = UnixStream::connect(&path).await.unwrap();
    let mut other = UnixStream::connect(&path).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let began = tokio::time::Instant::now();
    // Unread bytes make the kernel say "reset" instead of "end".
    assert!(matches!(other.read(&mut [0]).await, Ok(0) | Err(_)));
    assert!(began.elapsed() < PREFACE_TIME);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert!(began.elapsed() < PREFACE_TIME * 3);
}

#[tokio::test]
async fn a_full_house_closes_the_silent_and_takes_the_newcomer() {
    let base = folder();
    let caps = Caps { each: 3, all: 3, ..Caps::default() };
    let (_, path, mut from_door, _bound) = door(base.path(), caps);
    let mut clients = Vec::new();
    let mut conns = Vec::new();
    for _ in 0..4 {
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut conn = from_door.recv().await.unwrap().unwrap();
        conn.read_exact(&mut [0; 24]).await.unwrap();
        assert!(conn.read(&mut [0]).now_or_never().is_none(), "it was heard, and has no more to say");
        conns.push(conn);
        clients.push(client);
    }
    assert!(conns[0].read(&mut [0]).await.is_err(), "the first one is closed");
    for conn in &mut conns[1..] {
        assert!(conn.read(&mut [0]).now_or_never().is_none());
    }
}

/// A connection whose peer has said this behind its preface, in a house that lets nobody in until somebody was heard.
async fn spoken(rest: &[u8]) -> (Arc<Register>, Vec<Member>, Conn, UnixStream) {
    let register = Register::new(Caps::default());
    let mut waiting = Vec::new();
    while is_open(&register) {
        let member = register.enter(1);
        member.has_spoken();
        waiting.push(member);
    }
    let (mut client, server) = UnixStream::pair().unwrap();
    if !rest.is_empty() {
        client.write_all(rest).await.unwrap();
        server.readable().await.unwrap(); // or the first read would find nothing
    }
    let peer = Arc::new(Everybody.peer(1, 1));
    let mut conn = Conn::new(server, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", peer, waiting.pop().unwrap());
    conn.read_exact(&mut [0; 24]).await.unwrap();
    assert!(!is_open(&register));
    (register, waiting, conn, client)
}

struct Woken(AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_open(register: &Register) -> bool {
    register.room().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_heard_when_it_was_read_and_its_requests_had_their_turn() {
    let (register, _waiting, mut conn, _client) = spoken(b"a request").await;
    assert_eq!(conn.read(&mut [0; 64]).await.unwrap(), 9);
    assert!(!is_open(&register), "it was not understood yet");
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = std::task::Waker::from(Arc::clone(&woken));
    let mut buffer = [0; 64];
    let mut more = Box::pin(conn.read(&mut buffer));
    assert!(more.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    drop(more);
    assert!(!is_open(&register), "its requests have not begun");
    assert!(woken.0.load(Ordering::Relaxed), "its turn comes again");
    assert!(conn.read(&mut [0; 64]).now_or_never().is_none());
    assert!(is_open(&register));
}

#[tokio::test(start_paused = true)]
async fn whoever_says_no_more_than_the_preface_was_heard() {
    let (register, _waiting, mut conn, _client) = spoken(b"").await;
    assert!(conn.read(&mut [0; 64]).now_or_never().is_none());
    assert!(is_open(&register));
}
