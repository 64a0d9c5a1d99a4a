//! The wire: every message that a caller may send, the bytes of requests that come in many messages, the documents that
//! the daemon sends in many, lines of an exported record.
mod streams;

use std::fmt::Debug;

use http_body_util::Full;
use prost::Message;
use prost::bytes::Bytes;
use tonic::Streaming;
use tonic_prost::ProstDecoder;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::{CHUNK_MAX, SIGN_MAX, audit, convert, v1};
use touchmark_tuf::Sha256Digest;
use touchmarkd::doors;

use crate::{Input, runtime};

/// The first byte: a message of some kind, a `Sign` request's bytes, a well-formed one, a record; the same of
/// `SealTranscript`, a backup in parts, or the daemon's documents.
pub fn wire(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 12 {
        0..=2 => message(&mut input),
        3 => drop(upload(input.rest())),
        4 | 5 => request(&mut input),
        6 | 7 => record(input.rest()),
        8 => drop(streams::seal_upload(input.rest())),
        9 => streams::seal_request(&mut input),
        10 => streams::restore(&mut input),
        _ => streams::last(&mut input),
    }
}

fn message(input: &mut Input<'_>) {
    let kind = input.byte();
    let bytes = input.rest();
    match kind % 48 {
        0 => both::<v1::SignRequest>(bytes),
        1 => open(bytes),
        2 => both::<v1::LastRequest>(bytes),
        3 => both::<v1::CreateKeyRequest>(bytes),
        4 => both::<v1::ImportKeyRequest>(bytes),
        5 => both::<v1::RemoveKeyRequest>(bytes),
        6 => both::<v1::IssueRootCertificateRequest>(bytes),
        7 => both::<v1::InitTokenRequest>(bytes),
        8 => both::<v1::AttestRequest>(bytes),
        9 => both::<v1::VaultTokenRequest>(bytes),
        10 => both::<v1::UnlockRequest>(bytes),
        11 => both::<v1::RestoreRequest>(bytes),
        12 => both::<v1::AuditReadRequest>(bytes),
        13 => both::<v1::LedgerRequest>(bytes),
        14 => both::<v1::ReleaseLedgerRequest>(bytes),
        // What the client reads.
        15 => both::<v1::SignEvent>(bytes),
        16 => both::<v1::StatusResponse>(bytes),
        17 => signature(bytes),
        18 => both::<v1::SealTranscriptRequest>(bytes),
        19 => seal_open(bytes),
        20 => both::<v1::BelieveClockRequest>(bytes),
        21 => both::<v1::VaultInitRequest>(bytes),
        22 => both::<v1::VaultPassphraseRequest>(bytes),
        23 => both::<v1::AuditHeadRequest>(bytes),
        24 => both::<v1::StatusRequest>(bytes),
        25 => both::<v1::ListKeysRequest>(bytes),
        26 => both::<v1::ListTokensRequest>(bytes),
        27 => both::<v1::LockRequest>(bytes),
        28 => both::<v1::VaultStatusRequest>(bytes),
        29 => both::<v1::BackupRequest>(bytes),
        // What the client reads.
        30 => both::<v1::SealTranscriptEvent>(bytes),
        31 => both::<v1::LastChunk>(bytes),
        32 => both::<v1::LedgerResponse>(bytes),
        33 => both::<v1::ReleaseLedgerEvent>(bytes),
        34 => both::<v1::BelieveClockEvent>(bytes),
        35 => both::<v1::ListKeysResponse>(bytes),
        36 => both::<v1::KeyEvent>(bytes),
        37 => both::<v1::RootCertificateEvent>(bytes),
        38 => both::<v1::ListTokensResponse>(bytes),
        39 => both::<v1::TokenEvent>(bytes),
        40 => both::<v1::AttestResponse>(bytes),
        41 => both::<v1::VaultEvent>(bytes),
        42 => both::<v1::VaultStatus>(bytes),
        43 => both::<v1::LockResponse>(bytes),
        44 => both::<v1::BackupChunk>(bytes),
        45 => both::<v1::AuditRow>(bytes),
        46 => both::<v1::AuditHeadResponse>(bytes),
        _ => both::<v1::LedgerEntry>(bytes),
    }
}

fn both<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = M::decode(bytes) else { return };
    assert_eq!(M::decode(message.encode_to_vec().as_slice()).as_ref(), Ok(&message));
}

fn open(bytes: &[u8]) {
    let Ok(open) = v1::SignOpen::decode(bytes) else { return };
    if let Ok(gun) = convert::gun("gun", &open.gun) {
        assert_eq!(gun.as_str(), open.gun);
    }
    for document in &open.documents {
        if let Ok(role) = convert::role("role", &document.role) {
            assert_eq!(role.as_str(), document.role);
        }
        if let Ok(digest) = convert::sha256("sha256", &document.sha256) {
            assert_eq!(digest.as_bytes().as_slice(), document.sha256);
        }
    }
}

fn seal_open(bytes: &[u8]) {
    let Ok(open) = v1::SealTranscriptOpen::decode(bytes) else { return };
    if let Ok(key) = convert::key_id("key_id", &open.key_id) {
        assert_eq!(key.to_string(), open.key_id);
    }
    if let Ok(digest) = convert::sha256("sha256", &open.sha256) {
        assert_eq!(digest.as_bytes().as_slice(), open.sha256);
    }
}

fn signature(bytes: &[u8]) {
    let Ok(wire) = v1::Signature::decode(bytes) else { return };
    let Ok(signature) = convert::from_wire("signature", &wire) else { return };
    assert_eq!(convert::from_wire("again", &convert::to_wire(&signature)), Ok(signature));
}

/// What the daemon takes out of a request's body; the words of its refusal otherwise.
fn upload(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let taken = runtime().block_on(doors::upload(streaming(body))).map_err(|refusal| {
        assert!(!refusal.message.is_empty());
        refusal.message
    })?;
    let total: usize = taken.bases.iter().map(|base| base.1.len()).sum::<usize>()
        + taken.documents.iter().map(|document| document.bytes.len()).sum::<usize>();
    assert!(total <= SIGN_MAX && !taken.documents.is_empty());
    let bases = taken.bases.into_iter().map(|base| base.1);
    Ok(bases.chain(taken.documents.into_iter().map(|document| document.bytes)).collect())
}

/// A body as the daemon gets it.
fn streaming<M: Message + Default + 'static>(body: &[u8]) -> Streaming<M> {
    let body = Full::new(Bytes::copy_from_slice(body));
    Streaming::new_request(ProstDecoder::<M>::default(), body, None, Some(128 * 1024))
}

/// A request made from small files, with what the fuzzer orders done to it: it is taken only as it was meant.
fn request(input: &mut Input<'_>) {
    let (faults, cut) = (input.byte(), usize::from(input.byte()).max(1));
    let (bases, documents) = (usize::from(input.byte() % 3), usize::from(input.byte() % 3) + 1);
    let files: Vec<Vec<u8>> = (0..bases + documents).map(|_| input.piece().to_vec()).collect();
    let announced = |file: &Vec<u8>| (file.len() as u64, Sha256Digest::of(file).as_bytes().to_vec());
    let mut open = v1::SignOpen { gun: "docker.io/library/a".to_owned(), ..Default::default() };
    for file in &files[..bases] {
        let (length, sha256) = announced(file);
        open.bases.push(v1::Base { role: "root".to_owned(), length, sha256 });
    }
    for file in &files[bases..] {
        let (length, sha256) = announced(file);
        open.documents.push(v1::Document {
            role: "targets".to_owned(),
            length,
            sha256,
            ..Default::default()
        });
    }
    let meant = files.concat();
    let bytes = damaged(&meant, faults, input);
    let part = |part| v1::SignRequest { part: Some(part) };
    let mut body = Vec::new();
    frame(&mut body, &part(Part::Open(open)));
    for chunk in chunks(&bytes, cut, faults) {
        frame(&mut body, &part(Part::Chunk(chunk)));
    }
    let whole = bytes == meant && faults & 8 == 0;
    match upload(&body) {
        Ok(taken) => assert!(whole && taken == files, "other bytes than were announced"),
        Err(why) => assert!(!whole, "a right request is refused: {why}"),
    }
}

/// Bytes as they come that are not as they were meant.
fn damaged(meant: &[u8], faults: u8, input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = meant.to_vec();
    if faults & 1 == 1 && !bytes.is_empty() {
        let at = usize::from(input.number()) % bytes.len();
        bytes[at] ^= 1;
    }
    if faults & 2 == 2 {
        bytes.pop();
    }
    if faults & 4 == 4 {
        bytes.push(0);
    }
    bytes
}

/// Chunks of so many bytes, and one that is too long.
fn chunks(bytes: &[u8], cut: usize, faults: u8) -> impl Iterator<Item = v1::Chunk> {
    let too_long = (faults & 8 == 8).then(|| vec![0; CHUNK_MAX + 1]);
    bytes.chunks(cut).map(<[u8]>::to_vec).chain(too_long).map(|data| v1::Chunk { data })
}

/// One gRPC message: not compressed, its length, itself.
fn frame(body: &mut Vec<u8>, message: &impl Message) {
    let message = message.encode_to_vec();
    body.push(0);
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&message);
}

/// Lines of `audit export`: one that is read is written again to the byte, and a chain takes nothing that it does not follow.
fn record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut chain = audit::Chain::default();
    for line in text.lines() {
        let Some(row) = audit::import(line) else { continue };
        assert_eq!(audit::export(&row), line);
        assert!(audit::fields(&row.json).is_some());
        let before = chain.finish().unwrap();
        if chain.push(&row).is_ok() {
            let previous = <[u8; 32]>::try_from(row.previous.as_slice()).unwrap();
            assert_eq!((row.seq, previous), (before.0 + 1, before.1));
        } else {
            assert_eq!(chain.finish().unwrap(), before);
        }
        // The same row as it would have been appended.
        let mut follows = row.clone();
        follows.previous = before.1.to_vec();
        follows.hash = Sha256Digest::of(&[&before.1, row.json.as_bytes()].concat()).as_bytes().to_vec();
        if follows.seq == before.0 + 1 && chain.finish().unwrap() == before {
            chain.push(&follows).expect("a row that follows is taken");
        }
    }
}
