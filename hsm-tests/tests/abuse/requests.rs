//! Attacks with requests: begun and never ended, answered and never read.

use std::io;

use hsm_tests::http2::{END_STREAM, INITIAL_WINDOW_SIZE, Raw, grpc, kind};
use prost::Message as _;
use touchmark_proto::v1;

use crate::frames::{SIGN, STATUS, open, streams};
use crate::stage::Scene;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Connections that one attacker opens: more than it may have.
const CONNECTIONS: usize = 40;
/// Requests on each: more than there may be.
const REQUESTS: usize = 130;
/// No answer may be sent.
const CLOSED: [(u16, u32); 1] = [(INITIAL_WINDOW_SIZE, 0)];

/// Opens connections with requests, and keeps all of them.
fn many(scene: &Scene, settings: &[(u16, u32)], mut request: impl FnMut(&mut Raw, u32) -> io::Result<()>) {
    let mut kept = Vec::new();
    for _ in 0..CONNECTIONS {
        let Ok(mut raw) = open(scene, settings) else { continue };
        let asked = streams().take(REQUESTS).take_while(|_| scene.goes_on());
        // Over the limits the server refuses the request, or closes the connection, or reads no more.
        drop(asked.into_iter().try_for_each(|stream| request(&mut raw, stream)));
        kept.push(raw);
    }
    scene.hold();
}

/// 5,200 requests that are never ended.
pub(crate) fn never_ended(scene: &Scene) {
    many(scene, &[], |raw, stream| raw.request(stream, if stream % 4 == 1 { STATUS } else { SIGN }));
}

/// The same, each with a message whose last byte does not come.
pub(crate) fn one_byte_short(scene: &Scene) {
    let mut message = grpc(&[0; 60 * 1024]);
    message.truncate(60 * 1024);
    let parts: Vec<_> = message.chunks(16 * 1024).map(<[u8]>::to_vec).collect();
    many(scene, &[], |raw, stream| {
        raw.request(stream, SIGN)?;
        parts.iter().try_for_each(|part| raw.frame(kind::DATA, 0, stream, part))
    });
}

/// More bytes than anybody takes out of the windows: answers of reflection that nobody reads, and questions that
/// therefore nobody reads either.
pub(crate) fn questions_behind_answers(scene: &Scene) {
    let list = vec![0x3a, 0x01, b'*']; // ServerReflectionRequest.list_services = 7
    let questions = grpc(&list).repeat(2000);
    many(scene, &CLOSED, |raw, stream| {
        raw.request(stream, REFLECTION)?;
        questions.chunks(16 * 1024).try_for_each(|part| raw.frame(kind::DATA, 0, stream, part))
    });
}

/// 16 MiB announced, and nothing sent.
pub(crate) fn announced(scene: &Scene) {
    let open = announcement(16 << 20);
    many(scene, &[], |raw, stream| {
        raw.request(stream, SIGN)?;
        raw.frame(kind::DATA, 0, stream, &grpc(&open))
    });
}

/// A connection for announcements.
pub(crate) fn quiet(scene: &Scene) -> Raw {
    open(scene, &[]).unwrap()
}

/// Announces 16 MiB, and sends none of them.
pub(crate) fn announce(raw: &mut Raw, stream: u32) {
    raw.request(stream, SIGN).unwrap();
    raw.frame(kind::DATA, 0, stream, &grpc(&announcement(16 << 20))).unwrap();
}

/// A document that comes byte by byte.
pub(crate) fn byte_by_byte(scene: &Scene) {
    let (open, byte) = (announcement(64 * 1024), chunk(b"{"));
    let mut kept = Vec::new();
    for _ in 0..8 {
        let Ok(mut raw) = crate::frames::open(scene, &[]) else { continue };
        let begun = streams().take(8).try_for_each(|stream| {
            raw.request(stream, SIGN)?;
            raw.frame(kind::DATA, 0, stream, &grpc(&open))
        });
        if begun.is_ok() {
            kept.push(raw);
        }
    }
    while scene.goes_on() && !kept.is_empty() {
        kept.retain_mut(|raw| {
            streams().take(8).try_for_each(|stream| raw.frame(kind::DATA, 0, stream, &grpc(&byte))).is_ok()
        });
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// A PIN is asked for, and nobody answers.
pub(crate) fn prompts(scene: &Scene) {
    let token = v1::VaultTokenRequest { token: "root".to_owned() }.encode_to_vec();
    many(scene, &[], |raw, stream| raw.call(stream, "/touchmark.v1.Vault/AddToken", &token));
}

/// `status --watch` that is never read.
pub(crate) fn watchers_who_do_not_look(scene: &Scene) {
    many(scene, &CLOSED, |raw, stream| raw.call(stream, "/touchmark.v1.Daemon/Watch", b""));
}

/// `status --watch` that is read.
pub(crate) fn watchers(scene: &Scene) {
    many(scene, &[], |raw, stream| {
        raw.call(stream, "/touchmark.v1.Daemon/Watch", b"")?;
        if raw.is_closed() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    });
}

/// The whole audit, never read.
pub(crate) fn audits_never_read(scene: &Scene) {
    many(scene, &CLOSED, |raw, stream| raw.call(stream, "/touchmark.v1.Audit/Read", b""));
}

/// Answers by the megabyte that may all be sent, and nobody reads the socket: descriptions of a service for a question
/// of a few bytes, and the whole audit.
pub(crate) fn answers_in_the_pipe(scene: &Scene) {
    let all = u32::try_from(i32::MAX).unwrap();
    let symbol = b"touchmark.v1.Daemon"; // ServerReflectionRequest.file_containing_symbol = 4
    let questions = grpc(&[&[0x22, 19], symbol.as_slice()].concat()).repeat(400);
    many(scene, &[(INITIAL_WINDOW_SIZE, all)], |raw, stream| {
        if stream == 1 {
            raw.frame(kind::WINDOW_UPDATE, 0, 0, &(all - 0xffff).to_be_bytes())?;
        }
        if stream % 4 == 1 {
            return raw.call(stream, "/touchmark.v1.Audit/Read", b"");
        }
        raw.request(stream, REFLECTION)?;
        raw.frame(kind::DATA, 0, stream, &questions)
    });
}

/// The last documents and the status, never read.
pub(crate) fn answers_never_taken(scene: &Scene) {
    let last = v1::LastRequest { gun: crate::stage::GUN.to_owned(), ..Default::default() }.encode_to_vec();
    many(scene, &CLOSED, |raw, stream| match stream % 4 {
        1 => raw.call(stream, "/touchmark.v1.Signer/Last", &last),
        _ => raw.call(stream, STATUS, b""),
    });
}

/// Requests as fast as they go, answers thrown away.
pub(crate) fn calls(scene: &Scene) {
    let Ok(mut raw) = open(scene, &[]) else { return };
    for stream in streams() {
        if !scene.goes_on() {
            return;
        }
        if raw.call(stream, STATUS, b"").is_err() || raw.is_closed() {
            let Ok(next) = open(scene, &[]) else { return };
            raw = next;
        }
    }
}

/// Documents that no policy lets through.
pub(crate) fn bad_documents(scene: &Scene) {
    let (open_message, document) = (announcement_of(b"{}"), chunk(b"{}"));
    while scene.goes_on() {
        let Ok(mut raw) = open(scene, &[]) else { return };
        drop(streams().take(20).try_for_each(|stream| {
            raw.request(stream, SIGN)?;
            raw.frame(kind::DATA, 0, stream, &grpc(&open_message))?;
            raw.frame(kind::DATA, END_STREAM, stream, &grpc(&document))?;
            while raw.read()?.is_some_and(|frame| frame.stream != stream || frame.flags & END_STREAM == 0) {}
            Ok::<_, io::Error>(())
        }));
    }
}

fn announcement(length: u64) -> Vec<u8> {
    let mut open = crate::honest::open(b"", &"0".repeat(64));
    open.documents[0].length = length;
    wrapped(v1::sign_request::Part::Open(open))
}

fn announcement_of(document: &[u8]) -> Vec<u8> {
    wrapped(v1::sign_request::Part::Open(crate::honest::open(document, &"0".repeat(64))))
}

fn chunk(data: &[u8]) -> Vec<u8> {
    wrapped(v1::sign_request::Part::Chunk(v1::Chunk { data: data.to_vec() }))
}

fn wrapped(part: v1::sign_request::Part) -> Vec<u8> {
    v1::SignRequest { part: Some(part) }.encode_to_vec()
}
