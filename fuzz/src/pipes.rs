//! Between processes: the messages of daemon and token helper, each side hearing the worst of the other, and the secret
//! connection.
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use touchmarkd::doors::token;
use touchmarkd::listen::Preface;
use touchmarkd::policy::Caller;
use touchmarkd::secret::{Intrusion, Prompts, Status, Want};

use crate::place::with_folder;
use crate::{Input, memory, runtime};

/// Bytes of a frame's header.
const HEADER: usize = 13;

/// The first byte: raw or well-framed requests to a helper, answers to the daemon, a connection with a secret.
pub fn pipes(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => requests(input.rest()),
        1 => {
            let mut frames = Vec::new();
            while !input.is_empty() && frames.len() < 64 * 1024 {
                let (number, secrets) = (u32::from(input.byte()), [input.piece(), input.piece()]);
                let length = usize::from(input.number());
                frames.extend(frame(number, input.take(length), secrets));
            }
            requests(&frames);
        }
        2 => answer(input.rest(), 1),
        3 => {
            let secret = input.piece();
            let answered = frame(1, input.rest(), [secret, &[]]);
            answer(&answered, 1);
        }
        _ => secret(&mut input),
    }
}

fn frame(number: u32, body: &[u8], secrets: [&[u8]; 2]) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend(number.to_be_bytes());
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    for secret in secrets {
        frame.extend(u16::try_from(secret.len()).unwrap().to_be_bytes());
    }
    [frame.as_slice(), body, secrets[0], secrets[1]].concat()
}

fn requests(bytes: &[u8]) {
    let (answers, goes_on) = with_folder(|folder| {
        // The fake token gets no orders; its log is wanted by nobody.
        std::os::unix::fs::symlink("/dev/null", folder.join("orders.log")).unwrap();
        token::helper(bytes, &folder.join("orders"))
    });
    assert!(goes_on, "no request makes the helper end");
    let mut rest = answers.as_slice();
    while !rest.is_empty() {
        let length = frame_length(rest).expect("whole frames");
        let (one, after) = rest.split_at(length);
        answer(one, u32::from_be_bytes(one[1..5].try_into().unwrap()));
        rest = after;
    }
}

fn frame_length(frame: &[u8]) -> Option<usize> {
    let header = frame.first_chunk::<HEADER>()?;
    let number = |range: std::ops::Range<usize>| {
        header[range].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let length = HEADER + number(5..9) + number(9..11) + number(11..13);
    (frame.len() >= length).then_some(length)
}

fn answer(bytes: &[u8], number: u32) {
    let Ok(heard) = runtime().block_on(token::answer(bytes, number, &memory())) else { return };
    let length = frame_length(bytes).expect("only whole frames are heard");
    let secret = heard.secret.as_ref().map_or(&[][..], |secret| secret.expose());
    assert!(bytes[..length].ends_with(secret));
    let again = frame(number, &heard.written, [secret, &[]]);
    let again =
        runtime().block_on(token::answer(&again, number, &memory())).expect("what is written is read");
    assert_eq!((again.written, again.keys, again.signature), (heard.written, heard.keys, heard.signature));
}

/// One connection, from its first byte to its last.
fn secret(input: &mut Input<'_>) {
    let (faults, max) = (input.byte(), u16::from(input.byte()));
    let sent = input.rest();
    let seen = Arc::new(Mutex::new(Vec::<Intrusion>::new()));
    let keep = Arc::clone(&seen);
    let prompts = Prompts::new(memory(), move |intrusion| keep.lock().unwrap().push(intrusion));
    let want = Want { uid: 7, request: "r".to_owned(), max_length: max };
    let prompt = prompts.open(want).expect("random bytes");
    let mut first = *b"TMSECRET................";
    first[8..].copy_from_slice(prompt.handle().as_bytes());
    if faults & 1 == 1 {
        let length = sent.len().min(24);
        first[..length].copy_from_slice(&sent[..length]);
    }
    let caller = Caller { uid: 7 + u32::from(faults >> 1 & 1), gid: 7, groups: Vec::new(), name: None };
    let (status, got) = runtime().block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(128 * 1024);
        ours.write_all(sent).await.unwrap();
        ours.shutdown().await.unwrap();
        match Preface::of(&first) {
            Preface::Secret(handle) => prompts.receive(theirs, handle, &caller).await,
            Preface::Http2(bytes) => return (None, Some(bytes.to_vec())),
            Preface::Unknown => return (None, None),
        }
        let mut status = Vec::new();
        ours.read_to_end(&mut status).await.unwrap();
        assert!(status.len() <= 1);
        let taken = status.first() == Some(&(Status::Taken as u8));
        let got = if taken { Some(prompt.secret().await.unwrap().expose().to_vec()) } else { None };
        (status.first().copied(), got)
    });
    let length = sent.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes));
    let meant = length.and_then(|length| sent.get(2..2 + usize::from(length)));
    if first[..8] != *b"TMSECRET" {
        assert_eq!(status, None);
    } else if caller.uid != 7 {
        assert!(status != Some(Status::Taken as u8) && seen.lock().unwrap().len() == 1);
    } else if let Some(got) = got {
        assert_eq!(Some(got.as_slice()), meant);
        assert!((1..=usize::from(max)).contains(&got.len()));
    } else if faults & 1 == 0
        && meant.is_some_and(|secret| !secret.is_empty() && secret.len() <= usize::from(max))
    {
        panic!("a right secret was not taken: {status:?}");
    }
    assert!(prompts.count() <= 1);
}
