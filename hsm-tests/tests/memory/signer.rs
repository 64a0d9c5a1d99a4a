//! Programs that sign: this test program, started again, with a key that it got by a pipe. One keeps its key in the
//! vault, one is as careless as programs are.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use touchmarkd::vault::{KeyRole, Locked, MemoryKind, SecretBuf, Vault, Wanted, WrapTo};

use crate::secrets::{Secrets, messages, pem};

/// Tells this program, started again, what to be.
const ROLE: &str = "TOUCHMARK_MEMORY_CHILD";

/// This program, started again, with a key that it got by a pipe.
pub(crate) struct Signer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Signer {
    pub(crate) fn start(role: &str, secrets: &Secrets) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signer::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut signer = Self { child, lines };
        for secret in [pem(&secrets.key).as_bytes(), secrets.passphrase.as_bytes()] {
            signer.say(u8::try_from(secret.len()).unwrap());
            signer.child.stdin.as_mut().unwrap().write_all(secret).unwrap();
        }
        signer.wait_for("signing");
        signer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn say(&mut self, byte: u8) {
        self.child.stdin.as_mut().unwrap().write_all(&[byte]).unwrap();
    }

    /// Until the child says so. A child that dies says nothing more.
    pub(crate) fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child ended before it was {word}");
        }
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Not a test: what a [`Signer`] runs.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let stdin = File::from(rustix::io::dup(std::io::stdin()).unwrap()); // without a buffer of its own
    match role.as_str() {
        "careless" => careless(stdin),
        "vault" => careful(stdin, MemoryKind::Mlock),
        "vault in secret memory" => careful(stdin, MemoryKind::Secret),
        other => panic!("no role {other}"),
    }
}

fn tell(word: &str) {
    std::io::stdout().write_all(format!("{word}\n").as_bytes()).unwrap();
}

/// Signs on threads until told to stop.
fn sign_until_told(mut stdin: &File, sign: impl Fn(&[u8]) + Sync) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    messages().iter().for_each(|message| sign(message));
                }
            });
        }
        tell("signing");
        stdin.read_exact(&mut [0]).unwrap();
        stop.store(true, Ordering::Relaxed);
    });
}

/// What most programs do: PEM in a String, the key in a `SigningKey`, signatures on ordinary stacks.
fn careless(mut stdin: File) {
    let mut read = || {
        let mut length = [0];
        stdin.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; usize::from(length[0])];
        stdin.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let (pem, passphrase) = (read(), read());
    let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
    let key = SigningKey::from_slice(&der[7..39]).unwrap();
    sign_until_told(&stdin, |message| _ = std::hint::black_box::<Signature>(key.sign(message)));
    std::hint::black_box((pem, passphrase));
}

/// The whole life of a key in the vault: imported, sealed, wrapped to a passphrase, locked, opened, used, locked.
fn careful(mut stdin: File, kind: MemoryKind) {
    let locked = Locked::open(Some(kind), 2).unwrap();
    let mut read = || {
        let mut length = [0];
        stdin.read_exact(&mut length).unwrap();
        let mut buffer = SecretBuf::new(&locked, usize::from(length[0])).unwrap();
        stdin.read_exact(buffer.as_mut_slice()).unwrap();
        buffer.set_len(usize::from(length[0])).unwrap();
        buffer
    };
    let (file, passphrase) = (read(), read());
    let vault = Vault::new(locked.clone());
    vault.create().unwrap();
    let wanted = Wanted { role: Some(KeyRole::Targets), guns: vec!["example.com/memory".parse().unwrap()] };
    let imported = vault.import(&file, None, wanted).unwrap();
    drop(file);
    let way = vault.wrap(WrapTo::Passphrase(&passphrase)).unwrap();
    vault.lock();
    vault.open(&way, &passphrase).unwrap();
    drop(passphrase);
    let id = imported.public.id();
    vault.load(id, &imported.binding, &imported.public, &imported.sealed).unwrap();
    sign_until_told(&stdin, |message| _ = vault.sign(&id, message).unwrap());
    tell("quiet");
    stdin.read_exact(&mut [0]).unwrap();
    vault.lock();
    tell("locked");
    stdin.read_to_end(&mut Vec::new()).unwrap();
}
