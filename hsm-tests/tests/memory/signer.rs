//! Programs that sign: this test program, started again, with a key that it got by a pipe. One keeps its key in the
//! vault, two are as careless as programs are.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hsm_tests::scan::Signed;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use sha2::{Digest as _, Sha256};
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

    /// Until the child says so. A child that dies says nothing more. What it signed last, where it says that before.
    pub(crate) fn wait_for(&mut self, word: &str) -> Vec<Signed> {
        let (mut line, mut signed) = (String::new(), Vec::new());
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child ended before it was {word}");
            if let Some((number, signature)) =
                line.trim_end().strip_prefix("signed ").and_then(|rest| rest.split_once(' '))
            {
                let digest = Sha256::digest(messages()[number.parse::<usize>().unwrap()]).into();
                let signature = STANDARD.decode(signature).unwrap().try_into().unwrap();
                signed.push(Signed { digest, signature });
            }
        }
        signed
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
        "careless" => careless(stdin, Library::P256),
        "careless with ring" => careless(stdin, Library::Ring),
        "vault" => careful(stdin, MemoryKind::Mlock),
        "vault in secret memory" => careful(stdin, MemoryKind::Secret),
        other => panic!("no role {other}"),
    }
}

fn tell(word: &str) {
    std::io::stdout().write_all(format!("{word}\n").as_bytes()).unwrap();
}

/// Signs on threads until told to stop, and says then what each has signed last. The threads stay: what is on their
/// stacks stays too.
fn sign_until_told(mut stdin: &File, sign: impl Fn(&[u8]) -> [u8; 64] + Sync, afterwards: impl FnOnce()) {
    let (stop, end, last) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let thread = || {
            let mut number = 0;
            let mut signature = sign(&messages()[0]);
            while !stop.load(Ordering::Relaxed) {
                number = (number + 1) % messages().len();
                signature = sign(&messages()[number]);
            }
            last.lock().unwrap().push((number, signature));
            while !end.load(Ordering::Relaxed) {
                std::thread::park();
            }
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(thread)).collect();
        tell("signing");
        stdin.read_exact(&mut [0]).unwrap();
        stop.store(true, Ordering::Relaxed);
        while last.lock().unwrap().len() < threads.len() {
            std::thread::yield_now();
        }
        for (number, signature) in last.lock().unwrap().iter() {
            tell(&format!("signed {number} {}", STANDARD.encode(signature)));
        }
        afterwards();
        end.store(true, Ordering::Relaxed);
        threads.iter().for_each(|thread| thread.thread().unpark());
    });
}

/// Who computes the signatures.
enum Library {
    P256,
    Ring,
}

/// What most programs do: PEM in a String, the key in the library's own type, signatures on ordinary stacks.
fn careless(mut stdin: File, library: Library) {
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
    let ended = || {
        tell("quiet");
        (&stdin).read_to_end(&mut Vec::new()).unwrap();
    };
    match library {
        Library::P256 => {
            let sign = |message: &[u8]| {
                let signature: Signature = key.sign(message);
                signature.to_bytes().into()
            };
            sign_until_told(&stdin, sign, ended);
        }
        Library::Ring => {
            let (random, public) = (SystemRandom::new(), key.verifying_key().to_sec1_point(false));
            let make = || {
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let public = public.as_bytes();
                EcdsaKeyPair::from_private_key_and_public_key(algorithm, &der[7..39], public, &random)
                    .unwrap()
            };
            // A key pair for each signature, as the vault has to make it from the slot.
            let sign = |message: &[u8]| make().sign(&random, message).unwrap().as_ref().try_into().unwrap();
            sign_until_told(&stdin, sign, ended);
        }
    }
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
    let sign = |message: &[u8]| *vault.sign(&id, message).unwrap().as_bytes();
    sign_until_told(&stdin, sign, || {
        tell("quiet");
        (&stdin).read_exact(&mut [0]).unwrap();
        vault.lock();
        tell("locked");
        (&stdin).read_to_end(&mut Vec::new()).unwrap();
    });
}
