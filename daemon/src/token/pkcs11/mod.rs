//! Tokens behind a PKCS#11 module (v2.40; nothing newer is needed).
//!
//! Always `CKM_ECDSA` over a digest of 32 bytes: SoftHSM knows no other ECDSA. One session is held open, because the
//! login ends with the last one; object handles are kept, because finding them costs more than signing.

mod fault;
mod keys;
mod make;
mod module;
mod open;
mod session;
mod unwrap;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::slot::Slot;
use touchmark_tuf::{EcdsaSignature, PublicKey, Sha256Digest};

use super::provider::another_kind;
use super::{
    KeyPolicy, KeyRef, PinState, Provision, Secret, Token, TokenBox, TokenError, TokenInfo, TokenKey,
    TokenKind, TokenProvider,
};
use fault::refused;
use session::Held;

/// Loads modules and finds tokens in them.
#[derive(Debug, Default)]
pub(super) struct Pkcs11Provider {
    /// A loaded module stays loaded: unloading one that has threads or exit handlers is not safe.
    loaded: RefCell<HashMap<PathBuf, Pkcs11>>,
}

impl Pkcs11Provider {
    /// The module, loaded and freshly initialised: it sees the tokens that are there now.
    fn initialised(&self, module: &Path) -> Result<Pkcs11, TokenError> {
        let mut loaded = self.loaded.borrow_mut();
        let context = match loaded.get(module) {
            Some(context) => context.clone(),
            None => {
                module::trusted(module).map_err(|why| unusable(module, why))?;
                let context = Pkcs11::new(module).map_err(|error| unusable(module, error.to_string()))?;
                loaded.insert(module.to_owned(), context.clone());
                context
            }
        };
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
            Err(error) => Err(refused(&error)),
        }
    }
}

impl TokenProvider for Pkcs11Provider {
    fn open(&self, which: &TokenKind) -> Result<Box<dyn Provision>, TokenError> {
        let TokenKind::Pkcs11 { module, .. } = which else { return Err(another_kind(which)) };
        let context = self.initialised(module)?;
        match open::find(&context, which) {
            Ok((slot, state)) => {
                let mut token = Pkcs11Token::new(context, slot, state.info, state.pin);
                token.session()?;
                // Learns whether the device can be asked; later silence means something then.
                token.device_answers();
                Ok(Box::new(token))
            }
            Err(error) => {
                finalise(context);
                Err(error)
            }
        }
    }

    fn init_token(&self, which: &TokenKind, so_pin: Option<&Secret>, pin: &Secret) -> Result<(), TokenError> {
        let TokenKind::Pkcs11 { module, .. } = which else { return Err(another_kind(which)) };
        let why = || TokenError::PinUnfit { why: "a security officer's PIN is wanted too".to_owned() };
        let so_pin = so_pin.ok_or_else(why)?;
        let context = self.initialised(module)?;
        let made = open::init_token(&context, which, so_pin, pin);
        finalise(context);
        made
    }
}

/// One token in one slot.
pub(super) struct Pkcs11Token {
    context: Pkcs11,
    slot: Slot,
    info: TokenInfo,
    pin: PinState,
    session: session::Slotted,
    /// The PIN of the present login: some tokens must be logged in again after making a key, and a lost session
    /// takes the login with it. Gone at logout, at the first refusal and with the token.
    held: Held,
    handles: HashMap<Vec<u8>, Vec<Cached>>,
    /// Whether it has given random bytes before.
    gives_random: bool,
}

/// A private key that was found before.
struct Cached {
    public: PublicKey,
    handle: ObjectHandle,
}

impl Pkcs11Token {
    fn new(context: Pkcs11, slot: Slot, info: TokenInfo, pin: PinState) -> Self {
        let (session, held) = (session::Slotted::default(), Held::default());
        Self { context, slot, info, pin, session, held, handles: HashMap::new(), gives_random: false }
    }
}

impl Drop for Pkcs11Token {
    fn drop(&mut self) {
        self.logout();
        self.session.close();
        finalise(self.context.clone());
    }
}

impl Token for Pkcs11Token {
    fn info(&self) -> &TokenInfo {
        &self.info
    }

    fn pin_state(&self) -> PinState {
        self.pin
    }

    fn logged_in(&self) -> bool {
        self.held.is_logged_in()
    }

    fn keys(&mut self) -> Result<Vec<TokenKey>, TokenError> {
        self.list_keys()
    }

    /// What a PKCS#11 token shows before a login is a matter of its module, so that `enrolled` says nothing about it.
    fn login(&mut self, pin: &Secret, _enrolled: &[KeyRef]) -> Result<(), TokenError> {
        self.login_anew(pin)
    }

    fn logout(&mut self) {
        self.forget_login();
    }

    fn sign(&mut self, key: &KeyRef, digest: &Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        let bytes =
            self.with_key(key, |session, handle| session.sign(&Mechanism::Ecdsa, handle, digest.as_bytes()))?;
        match bytes.as_slice().try_into() {
            Ok(raw) => Ok(EcdsaSignature::from_raw(raw)),
            Err(_) => Err(TokenError::WrongSignature),
        }
    }

    fn unwrap(&mut self, key: &KeyRef, boxed: &TokenBox) -> Result<Secret, TokenError> {
        self.open_box(key, boxed)
    }

    fn is_alive(&mut self) -> bool {
        self.still_there()
    }
}

impl Provision for Pkcs11Token {
    fn generate_root(&mut self, label: &str, policy: KeyPolicy) -> Result<TokenKey, TokenError> {
        no_policy(policy)?;
        self.make_signing_key(label)
    }

    fn generate_unwrap(&mut self) -> Result<TokenKey, TokenError> {
        self.make_unwrap_key()
    }

    fn import(
        &mut self,
        label: &str,
        scalar: &Secret,
        public: &PublicKey,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError> {
        no_policy(policy)?;
        self.take_key(label, scalar, public)
    }

    fn delete(&mut self, key: &KeyRef) -> Result<(), TokenError> {
        self.destroy_key(key)
    }
}

/// PKCS#11 has no word for touches, nor for the PIN before each use of a key that makers agree on.
fn no_policy(policy: KeyPolicy) -> Result<(), TokenError> {
    let what = || "have touch and PIN policies: it is a PKCS#11 token".to_owned();
    (policy == KeyPolicy::PIN_ONCE).then_some(()).ok_or_else(|| TokenError::NotSupported { what: what() })
}

/// Ends the module's state, so that the next `C_Initialize` looks for tokens anew.
fn finalise(context: Pkcs11) {
    if let Err(error) = context.finalize() {
        super::helper::tell(&format!("C_Finalize: {error}"));
    }
}

fn unusable(module: &Path, why: String) -> TokenError {
    TokenError::ModuleUnusable { module: module.display().to_string(), why }
}
