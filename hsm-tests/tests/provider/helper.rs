//! The helper process by itself: what it inherits, what it shows of itself, and that it ends with its parent.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hsm_tests::place::Place;
use touchmarkd::token::fake::ORDERS;

/// A helper with a fake token, spoken to by hand.
struct Helper {
    child: Child,
    _place: Place,
}

impl Helper {
    fn start(orders: &str) -> Self {
        let place = Place::new();
        std::fs::write(place.join("orders"), orders).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fake-token-helper"));
        command.env_clear().env(ORDERS, place.join("orders"));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { child: pipes.spawn().unwrap(), _place: place }
    }

    /// The first request of every conversation, byte for byte.
    fn open(&mut self) {
        let body = r#"{"open":{"kind":{"pkcs11":{"module":"fake","label":"fake","serial":null}}}}"#;
        let header =
            [&[1, 0, 0, 0, 9], u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &[0; 4]].concat();
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(&[&header, body.as_bytes()].concat()).unwrap();
    }

    fn answer(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut header = [0; 13];
        stdout.read_exact(&mut header).unwrap();
        assert_eq!(header[..5], [1, 0, 0, 0, 9], "version, and the number of the request");
        let length = u32::from_be_bytes(header[5..9].try_into().unwrap());
        let mut body = vec![0; length as usize];
        stdout.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Closes its stdin, as the end of the daemon does, and waits for its end.
    fn leave(mut self) -> Duration {
        drop(self.child.stdin.take());
        let since = Instant::now();
        self.child.wait().unwrap();
        since.elapsed()
    }
}

#[test]
fn it_answers_by_hand_and_what_the_module_prints_is_no_answer() {
    let mut helper = Helper::start("open print");
    helper.open();
    assert!(helper.answer().starts_with(r#"{"result":{"Ok":"done"},"state":{"presence":"present""#));
    helper.leave();
}

#[test]
fn it_writes_no_core() {
    let mut helper = Helper::start("");
    helper.open();
    helper.answer();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", helper.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    helper.leave();
}

#[test]
fn it_ends_with_its_parent() {
    let mut helper = Helper::start("");
    helper.open();
    helper.answer();
    assert!(helper.leave() < Duration::from_secs(2));
}

#[test]
fn it_ends_with_its_parent_even_while_the_module_hangs() {
    let mut helper = Helper::start("open hang");
    helper.open();
    assert!(helper.leave() < Duration::from_secs(10));
}

#[test]
fn it_ends_at_the_first_byte_that_makes_no_sense() {
    let mut helper = Helper::start("");
    helper.child.stdin.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let status = helper.child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
}
