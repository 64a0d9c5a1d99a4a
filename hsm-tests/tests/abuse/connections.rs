//! Attacks with connections: many, silent, half of one, or with descriptors in their luggage.

use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd as _;

use hsm_tests::http2::{PREFACE, Raw};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::frames::{self, STATUS};
use crate::stage::Scene;

/// Connections that are opened and kept, these many at most.
fn kept(scene: &Scene, most: usize, mut begin: impl FnMut(&mut Raw) -> std::io::Result<()>) {
    let mut all = Vec::new();
    while scene.goes_on() && all.len() < most {
        if let Ok(mut raw) = Raw::silent(&scene.socket) {
            drop(begin(&mut raw));
            all.push(raw);
        }
    }
    scene.hold();
}

/// Two thousand that say nothing.
pub(crate) fn silent(scene: &Scene) {
    kept(scene, 2000, |_| Ok(()));
}

/// Two hundred of each, where there are many: all of them are descriptors of this one process.
pub(crate) fn silent_few(scene: &Scene) {
    kept(scene, 200, |_| Ok(()));
}

/// All but the last byte of the preface.
pub(crate) fn part_of_a_preface(scene: &Scene) {
    kept(scene, 2000, |raw| raw.bytes(&PREFACE[..23]));
}

/// One that has begun with HTTP/2 and goes no further.
pub(crate) fn asking_nothing(scene: &Scene) {
    kept(scene, 2000, |raw| raw.bytes(PREFACE));
}

/// Opened and closed as fast as it goes.
pub(crate) fn storm(scene: &Scene) {
    while scene.goes_on() {
        drop(Raw::silent(&scene.socket));
    }
}

/// A request, and then one direction of the connection is shut.
pub(crate) fn half_closed(scene: &Scene) {
    let mut which = 0;
    let mut all = Vec::new();
    while scene.goes_on() && all.len() < 2000 {
        let Ok(mut raw) = frames::open(scene, &[]) else { continue };
        which += 1;
        drop(raw.call(1, STATUS, b""));
        drop(raw.stream().shutdown(if which % 2 == 0 { Shutdown::Write } else { Shutdown::Read }));
        all.push(raw);
    }
    scene.hold();
}

/// Secrets for handles that nobody gave out; every second one breaks off in the middle.
pub(crate) fn unknown_handles(scene: &Scene) {
    let mut number = 0_u64;
    let mut half = Vec::new();
    while scene.goes_on() {
        number += 1;
        let Ok(raw) = Raw::silent(&scene.socket) else { continue };
        let mut stream = raw.stream();
        let handle = [&[0; 8], number.to_be_bytes().as_slice()].concat();
        let sent = stream.write_all(&[b"TMSECRET", handle.as_slice(), b"\0\x061234"].concat());
        if number.is_multiple_of(2) {
            half.push(raw);
            half.drain(..half.len().saturating_sub(100));
        } else if sent.is_ok() {
            drop(stream.shutdown(Shutdown::Write));
            // 1: nobody waits under this handle. Nothing, where the connection was closed for another one.
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer));
            assert!(matches!(answer[..], [] | [1]), "{answer:?}");
        }
    }
}

/// Descriptors by the hundred beside each byte, which whoever does not ask for them does not get.
pub(crate) fn descriptors(scene: &Scene) {
    let files: Vec<_> = (0..100).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    while scene.goes_on() {
        let Ok(mut raw) = Raw::silent(&scene.socket) else { continue };
        for byte in PREFACE.chunks(1) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(100))];
            let mut luggage = SendAncillaryBuffer::new(&mut space);
            assert!(luggage.push(SendAncillaryMessage::ScmRights(&files)));
            // Refused with ETOOMANYREFS where more are on their way than this user may have.
            let _refused = sendmsg(raw.stream(), &[IoSlice::new(byte)], &mut luggage, SendFlags::NOSIGNAL);
        }
        drop(raw.call(1, STATUS, b""));
    }
}

/// Live connections without a question.
pub(crate) fn pingers(scene: &Scene) {
    let mut all: Vec<_> = (0..20).filter_map(|_| frames::open(scene, &[]).ok()).collect();
    std::thread::scope(|threads| {
        for raw in &mut all {
            threads.spawn(|| {
                raw.stream().set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
                while scene.goes_on() {
                    match frames::answer_pings(raw) {
                        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => (),
                        Ok(()) | Err(_) => return,
                    }
                }
            });
        }
    });
}
