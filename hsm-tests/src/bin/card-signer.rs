//! A program that signs on a card by itself, as any does that knows its PIN: for each number on a line of stdin so many
//! times, and says on a line of stdout how many milliseconds each took. Between the lines others may have the card.
//! Usage: card-signer READER PIN

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helper"
)]

use std::ffi::{CStr, CString};
use std::time::Instant;

use pcsc::{Card, Context, Disposition, MAX_BUFFER_SIZE, Protocols, Scope, ShareMode};

/// The PIV application.
const SELECT: [u8; 10] = [0x00, 0xa4, 0x04, 0x00, 0x05, 0xa0, 0x00, 0x00, 0x03, 0x08];
const VERIFY: [u8; 5] = [0x00, 0x20, 0x00, 0x80, 0x08];
/// By the P-256 key in slot 9c: a digest of 32 bytes.
const SIGN: [u8; 11] = [0x00, 0x87, 0x11, 0x9c, 0x26, 0x7c, 0x24, 0x82, 0x00, 0x81, 0x20];
const DIGEST: [u8; 32] = [0x5a; 32];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [reader, pin] = words.as_slice() else { panic!("the card in which reader, and its PIN") };
    let reader = CString::new(reader.as_str()).unwrap();
    let context = Context::establish(Scope::System).unwrap();
    for line in std::io::stdin().lines() {
        let times = turn(&context, &reader, pin, line.unwrap().parse().unwrap());
        println!("{}", times.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
}

fn turn(context: &Context, reader: &CStr, pin: &str, signatures: usize) -> Vec<f64> {
    let mut card = context.connect(reader, ShareMode::Shared, Protocols::T1).unwrap();
    ask(&mut card, &SELECT);
    let mut padded = [0xff; 8];
    padded.iter_mut().zip(pin.bytes()).for_each(|(to, from)| *to = from);
    ask(&mut card, &[&VERIFY[..], &padded].concat());
    let command = [&SIGN[..], &DIGEST].concat();
    let times = (0..signatures).map(|_| {
        let since = Instant::now();
        ask(&mut card, &command);
        since.elapsed().as_secs_f64() * 1000.0
    });
    let times = times.collect();
    card.disconnect(Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
    times
}

/// One command, in a transaction of its own.
fn ask(card: &mut Card, command: &[u8]) {
    let transaction = card.transaction().unwrap();
    let mut room = [0; MAX_BUFFER_SIZE];
    let answer = transaction.transmit(command, &mut room).unwrap();
    assert!(answer.ends_with(&[0x90, 0x00]), "{:02x?}: {answer:02x?}", command.get(1));
    transaction.end(Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
}
