//! What comes in many messages, beside `Sign`: a transcript to be sealed, a backup, the daemon's documents.
use touchmark::doors as client;
use touchmark_proto::transcript::TRANSCRIPT_MAX;
use touchmark_proto::v1::seal_transcript_request::Part;
use touchmark_proto::{SIGN_MAX, v1};
use touchmark_tuf::{KeyId, RoleName, Sha256Digest};
use touchmarkd::doors;

use super::{chunks, damaged, frame, streaming};
use crate::{Input, runtime};

/// What the daemon takes out of a body: the key, and the text.
pub(super) fn seal_upload(body: &[u8]) -> Result<(KeyId, Vec<u8>), String> {
    let taken = runtime().block_on(doors::seal_upload(streaming(body))).map_err(|refusal| {
        assert!(!refusal.message.is_empty());
        refusal.message
    })?;
    assert!(taken.1.len() <= TRANSCRIPT_MAX);
    Ok(taken)
}

/// A request with a text and what the fuzzer orders done to it: it is taken only as it was meant.
pub(super) fn seal_request(input: &mut Input<'_>) {
    let (faults, cut) = (input.byte(), usize::from(input.byte()).max(1));
    let key = KeyId::from_bytes([input.byte(); 32]);
    let text = [input.piece(), input.piece(), input.piece()].concat();
    let bytes = damaged(&text, faults, input);
    let length = if faults & 16 == 16 { u64::MAX - u64::from(input.number()) } else { text.len() as u64 };
    let open = Part::Open(v1::SealTranscriptOpen {
        key_id: key.to_string(),
        length,
        sha256: Sha256Digest::of(&text).as_bytes().to_vec(),
    });
    let mut parts: Vec<Part> = chunks(&bytes, cut, faults).map(Part::Chunk).collect();
    // In its place, in the middle of the bytes, or not at all.
    let place = [Some(0), Some(parts.len() / 2), Some(0), None][usize::from(faults >> 5) % 4];
    if let Some(place) = place {
        parts.insert(place, open.clone());
    }
    if faults & 128 == 128 {
        parts.push(open);
    }
    let opened = matches!(parts.first(), Some(Part::Open(_)));
    let opens = parts.iter().filter(|part| matches!(part, Part::Open(_))).count();
    let mut body = Vec::new();
    for part in parts {
        frame(&mut body, &v1::SealTranscriptRequest { part: Some(part) });
    }
    let whole = bytes == text && faults & (8 | 16) == 0 && opened && opens == 1;
    match seal_upload(&body) {
        Ok(taken) => assert!(whole && taken == (key, text), "other bytes than were announced"),
        Err(why) => assert!(!whole, "a right request is refused: {why}"),
    }
}

/// A backup in parts is put together as it was, or refused.
pub(super) fn restore(input: &mut Input<'_>) {
    if input.byte().is_multiple_of(2) {
        let refused = runtime().block_on(doors::restore_upload(streaming(input.rest()))).err();
        assert!(refused.is_none_or(|why| !why.is_empty()));
        return;
    }
    let (mut body, mut whole) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let data = input.piece().to_vec();
        whole.extend_from_slice(&data);
        frame(&mut body, &v1::RestoreRequest { data });
    }
    assert_eq!(runtime().block_on(doors::restore_upload(streaming(&body))), Ok(whole));
}

/// Documents of the daemon in any chunks: each is as long as was said, and together they are all that came.
pub(super) fn last(input: &mut Input<'_>) {
    const ROLES: [&str; 6] = ["root", "targets", "snapshot", "timestamp", "targets/a", "other"];
    let (mut chunks, mut sent) = (Vec::new(), Vec::new());
    while !input.is_empty() && chunks.len() < 64 {
        let kind = input.byte();
        let data = input.piece().to_vec();
        let length = match kind >> 6 {
            0 => data.len() as u64,
            1 => u64::from(input.byte()),
            2 => u64::from(input.number()),
            _ => SIGN_MAX as u64 + u64::from(input.byte() % 2),
        };
        sent.extend_from_slice(&data);
        chunks.push(v1::LastChunk {
            role: ROLES[usize::from(kind) % ROLES.len()].to_owned(),
            version: u64::from(kind),
            length,
            data,
            unsigned: kind & 8 == 8,
            ..Default::default()
        });
    }
    let first = chunks.first().map(|chunk| (chunk.role.clone(), chunk.length));
    let Ok(documents) = runtime().block_on(client::last(chunks)) else { return };
    let files: Vec<u8> = documents.iter().flat_map(|document| document.file.clone()).collect();
    assert_eq!(files, sent);
    let read = documents.first().map(|one| (one.role.to_string(), one.file.len() as u64));
    assert_eq!(read, first);
    assert!(documents.iter().all(|one| one.role.to_string().parse::<RoleName>().as_ref() == Ok(&one.role)));
}
