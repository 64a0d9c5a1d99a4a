use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tonic::Status;
use touchmark_proto::v1::waiting::State;

use super::*;
use crate::args::{Format, Global};
use crate::context::Environment;
use crate::prompt::{Consent, Source};

const HANDLE: [u8; 16] = [7; 16];

/// What arrived on secret connections: handle and bytes.
type Taken = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

/// A daemon that takes secrets, answers each with `verdict`, and speaks nothing else.
fn secret_taker(verdict: u8) -> (tempfile::TempDir, PathBuf, Taken) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let taken = Taken::default();
    let into = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            take(&mut stream, &into).await.unwrap();
            stream.write_u8(verdict).await.unwrap();
        }
    });
    (folder, socket, taken)
}

async fn take(stream: &mut UnixStream, into: &Taken) -> io::Result<()> {
    let mut head = [0; 24];
    stream.read_exact(&mut head).await?;
    assert_eq!(&head[..8], b"TMSECRET");
    let mut secret = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut secret).await?;
    into.lock().unwrap().push((head[8..].to_vec(), secret));
    Ok(())
}

fn output() -> Output {
    let global = Global {
        socket: None,
        trust_server: None,
        trust_dir: None,
        format: Format::Json,
        quiet: true,
        verbose: 0,
    };
    Output::new(&global, &Environment::default())
}

/// A connection that never opens a channel, and a program that gives these lines as secrets.
fn daemon(socket: &Path, lines: &[u8]) -> (Daemon, std::fs::File) {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, lines).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let daemon = Daemon {
        channel: Endpoint::from_static("http://localhost").connect_lazy(),
        socket: socket.to_path_buf(),
        out: output(),
        prompter: Prompter::new(Source::Fd(number), Consent::Ask),
        status: v1::StatusResponse::default(),
    };
    (daemon, file)
}

fn waiting(state: State) -> Result<v1::VaultEvent, Status> {
    let waiting = v1::Waiting { state: Some(state) };
    Ok(v1::VaultEvent { event: Some(v1::vault_event::Event::Waiting(waiting)) })
}

fn pin(tries_left: i32) -> v1::NeedsPin {
    v1::NeedsPin {
        handle: HANDLE.to_vec(),
        token: "root".into(),
        tries_left,
        max_length: 255,
        kind: v1::SecretKind::Pin.into(),
        ..v1::NeedsPin::default()
    }
}

fn done() -> Result<v1::VaultEvent, Status> {
    let status = v1::VaultStatus { keys: 3, ..v1::VaultStatus::default() };
    Ok(v1::VaultEvent { event: Some(v1::vault_event::Event::Status(status)) })
}

/// Each message comes once the secret before it has arrived, as with the real daemon.
fn after_secrets(
    taken: &Taken,
    messages: Vec<Result<v1::VaultEvent, Status>>,
) -> impl futures_util::Stream<Item = Result<v1::VaultEvent, Status>> + use<> {
    let taken = Arc::clone(taken);
    stream::unfold((messages.into_iter(), 0, taken), |(mut messages, wanted, taken)| async move {
        while taken.lock().unwrap().len() < wanted {
            tokio::task::yield_now().await;
        }
        let message = messages.next()?;
        let asks = matches!(&message, Ok(v1::VaultEvent { event: Some(v1::vault_event::Event::Waiting(waiting)) })
            if matches!(waiting.state, Some(State::NeedsPin(_))));
        Some((message, (messages, wanted + usize::from(asks), taken)))
    })
}

#[tokio::test]
async fn a_pin_goes_over_its_own_connection_and_the_call_goes_on() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"1234\n");
    let queued = State::Queued(v1::Queued { behind: "another".into() });
    let events = after_secrets(&taken, vec![waiting(queued), waiting(State::NeedsPin(pin(3))), done()]);
    assert_eq!(daemon.drive(events).await.unwrap().keys, 3);
    assert_eq!(*taken.lock().unwrap(), [(HANDLE.to_vec(), b"1234".to_vec())]);
}

#[tokio::test]
async fn a_program_is_not_asked_again_for_a_pin_that_was_refused() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"wrong\nother\n");
    let events =
        after_secrets(&taken, vec![waiting(State::NeedsPin(pin(3))), waiting(State::NeedsPin(pin(2)))]);
    let error = daemon.drive(events).await.unwrap_err();
    assert_eq!((error.reason, error.tries_left), (Reason::WrongPin, Some(2)));
    assert_eq!(taken.lock().unwrap().len(), 1, "the second line was sent");
}

#[tokio::test]
async fn the_last_try_is_not_spent_without_a_yes() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"1234\n");
    let events = after_secrets(&taken, vec![waiting(State::NeedsPin(pin(1))), done()]);
    // On a terminal the question is asked there; tests run without one.
    if std::fs::File::open("/dev/tty").is_err() {
        let error = daemon.drive(events).await.unwrap_err();
        assert_eq!(error.reason, Reason::NoTerminal);
        assert!(error.hint.unwrap().contains("--last-try"));
        assert!(taken.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn two_pins_of_one_token_are_two_lines() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"1234\n5678\n");
    let again = waiting(State::NeedsPin(pin(3)));
    let events = after_secrets(&taken, vec![waiting(State::NeedsPin(pin(3))), again, done()]);
    daemon.drive(events).await.unwrap();
    assert_eq!(taken.lock().unwrap()[1].1, b"5678");
}

#[tokio::test]
async fn one_line_serves_every_call_of_a_command() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"1234\n");
    for calls in 1..=2 {
        let question = v1::NeedsPin { intent: format!("call {calls}"), ..pin(-1) };
        let events = stream::iter(vec![waiting(State::NeedsPin(question))]).chain(stream::once({
            let taken = Arc::clone(&taken);
            async move {
                while taken.lock().unwrap().len() < calls {
                    tokio::task::yield_now().await;
                }
                done()
            }
        }));
        daemon.drive(events).await.unwrap();
    }
    let sent: Vec<_> = taken.lock().unwrap().iter().map(|(_, secret)| secret.clone()).collect();
    assert_eq!(sent, [b"1234", b"1234"]);
}

#[tokio::test]
async fn a_key_file_is_sent_whole_and_once() {
    let (_folder, socket, taken) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'k'; 3000]).unwrap();
    let question = v1::NeedsPin { kind: v1::SecretKind::KeyFile.into(), max_length: 65_535, ..pin(-1) };
    let ask = || waiting(State::NeedsPin(question.clone()));
    let secret = crate::prompt::Secret::from_file(file.path()).unwrap();
    let error =
        daemon.drive_with_key_file(after_secrets(&taken, vec![ask(), ask()]), secret).await.unwrap_err();
    assert_eq!(error.reason, Reason::InvalidField);
    assert_eq!(taken.lock().unwrap()[0].1.len(), 3000);
}

#[tokio::test]
async fn a_refused_handle_says_that_it_came_too_late() {
    let (_folder, socket, taken) = secret_taker(1);
    let (daemon, _file) = daemon(&socket, b"1234\n");
    let question = waiting(State::NeedsPin(pin(3)));
    // The stream stays silent, so that the verdict on the secret decides.
    let events = after_secrets(&taken, vec![question]).chain(stream::pending());
    assert_eq!(daemon.drive(events).await.unwrap_err().reason, Reason::PinRequired);
}

#[tokio::test]
async fn a_call_that_ends_while_the_person_thinks_is_over() {
    let (_folder, socket, taken) = secret_taker(0);
    let (read, _write) = rustix::pipe::pipe().unwrap();
    let (mut daemon, _file) = daemon(&socket, b"");
    daemon.prompter = Prompter::new(Source::Fd(std::os::fd::AsRawFd::as_raw_fd(&read)), Consent::Ask);
    let gone = Refusal::new(Reason::TokenNotPresent, "unplugged").into_status();
    let events = stream::iter(vec![waiting(State::NeedsPin(pin(3))), Err(gone)]);
    assert_eq!(daemon.drive(events).await.unwrap_err().reason, Reason::TokenNotPresent);
    assert!(taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_that_just_ends_is_a_broken_connection() {
    let (_folder, socket, _) = secret_taker(0);
    let (daemon, _file) = daemon(&socket, b"");
    let events = stream::iter(Vec::<Result<v1::VaultEvent, Status>>::new());
    assert_eq!(daemon.drive(events).await.unwrap_err().reason, Reason::DaemonUnreachable);
}

#[test]
fn a_status_keeps_the_daemons_reason() {
    let mut refusal = Refusal::new(Reason::WrongPin, "wrong PIN");
    refusal.tries_left = Some(2);
    let error = failure(refusal.into_status());
    assert_eq!((error.reason, error.tries_left), (Reason::WrongPin, Some(2)));
    assert_eq!(failure(Status::unimplemented("")).reason, Reason::DaemonTooOld);
    assert_eq!(failure(Status::unavailable("broken pipe")).reason, Reason::DaemonUnreachable);
    assert_eq!(failure(Status::resource_exhausted("too large")).reason, Reason::Internal);
}

#[tokio::test]
async fn nobody_there_names_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let stale = folder.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    for socket in [missing, stale] {
        let Err(Unheard::Answer(error)) = channel(&socket).await else { panic!("nobody is there") };
        assert_eq!(error.reason, Reason::DaemonUnreachable);
        assert!(error.hint.unwrap().contains("touchmarkd run --dev"));
    }
}

#[test]
fn an_older_daemon_is_refused_and_a_newer_one_is_not() {
    assert!(check_version(env!("CARGO_PKG_VERSION")).is_ok());
    assert!(check_version("99.0.0").is_ok());
    assert_eq!(check_version("0.0.9").unwrap_err().reason, Reason::DaemonTooOld);
}

fn chunk(role: &str, version: u64, length: u64, data: &[u8]) -> Result<v1::LastChunk, Status> {
    Ok(v1::LastChunk {
        role: role.into(),
        version,
        length,
        data: data.to_vec(),
        unpublished: version == 2,
        ..Default::default()
    })
}

#[tokio::test]
async fn last_documents_are_put_together() {
    let chunks = vec![
        chunk("root", 1, 4, b"ro"),
        chunk("", 0, 0, b"ot"),
        chunk("targets", 2, 3, b""),
        chunk("", 0, 0, b"abc"),
    ];
    let found = last::collect(stream::iter(chunks)).await.unwrap();
    let brief: Vec<_> =
        found.iter().map(|one| (one.role.as_str(), one.version, &one.file[..], one.unpublished)).collect();
    assert_eq!(brief, [("root", 1, &b"root"[..], false), ("targets", 2, &b"abc"[..], true)]);
}

#[tokio::test]
async fn last_documents_must_have_their_announced_length() {
    for wrong in [
        vec![chunk("root", 1, 4, b"ro")],
        vec![chunk("root", 1, 4, b"rootroot")],
        vec![chunk("root", 1, 0, b"")],
        vec![chunk("root", 1, u64::MAX, b"")],
        vec![chunk("../x", 1, 1, b"x")],
    ] {
        assert_eq!(last::collect(stream::iter(wrong)).await.unwrap_err().reason, Reason::Internal);
    }
}

#[test]
fn a_job_announces_everything_and_then_sends_bases_before_documents() {
    let job = SignJob {
        gun: "localhost:5000/a".parse().unwrap(),
        documents: vec![DocumentToSign {
            role: "targets".parse().unwrap(),
            keys: vec![touchmark_tuf::KeyId::from_bytes([1; 32])],
            bytes: vec![b'd'; 100_000],
        }],
        bases: vec![("root".parse().unwrap(), b"base".to_vec())],
        accept_root: None,
        seen: vec![],
    };
    let mut requests = sign::requests(&job).into_iter().filter_map(|request| request.part);
    let Some(v1::sign_request::Part::Open(open)) = requests.next() else { panic!("the first is no Open") };
    assert_eq!((open.documents[0].length, open.bases[0].length), (100_000, 4));
    let chunks: Vec<usize> = requests
        .map(|part| match part {
            v1::sign_request::Part::Chunk(chunk) => chunk.data.len(),
            v1::sign_request::Part::Open(_) => panic!("a second Open"),
        })
        .collect();
    assert_eq!(chunks, [4, 65_536, 34_464]);
}

#[test]
fn waiting_states_say_what_is_signed_and_escape_it() {
    let touch = v1::NeedsTouch {
        token: "5c".into(),
        serial: "123".into(),
        intent: "sign root of a\u{1b}[2J".into(),
        touch: 1,
        of: 2,
        ..v1::NeedsTouch::default()
    };
    let said = wording::of(&State::NeedsTouch(touch.clone()), &[]);
    assert_eq!(said.state, "needs-touch");
    assert_eq!(said.text, "Touch token \"5c\" (serial 123) (touch 1 of 2) to sign root of a\\u{1b}[2J.");
    assert_eq!(wording::label(&pin(2), &[]), "PIN of token \"root\", 2 tries left");
    assert_eq!(wording::label(&pin(-1), &[]), "PIN of token \"root\"");
    assert_eq!(wording::refused(&pin(1), &[]), "PIN of token \"root\" was refused; tries left: 1");

    let yubikeys = [v1::Token { name: "5c".into(), kind: "yubikey".into(), ..v1::Token::default() }];
    let one = v1::NeedsTouch { of: 1, ..touch };
    let said = wording::of(&State::NeedsTouch(one), &yubikeys);
    assert_eq!(said.text, "Touch YubiKey 123 to sign root of a\\u{1b}[2J.");
    let gone = v1::NeedsToken { token: "5c".into(), serial: "123".into(), why: String::new() };
    assert_eq!(wording::of(&State::NeedsToken(gone.clone()), &yubikeys).text, "Insert YubiKey 123.");
    let held = v1::NeedsToken { why: "gpg\u{7}'s scdaemon has it".into(), ..gone };
    assert_eq!(
        wording::of(&State::NeedsToken(held), &yubikeys).text,
        "YubiKey 123 cannot be used yet: gpg\\u{7}'s scdaemon has it"
    );
}
