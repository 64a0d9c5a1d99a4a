//! The scanner against itself: it must find what a child planted, in every form, and call protected what a child
//! locked away. The child is this very program, started again.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::Digest as _;
use touchmarkd::vault::{Locked, MemoryKind, SecretBuf};

use crate::cli::{Cli, tool};
use crate::place::Place;

use super::matcher::find;
use super::needles::{Needles, Signed};
use super::{nonce, process, tree};

/// RFC 6979 appendix A.2.5.
const KEY: [u8; 32] = [
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93, 0x4e,
    0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
];
const PIN: &[u8] = b"tulip-4711";
/// Says to the child what to do with what it reads from stdin.
const ROLE: &str = "TOUCHMARK_SCAN_CHILD";
/// In the program's file, until somebody writes here.
static OF_THE_FILE: Mutex<[u8; 64]> = Mutex::new([1; 64]);

/// A key that stands in no program's file, as a constant would.
fn fresh_key() -> [u8; 32] {
    let mut key = [0; 32];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).unwrap();
    key[0] = 0x3b; // below the order
    key
}

/// A child that has read the secret and keeps it as it was told.
struct Holder(Child);

impl Holder {
    fn new(role: &str, secret: &[u8]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "scan::tests::holder", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        stdin.write_all(&[u8::try_from(secret.len()).unwrap()]).unwrap();
        stdin.write_all(secret).unwrap();
        let holder = BufReader::new(child.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
        assert!(holder.into_iter().any(|line| line.ends_with("holding")), "the child did not get so far");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // it ends with its input
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Not a test: what a [`Holder`] runs.
#[test]
#[ignore = "the child of the other tests"]
fn holder() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut stdin = File::from(rustix::io::dup(std::io::stdin()).unwrap());
    let mut length = [0];
    stdin.read_exact(&mut length).unwrap();
    let length = usize::from(length[0]);
    let memory = match role.as_str() {
        "secret" => Some(Locked::open(Some(MemoryKind::Secret), 1).unwrap()),
        "mlock" => Some(Locked::open(Some(MemoryKind::Mlock), 1).unwrap()),
        _ => None,
    };
    let mut locked = memory.map(|memory| SecretBuf::new(&memory, length).unwrap());
    let mut heap = Vec::new();
    match (&mut locked, role.as_str()) {
        (Some(buffer), _) => stdin.read_exact(buffer.as_mut_slice()).unwrap(),
        (None, "dropped") => {
            // Read, used and let go without a wipe, which is what careless code does.
            let mut secret = vec![0; length + 4096];
            stdin.read_exact(&mut secret[64..64 + length]).unwrap();
            drop(std::hint::black_box(secret));
        }
        (None, "static") => stdin.read_exact(&mut OF_THE_FILE.lock().unwrap()[..length]).unwrap(),
        (None, _) => {
            heap.resize(length, 0);
            stdin.read_exact(&mut heap).unwrap();
        }
    }
    std::io::stdout().write_all(b"holding\n").unwrap();
    stdin.read_to_end(&mut Vec::new()).unwrap();
    std::hint::black_box((heap, locked));
}

#[test]
fn key_on_the_heap_is_exposed() {
    let key = fresh_key();
    let child = Holder::new("heap", &key);
    let findings = process(child.pid(), &Needles::for_key(&key, &[]));
    assert!(
        findings.exposed.iter().any(|hit| hit.len == 32 && hit.needle == "key, big endian"),
        "{findings:?}"
    );
}

#[test]
fn key_that_was_freed_and_not_wiped_is_exposed() {
    let key = fresh_key();
    let child = Holder::new("dropped", &key);
    let findings = process(child.pid(), &Needles::for_key(&key, &[]));
    assert!(findings.exposed.iter().any(|hit| hit.len >= 16), "{findings:?}");
}

#[test]
fn key_in_locked_memory_is_protected() {
    let key = fresh_key();
    let child = Holder::new("mlock", &key);
    let findings = process(child.pid(), &Needles::for_key(&key, &[]));
    findings.assert_clean("locked");
    // By chance the byte after the key goes on like the key in another order: a short second hit at its end.
    assert_eq!(findings.protected.iter().filter(|hit| hit.len == 32).count(), 1, "{findings:?}");
    assert_eq!(findings.unreadable, 0);
}

#[test]
fn secret_memory_cannot_be_read_and_is_counted() {
    let key = fresh_key();
    let child = Holder::new("secret", &key);
    let findings = process(child.pid(), &Needles::for_key(&key, &[]));
    findings.assert_clean("in secret memory");
    assert!(findings.protected.is_empty());
    assert_eq!(findings.unreadable, 4096, "one page of a buffer");
}

#[test]
fn scan_of_something_else_finds_nothing() {
    let child = Holder::new("heap", b"nothing of interest in here");
    let findings = process(child.pid(), &Needles::for_key(&KEY, &[[7; 32]]).secret("PIN", PIN));
    findings.assert_clean("without a secret");
    assert!(findings.protected.is_empty() && findings.bytes > 100_000, "{findings:?}");
}

#[test]
fn key_in_a_variable_of_the_programs_file_is_exposed() {
    let key = fresh_key();
    let child = Holder::new("static", &key);
    let findings = process(child.pid(), &Needles::for_key(&key, &[]));
    assert!(findings.exposed.iter().any(|hit| hit.len == 32 && hit.place.starts_with('/')), "{findings:?}");
}

/// The kernel has not written it to the disk yet, and calls its pages dirty.
#[test]
fn a_program_that_was_written_a_moment_ago_has_written_nothing() {
    let place = Place::new();
    let (cat, copy) = (tool("cat"), place.join("cat"));
    Cli::new(tool("cp")).arg(&cat).arg(&copy).ok(); // by a child: it could not be run where a thread is writing it
    let file = std::fs::read(&cat).unwrap();
    let code = &file[file.len() / 3..][..32];
    let mut child = Command::new(&copy).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let findings = process(child.id(), &Needles::default().secret("its own code", code));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    findings.assert_clean("a new file");
}

#[test]
fn process_goes_on_after_the_scan() {
    let mut child = Holder::new("heap", PIN);
    let pin = Needles::default().secret("PIN", PIN);
    for _ in 0..3 {
        assert!(!process(child.pid(), &pin).exposed.is_empty());
    }
    drop(child.0.stdin.take());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn core_has_the_heap_and_not_the_locked_pages() {
    let key = fresh_key();
    let folder = tempfile::tempdir().unwrap();
    let needles = Needles::for_key(&key, &[]);
    let leaky = Holder::new("heap", &key);
    assert!(!super::core(leaky.pid(), folder.path(), &needles).exposed.is_empty());
    for role in ["mlock", "secret"] {
        let careful = Holder::new(role, &key);
        super::core(careful.pid(), folder.path(), &needles).assert_clean(role);
    }
}

/// Every form, at every alignment, whole and cut to the shortest run that counts.
#[test]
fn every_needle_is_found_at_every_alignment() {
    let signature: Signature = SigningKey::from_slice(&KEY).unwrap().sign_prehash(&[0x11; 32]).unwrap();
    let signed = Signed { digest: [0x11; 32], signature: signature.to_bytes().into() };
    let needles = Needles::for_key(&KEY, &[[0x11; 32]]).nonces(&KEY, &[signed]);
    let needles = needles.secret("PIN", PIN).secret("short", b"943817");
    assert!(needles.all.len() > 100, "{needles:?}");
    for needle in &needles.all {
        let start = needle.bytes.len() - needle.min_run;
        for (part, pad) in
            [&needle.bytes[..], &needle.bytes[start..]].into_iter().flat_map(|p| [(p, 0), (p, 1)])
        {
            for shift in 0..4 {
                let bytes = [&vec![0xee; 4090 + shift + pad], part, &[0xee; 9]].concat();
                let hits = find(&bytes, 0, "", &needles);
                let (from, to) = (4090 + shift + pad, 4090 + shift + pad + part.len());
                let found =
                    hits.iter().any(|hit| hit.at <= from as u64 && hit.at + hit.len as u64 >= to as u64);
                assert!(found, "{} bytes of {} at {shift}: {hits:?}", part.len(), needle.name);
            }
        }
    }
}

#[test]
fn shorter_runs_do_not_count() {
    let needles = Needles::for_key(&KEY, &[]).secret("PIN", PIN);
    for part in [&KEY[3..10], &PIN[1..], b"c9afa9d845ba751".as_slice()] {
        let bytes = [&[0xee; 100], part, &[0xee; 100]].concat();
        assert_eq!(find(&bytes, 0, "", &needles), []);
    }
}

#[test]
fn run_inside_a_longer_one_is_one_find() {
    let bytes = [&[0xee; 100], KEY.as_slice(), &[0xee; 100], &KEY[..9], &[0xee]].concat();
    let hits = find(&bytes, 0x1000, "here", &Needles::for_key(&KEY, &[]));
    let found: Vec<_> = hits.iter().map(|hit| (hit.at, hit.len)).collect();
    assert_eq!(found, [(0x1064, 32), (0x10e8, 9)]);
    assert_eq!(hits[1].to_string(), "9 bytes of key, big endian at 0x10e8 in here");
}

/// The nonces looked for are the ones that a signature really used.
#[test]
fn nonces_are_those_of_real_signatures() {
    for digest in [[1; 32], [0xff; 32], *b"a digest of thirty-two bytes ..."] {
        let signature: Signature = SigningKey::from_slice(&KEY).unwrap().sign_prehash(&digest).unwrap();
        assert_eq!(signature.to_bytes()[32..], nonce::s_of(&KEY, &digest));
    }
}

/// And those of a signer that draws them at random.
#[test]
fn nonces_of_random_signatures_follow_from_the_key() {
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let random = ring::rand::SystemRandom::new();
    let public = SigningKey::from_slice(&KEY).unwrap().verifying_key().to_sec1_point(false);
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let public = public.as_bytes();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &KEY, public, &random).unwrap();
    for _ in 0..3 {
        let signature: [u8; 64] = pair.sign(&random, b"a message").unwrap().as_ref().try_into().unwrap();
        let digest = sha2::Sha256::digest(b"a message").into();
        // It ends the test when k does not give r again.
        let _k = nonce::of_signature(&KEY, &digest, &signature);
    }
}

/// 2^256 mod n, in words of the standard: 2^256 - n.
#[test]
fn montgomery_form_is_the_number_times_two_to_the_256() {
    let one: [u8; 32] = nonce::montgomery(p256::Scalar::ONE).to_bytes().into();
    let bytes: String = one.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, "00000000ffffffff00000000000000004319055258e8617b0c46353d039cdaaf");
}

/// The same numbers by other means: the states continue to the HMAC that they belong to.
#[test]
fn midstates_are_those_of_sha_256() {
    use sha2::block_api::compress256;
    let secrets = nonce::secrets(&KEY, &[1; 32]);
    let number = |name: &str| secrets.numbers.iter().find(|(found, _)| *found == name).unwrap().1;
    let [_, _, (_, inner), (_, outer)] = secrets.midstates[..] else { panic!("four states") };
    // V3, which is the nonce, is HMAC(K2, V2): one block each after the key's.
    let finish = |mut state: [u32; 8], message: &[u8]| {
        let mut block = [0; 64];
        block[..32].copy_from_slice(message);
        block[32] = 0x80;
        block[56..].copy_from_slice(&(96_u64 * 8).to_be_bytes());
        compress256(&mut state, &[block]);
        state.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
    };
    assert_eq!(finish(outer, &finish(inner, &number("V2"))), number("k"));
}

#[test]
fn files_are_searched_through_all_folders() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/.b")).unwrap();
    std::fs::write(folder.path().join("a/.b/state.db"), [&[1; 5000], PIN].concat()).unwrap();
    std::fs::write(folder.path().join("clean"), b"nothing").unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", folder.path().join("link")).unwrap();
    let findings = tree(folder.path(), &Needles::default().secret("PIN", PIN));
    let [hit] = &findings.exposed[..] else { panic!("{findings:?}") };
    assert!(hit.place.ends_with("a/.b/state.db") && hit.at == 5000 && hit.needle == "PIN");
    assert_eq!(findings.bytes, 5017);
}
