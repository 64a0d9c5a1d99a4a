//! A token in software whose faults are ordered by a file. For tests only: the shipped helper has no way to it.
//!
//! The file is read before each call. A line is `CALL ACTION [ARGUMENT]`; calls are `open`, `alive`, `keys`, `login`,
//! `sign`, `unwrap`. Every call is noted in a second file, the first one's name with `.log`, so that a test can count
//! what reached the token.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};

use super::{
    KeyPolicy, KeyRef, PinState, Provision, Secret, Token, TokenBox, TokenError, TokenInfo, TokenKey,
    TokenKind, TokenProvider, Usage,
};

/// The PIN of every fake token.
pub const PIN: &[u8] = b"123456";

/// The variable that names the file of orders.
pub const ORDERS: &str = "TOUCHMARK_FAKE_ORDERS";

/// Hands out fake tokens.
#[derive(Debug, Clone)]
pub struct FakeProvider {
    orders: PathBuf,
}

impl FakeProvider {
    /// Tokens that obey the file `orders`; it need not exist.
    #[must_use]
    pub fn new(orders: PathBuf) -> Self {
        Self { orders }
    }
}

impl TokenProvider for FakeProvider {
    fn open(&self, _: &TokenKind) -> Result<Box<dyn Provision>, TokenError> {
        obey(&self.orders, "open")?;
        let info = |text: &str| text.to_owned();
        let info = TokenInfo {
            serial: info("fake-1"),
            label: info("fake"),
            manufacturer: info("Touchmark tests"),
            model: info("fake"),
            firmware: info("0.0"),
        };
        Ok(Box::new(FakeToken { orders: self.orders.clone(), info, logged_in: false }))
    }

    fn init_token(&self, _: &TokenKind, _: Option<&Secret>, _: &Secret) -> Result<(), TokenError> {
        Err(TokenError::AlreadyInitialised)
    }
}

/// The public key of every fake token's only key.
///
/// # Errors
/// None: the scalar is a constant. The type says so because nothing here may panic.
pub fn public_key() -> Result<PublicKey, TokenError> {
    let point: Option<[u8; 65]> = key()?.verifying_key().to_sec1_point(false).as_bytes().try_into().ok();
    point.map(|point| PublicKey::from_p256_point(&point)).ok_or(TokenError::KeyNotFound)
}

struct FakeToken {
    orders: PathBuf,
    info: TokenInfo,
    logged_in: bool,
}

impl FakeToken {
    fn wants_login(&self) -> Result<(), TokenError> {
        self.logged_in.then_some(()).ok_or(TokenError::NotLoggedIn)
    }
}

impl Token for FakeToken {
    fn info(&self) -> &TokenInfo {
        &self.info
    }

    fn pin_state(&self) -> PinState {
        PinState::Ok
    }

    fn logged_in(&self) -> bool {
        self.logged_in
    }

    fn keys(&mut self) -> Result<Vec<TokenKey>, TokenError> {
        obey(&self.orders, "keys")?;
        Ok(vec![TokenKey {
            id: vec![1],
            label: "fake".to_owned(),
            public: public_key()?,
            usage: Usage::Sign,
            policy: None,
        }])
    }

    fn login(&mut self, pin: &Secret, _: &[KeyRef]) -> Result<(), TokenError> {
        obey(&self.orders, "login")?;
        self.logged_in = pin.expose() == PIN;
        self.logged_in.then_some(()).ok_or(TokenError::WrongPin { tries_left: Some(2) })
    }

    fn logout(&mut self) {
        self.logged_in = false;
    }

    fn sign(&mut self, _: &KeyRef, digest: &Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        self.wants_login()?;
        let order = obey(&self.orders, "sign")?;
        let failed = |_| TokenError::WrongSignature;
        let signature: p256::ecdsa::Signature = key()?.sign_prehash(digest.as_bytes()).map_err(failed)?;
        let mut raw: [u8; 64] = signature.to_bytes().into();
        if order == Order::Wrong {
            raw.rotate_left(1);
        }
        Ok(EcdsaSignature::from_raw(raw))
    }

    fn unwrap(&mut self, _: &KeyRef, _: &TokenBox) -> Result<Secret, TokenError> {
        self.wants_login()?;
        obey(&self.orders, "unwrap")?;
        Secret::take(&mut [7; 32]).ok_or(TokenError::KeyNotFound)
    }

    fn is_alive(&mut self) -> bool {
        obey(&self.orders, "alive").is_ok()
    }
}

impl Provision for FakeToken {
    fn generate_root(&mut self, _: &str, _: KeyPolicy) -> Result<TokenKey, TokenError> {
        Err(unable())
    }

    fn generate_unwrap(&mut self) -> Result<TokenKey, TokenError> {
        Err(unable())
    }

    fn import(&mut self, _: &str, _: &Secret, _: &PublicKey, _: KeyPolicy) -> Result<TokenKey, TokenError> {
        Err(unable())
    }

    fn delete(&mut self, _: &KeyRef) -> Result<(), TokenError> {
        Err(unable())
    }
}

/// What a call is to do in the end.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Right,
    Wrong,
}

/// Notes the call and does what the file says about it.
fn obey(orders: &Path, call: &str) -> Result<Order, TokenError> {
    note(orders, call)?;
    let text = std::fs::read_to_string(orders).unwrap_or_default();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        if words.next() != Some(call) {
            continue;
        }
        let (action, argument) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match action {
            "wrong" => return Ok(Order::Wrong),
            "hang" => std::thread::sleep(Duration::MAX),
            "delay" => {
                std::thread::sleep(Duration::from_millis(argument.parse().map_err(|_| misordered(line))?))
            }
            "abort" => std::process::abort(),
            "print" => std::io::stdout().write_all(b"module speaking\n").map_err(|error| io(&error))?,
            #[allow(clippy::panic)] // the order is to panic
            "panic" => panic!("ordered"),
            "error" => return Err(serde_json::from_str(argument).map_err(|_| misordered(line))?),
            _ => return Err(misordered(line)),
        }
    }
    Ok(Order::Right)
}

fn note(orders: &Path, call: &str) -> Result<(), TokenError> {
    let mut path = orders.as_os_str().to_owned();
    path.push(".log");
    let log = std::fs::File::options().create(true).append(true).open(path);
    log.and_then(|mut log| writeln!(log, "{call}")).map_err(|error| io(&error))
}

fn key() -> Result<SigningKey, TokenError> {
    SigningKey::from_slice(&[0x42; 32]).map_err(|_| TokenError::KeyNotFound)
}

fn misordered(line: &str) -> TokenError {
    TokenError::Failed { call: "fake token".to_owned(), code: format!("bad order {line:?}") }
}

fn unable() -> TokenError {
    TokenError::NotSupported { what: "do this: it is a fake".to_owned() }
}

fn io(error: &std::io::Error) -> TokenError {
    TokenError::Failed { call: "fake token".to_owned(), code: error.to_string() }
}
