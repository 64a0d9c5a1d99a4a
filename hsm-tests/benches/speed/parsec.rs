//! parsec-service with its PKCS#11 provider on SoftHSM, in its default settings, asked in its own wire protocol (1.0):
//! a connection for each request, as it wants it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hsm_tests::place::Place;
use hsm_tests::process::Process;
use hsm_tests::softhsm::{PIN, SoftHsm};
use prost::Message as _;

const MAGIC: u32 = 0x5EC0_A710;
/// Bytes of a header after its own length.
const HEADER: u16 = 30;
const PKCS11: u8 = 2;
const DIRECT: u8 = 1;
const GENERATE_KEY: u32 = 2;
const SIGN_HASH: u32 = 4;
const KEY: &str = "bench";
/// `AsymmetricSignature`: ECDSA with SHA-256.
const ECDSA_SHA256: [u8; 6] = [0x22, 4, 0x0A, 2, 0x10, 7];
/// `KeyType`: a key pair on a curve of the family SECP-R1.
const SECP_R1: [u8; 4] = [0x5A, 2, 0x08, 2];
/// `UsageFlags`: may sign hashes.
const MAY_SIGN: [u8; 2] = [0x40, 1];

#[derive(Clone, PartialEq, prost::Message)]
struct GenerateKey {
    #[prost(string, tag = "1")]
    key_name: String,
    #[prost(message, optional, tag = "2")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attributes {
    #[prost(bytes = "vec", tag = "1")]
    key_type: Vec<u8>,
    #[prost(uint32, tag = "2")]
    key_bits: u32,
    #[prost(message, optional, tag = "3")]
    policy: Option<Policy>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Policy {
    #[prost(bytes = "vec", tag = "1")]
    usage: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    algorithm: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignHash {
    #[prost(string, tag = "1")]
    key_name: String,
    #[prost(bytes = "vec", tag = "2")]
    algorithm: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    hash: Vec<u8>,
}

/// A running service with one key on a token of its own.
pub(crate) struct Parsec {
    _process: Process,
    _hsm: SoftHsm,
    place: Place,
}

impl Parsec {
    /// Starts it. None if it is neither what `PARSEC` names nor in PATH: see `scripts/bench.sh`.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let (place, hsm) = (Place::new(), SoftHsm::with_token("parsec"));
        let (socket, config) = (place.join("parsec.sock"), place.join("config.toml"));
        std::fs::write(&config, configuration(&place, &socket)).unwrap();
        let mut command = Command::new(program);
        command.current_dir(place.path()).arg("--config").arg(config).envs(hsm.environment());
        let mut process = Process::start("parsec", &mut command, &place.join("log"));
        process.wait_for("listening", || UnixStream::connect(&socket).is_ok());
        let parsec = Self { _process: process, _hsm: hsm, place };
        let policy = Policy { usage: MAY_SIGN.to_vec(), algorithm: [&[0x32, 6][..], &ECDSA_SHA256].concat() };
        let attributes = Attributes { key_type: SECP_R1.to_vec(), key_bits: 256, policy: Some(policy) };
        let request = GenerateKey { key_name: KEY.to_owned(), attributes: Some(attributes) };
        parsec.ask(GENERATE_KEY, &request.encode_to_vec());
        Some(parsec)
    }

    /// Signatures in a second of as many clients.
    pub(crate) fn rate(&self, clients: usize, span: Duration) -> f64 {
        let request =
            SignHash { key_name: KEY.to_owned(), algorithm: ECDSA_SHA256.to_vec(), hash: vec![7; 32] };
        let (start, request) = (Instant::now(), request.encode_to_vec());
        let asking = || {
            let mut signatures = 0_u32;
            while start.elapsed() < span {
                self.ask(SIGN_HASH, &request);
                signatures += 1;
            }
            signatures
        };
        let signatures: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(asking)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        f64::from(signatures) / start.elapsed().as_secs_f64()
    }

    fn ask(&self, opcode: u32, body: &[u8]) {
        let mut request = MAGIC.to_le_bytes().to_vec();
        request.extend(HEADER.to_le_bytes());
        request.extend([1, 0, 0, 0, PKCS11]); // version 1.0, no flags
        request.extend([0; 8]); // no session
        request.extend([0, 0, DIRECT]); // protobuf both ways
        request.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        request.extend(u16::try_from(KEY.len()).unwrap().to_le_bytes());
        request.extend(opcode.to_le_bytes());
        request.extend([0; 4]); // status and reserved
        request.extend(body);
        request.extend(KEY.as_bytes()); // the application's name
        let mut stream = UnixStream::connect(self.place.join("parsec.sock")).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer[32..34], [0, 0], "parsec refuses opcode {opcode}");
    }
}

fn program() -> Option<PathBuf> {
    let given = std::env::var_os("PARSEC").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates =
        given.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("parsec")));
    candidates.into_iter().find(|file| file.is_file())
}

fn configuration(place: &Place, socket: &Path) -> String {
    format!(
        "[core_settings]\nallow_root = true\n[listener]\nlistener_type = \"DomainSocket\"\ntimeout = 200\n\
         socket_path = \"{}\"\n[authenticator]\nauth_type = \"Direct\"\n[[key_manager]]\nname = \"keys\"\n\
         manager_type = \"SQLite\"\nsqlite_db_path = \"{}\"\n[[provider]]\nprovider_type = \"Pkcs11\"\n\
         key_info_manager = \"keys\"\nlibrary_path = \"{}\"\nuser_pin = \"{PIN}\"\n",
        socket.display(),
        place.join("keys.sqlite3").display(),
        SoftHsm::module().display(),
    )
}
