//! OpenSSH's ssh-agent with an ECDSA P-256 key, asked in its own protocol (draft-ietf-sshm-ssh-agent) by threads that
//! keep their connections. It records and checks nothing.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hsm_tests::cli::{Cli, tool};
use hsm_tests::place::Place;
use hsm_tests::process::Process;

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Bytes to sign: as many as a targets document of the other side has.
const MESSAGE: usize = 600;

/// A running agent with one key.
pub(crate) struct SshAgent {
    _process: Process,
    request: Vec<u8>,
    place: Place,
}

impl SshAgent {
    /// Starts one and gives it a new key.
    pub(crate) fn start() -> Self {
        let place = Place::new();
        let (socket, key) = (place.join("agent"), place.join("key"));
        let mut command = Command::new(tool("ssh-agent"));
        command.arg("-D").arg("-a").arg(&socket);
        let mut process = Process::start("ssh-agent", &mut command, &place.join("log"));
        process.wait_for("listening", || UnixStream::connect(&socket).is_ok());
        Cli::new(tool("ssh-keygen")).args(["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f"]).arg(&key).ok();
        Cli::new(tool("ssh-add")).env("SSH_AUTH_SOCK", &socket).arg("-q").arg(&key).ok();
        let public = std::fs::read_to_string(place.join("key.pub")).unwrap();
        let blob = STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap();
        let mut body = vec![SIGN_REQUEST];
        for string in [blob, vec![b'x'; MESSAGE]] {
            body.extend(u32::try_from(string.len()).unwrap().to_be_bytes());
            body.extend(string);
        }
        body.extend([0; 4]); // no flags
        let mut request = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        request.extend(body);
        Self { _process: process, request, place }
    }

    /// As many clients, each with a connection of its own.
    pub(crate) fn clients(&self, count: usize) -> Vec<Connection> {
        let connect = |_| UnixStream::connect(self.place.join("agent")).unwrap();
        (0..count).map(connect).map(|stream| Connection { stream, request: self.request.clone() }).collect()
    }
}

/// One client.
pub(crate) struct Connection {
    stream: UnixStream,
    request: Vec<u8>,
}

impl Connection {
    fn ask(&mut self) {
        self.stream.write_all(&self.request).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[0], SIGN_RESPONSE, "ssh-agent refuses to sign");
    }
}

/// Signatures in a second.
pub(crate) fn rate(clients: &mut [Connection], span: Duration) -> f64 {
    let start = Instant::now();
    let asking = |client: &mut Connection| {
        let mut signatures = 0_u32;
        while start.elapsed() < span {
            client.ask();
            signatures += 1;
        }
        signatures
    };
    let signatures: u32 = match clients {
        [one] => asking(one),
        many => std::thread::scope(|scope| {
            let threads: Vec<_> = many.iter_mut().map(|client| scope.spawn(move || asking(client))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        }),
    };
    f64::from(signatures) / start.elapsed().as_secs_f64()
}
