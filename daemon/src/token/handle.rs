//! The daemon's side of a token: what the rest of the daemon calls.

pub(super) mod helper_process;
mod job;
mod keeper;
mod keys;
mod stderr;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use touchmark_tuf::{EcdsaSignature, KeyId, PublicKey, Sha256Digest};

use super::message::{self, Answer, Request, WireBox};
use super::{
    Attestation, KeyPolicy, KeyRef, Limits, Secret, TokenBox, TokenConfig, TokenError, TokenKey, TokenKind,
    TokenState, TouchPolicy, UnwrapMethod, Usage,
};
use crate::vault::{Locked, SecretBuf};
use job::{Call, Command, Finished};
use keeper::Keeper;
use keys::Keys;

/// The program that helpers are, and how it is told to be one.
#[derive(Debug, Clone)]
pub struct HelperProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl HelperProgram {
    /// `program token-helper`.
    #[must_use]
    pub fn touchmarkd(program: PathBuf) -> Self {
        Self { program, arguments: vec!["token-helper".into()] }
    }
}

/// Something that a token finished after nobody waited for it any more. It is destroyed, and worth a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Name of the token.
    pub token: String,
    /// What it was: `signature`, `key`, `opened box`.
    pub what: &'static str,
    /// The key it was made with, or that was made.
    pub key: Option<KeyId>,
}

/// Called for each [`Orphan`], from the token's task: it must not block.
pub type OnOrphan = Arc<dyn Fn(&Orphan) + Send + Sync>;

/// One token, as the daemon sees it. Cheap to clone; the helper ends when the last clone is gone.
#[derive(Clone)]
pub struct TokenHandle {
    name: Arc<str>,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<TokenState>,
    /// Process id of the running helper, 0 without one.
    helper: Arc<AtomicU32>,
    locked: Arc<Locked>,
    limits: Arc<Limits>,
    /// How many PINs it has refused.
    refused: Arc<AtomicU32>,
    kind: TokenKind,
    keys: Arc<Keys>,
    /// A key is being used, and nobody waits for that any more.
    given_up: Arc<AtomicBool>,
    /// Somebody wants to know how it is.
    wanted: Arc<Notify>,
}

impl TokenHandle {
    /// Starts to look after a token, inside a tokio runtime. Returns at once; the token opens in the background.
    #[must_use]
    pub fn start(config: TokenConfig, locked: Arc<Locked>, helper: HelperProgram, limits: Limits) -> Self {
        let on_orphan: OnOrphan = Arc::new(|orphan: &Orphan| {
            tracing::warn!(token = orphan.token, what = orphan.what, "orphaned");
        });
        Self::start_watched(config, locked, helper, limits, on_orphan)
    }

    /// As [`TokenHandle::start`], with a word about whatever nobody waited for.
    #[must_use]
    pub fn start_watched(
        config: TokenConfig,
        locked: Arc<Locked>,
        helper: HelperProgram,
        limits: Limits,
        on_orphan: OnOrphan,
    ) -> Self {
        let name: Arc<str> = config.name.as_str().into();
        let (commands, incoming) = mpsc::channel(limits.queue.max(1));
        let (publish, state) = watch::channel(TokenState::opening());
        let limits = Arc::new(limits);
        let kind = config.kind.clone();
        let keys = Arc::default();
        let keeper = Keeper::new(
            config,
            Arc::clone(&keys),
            Arc::clone(&locked),
            helper,
            Arc::clone(&limits),
            publish,
            on_orphan,
        );
        let (helper, given_up, wanted) = (keeper.pid(), keeper.given_up(), keeper.wanted());
        tokio::spawn(keeper.run(incoming));
        let refused = Arc::default();
        Self { name, commands, state, helper, locked, limits, refused, kind, keys, given_up, wanted }
    }

    /// Tells it of a key that is known to be on this token: no PIN is sent to a token that shows that it has none of
    /// those. All clones know it then.
    pub fn enrol(&self, key: &KeyRef) {
        self.keys.enrol(key);
    }

    /// Forgets a key that it was told of.
    pub fn disenrol(&self, key: &KeyRef) {
        self.keys.disenrol(key);
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known now, without asking.
    #[must_use]
    pub fn state(&self) -> TokenState {
        self.state.borrow().clone()
    }

    /// Every change of [`TokenHandle::state`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<TokenState> {
        self.state.clone()
    }

    /// Process id of the helper, while one runs.
    #[must_use]
    pub fn helper_pid(&self) -> Option<u32> {
        Some(self.helper.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// The serial number that it must have; a PKCS#11 token has none before it was enrolled.
    #[must_use]
    pub fn serial(&self) -> Option<String> {
        self.kind.serial()
    }

    /// Whether a key of it is being used for somebody who does not wait for that any more. It cannot be stopped: a
    /// YubiKey goes on waiting for a finger, and the next touch is for that.
    #[must_use]
    pub fn works_for_nobody(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Lets a token be looked at again that was left alone by [`TokenHandle::stop_helper`]. Does not wait.
    pub fn look_again(&self) {
        self.wanted.notify_waiters();
    }

    /// Asks the token and returns what is known then. Starts the helper where it was stopped.
    pub async fn refresh(&self) -> TokenState {
        // What went wrong is in the state.
        drop(self.call(Request::Probe, [None, None], self.limits.open, ("", None)).await);
        self.state()
    }

    /// The keys on the token. Before a login a token shows what it calls public.
    ///
    /// # Errors
    /// [`TokenError`]; see its variants.
    pub async fn keys(&self) -> Result<Vec<TokenKey>, TokenError> {
        match self.call(Request::Keys, [None, None], self.limits.call, ("", None)).await? {
            Finished { answer: Answer::Keys(keys), .. } => {
                let keys = keys.into_iter().map(TryInto::try_into);
                let keys = keys.collect::<Result<Vec<TokenKey>, message::Malformed>>()?;
                keys.iter().for_each(|key| self.keys.note(key));
                Ok(keys)
            }
            _ => Err(unexpected()),
        }
    }

    /// What a key asks of a person, as the token said last. `None`: it has not said, or does not say.
    #[must_use]
    pub fn known_policy(&self, key: &KeyRef) -> Option<KeyPolicy> {
        self.keys.policy(key)
    }

    /// Asks the token what a key asks of a person. `None`: it does not say.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], and all that concerns the token.
    pub async fn policy(&self, key: &KeyRef) -> Result<Option<KeyPolicy>, TokenError> {
        if matches!(self.kind, TokenKind::Pkcs11 { .. }) {
            return Ok(None);
        }
        match self
            .call(Request::Policy { key: key.try_into()? }, [None, None], self.limits.call, ("", None))
            .await?
        {
            Finished { answer: Answer::Policy(policy), .. } => {
                self.keys.note_policy(key, policy);
                Ok(policy)
            }
            _ => Err(unexpected()),
        }
    }

    /// Whether using the key may have to wait for a finger, as far as is known without asking the token.
    #[must_use]
    pub fn may_want_touch(&self, key: &KeyRef) -> bool {
        let known = || self.known_policy(key).is_none_or(|policy| policy.touch != TouchPolicy::Never);
        matches!(self.kind, TokenKind::Yubikey { .. }) && known()
    }

    /// Asks the token whether using the key may have to wait for a finger, and how long it would; not again where it has
    /// said no since it was logged in. One whose firmware does not tell may.
    ///
    /// # Errors
    /// As [`TokenHandle::policy`].
    pub async fn touch_wait(&self, key: &KeyRef) -> Result<Option<Duration>, TokenError> {
        if self.keys.needs_no_finger(key) {
            return Ok(None);
        }
        self.policy(key).await?;
        Ok(self.may_want_touch(key).then_some(self.limits.touch))
    }

    /// How long one use of a private key may take.
    fn by_key(&self) -> Duration {
        match self.kind {
            TokenKind::Pkcs11 { .. } => self.limits.call,
            TokenKind::Yubikey { .. } => self.limits.call + self.limits.touch,
        }
    }

    /// Presents the user PIN, exactly once, even where the token is unlocked already.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], [`TokenError::PinLocked`], [`TokenError::PinNotSet`], and all that concerns the token;
    /// [`TokenError::PinUnfit`] for one of no or more than 255 bytes, which reaches no token.
    pub async fn login(&self, pin: &SecretBuf) -> Result<(), TokenError> {
        let secrets = [Some(self.copy(pin)?), None];
        let enrolled = self.keys.enrolled();
        let enrolled = enrolled.iter().map(TryInto::try_into).collect::<Result<_, message::Malformed>>()?;
        let answer = self.call(Request::Login { enrolled }, secrets, self.limits.call, ("", None)).await;
        match answer {
            Ok(_) => self.keys.logged_in(),
            Err(TokenError::WrongPin { .. } | TokenError::PinLocked) => {
                self.refused.fetch_add(1, Ordering::AcqRel);
            }
            Err(_) => {}
        }
        answer.map(drop)
    }

    /// How many PINs the token has refused since it was started.
    #[must_use]
    pub fn pins_refused(&self) -> u32 {
        self.refused.load(Ordering::Acquire)
    }

    /// Ends the login.
    ///
    /// # Errors
    /// [`TokenError`]; a token that is not there is logged out.
    pub async fn logout(&self) -> Result<(), TokenError> {
        self.call(Request::Logout, [None, None], self.limits.call, ("", None)).await.map(drop)
    }

    /// Signs a digest with ECDSA P-256. The caller verifies the signature before anybody sees it.
    ///
    /// # Errors
    /// [`TokenError`]; after any of them no signature has left the helper.
    pub async fn sign(&self, key: &KeyRef, digest: Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        let request =
            Request::Sign { key: key.try_into()?, digest: super::hex::Hex(digest.as_bytes().to_vec()) };
        let orphan = ("signature", Some(key.public.id()));
        match self.call(request, [None, None], self.by_key(), orphan).await? {
            Finished { answer: Answer::Signature(bytes), .. } => Ok(message::signature(&bytes)?),
            _ => Err(unexpected()),
        }
    }

    /// Opens a box into locked memory: the shared x coordinate (32 bytes), or the plaintext of RSA-OAEP.
    ///
    /// # Errors
    /// [`TokenError::BoxRefused`] where it was made for another key, and all that concerns the token.
    pub async fn unwrap(&self, key: &KeyRef, boxed: &TokenBox) -> Result<SecretBuf, TokenError> {
        let request = Request::Unwrap { key: key.try_into()?, boxed: WireBox::from(boxed) };
        let orphan = ("opened box", Some(key.public.id()));
        match self.call(request, [None, None], self.by_key(), orphan).await? {
            Finished { answer: Answer::Secret, secret: Some(secret) } => Ok(secret),
            _ => Err(unexpected()),
        }
    }

    /// Makes a P-256 key on the token that signs and never leaves it, with the PIN once and no touch.
    ///
    /// # Errors
    /// [`TokenError::NotLoggedIn`], [`TokenError::NotSupported`], and all that concerns the token.
    pub async fn generate_root(&self, label: &str) -> Result<TokenKey, TokenError> {
        self.generate_root_with(label, KeyPolicy::PIN_ONCE).await
    }

    /// The same with a policy of its own.
    ///
    /// # Errors
    /// As [`TokenHandle::generate_root`]; [`TokenError::NotSupported`] where the token knows no policies.
    pub async fn generate_root_with(&self, label: &str, policy: KeyPolicy) -> Result<TokenKey, TokenError> {
        self.make(Request::GenerateRoot { label: label.to_owned(), policy }, [None, None]).await
    }

    /// Makes a key that opens boxes, of the first method that the token proves to be able to do.
    ///
    /// # Errors
    /// [`TokenError::NotSupported`] where it can do neither, and all that concerns the token.
    pub async fn generate_unwrap(&self) -> Result<(TokenKey, UnwrapMethod), TokenError> {
        let key = self.make(Request::GenerateUnwrap, [None, None]).await?;
        match key.usage {
            Usage::Unwrap(method) => Ok((key, method)),
            Usage::Sign => Err(unexpected()),
        }
    }

    /// Puts an existing P-256 private key (`scalar`: 32 bytes) onto the token, with the PIN once and no touch, then ends
    /// the helper that saw it.
    ///
    /// # Errors
    /// [`TokenError::NotSupported`] where the token takes no keys from outside, and all that concerns the token.
    pub async fn import(
        &self,
        label: &str,
        scalar: &SecretBuf,
        public: &PublicKey,
    ) -> Result<TokenKey, TokenError> {
        self.import_with(label, scalar, public, KeyPolicy::PIN_ONCE).await
    }

    /// The same with a policy of its own.
    ///
    /// # Errors
    /// As [`TokenHandle::import`]; [`TokenError::NotSupported`] where the token knows no policies.
    pub async fn import_with(
        &self,
        label: &str,
        scalar: &SecretBuf,
        public: &PublicKey,
        policy: KeyPolicy,
    ) -> Result<TokenKey, TokenError> {
        let public = message::spki(public)?;
        let request = Request::Import { label: label.to_owned(), public, policy };
        let made = self.make(request, [Some(self.copy(scalar)?), None]).await;
        self.stop_helper().await;
        made
    }

    /// What the token itself says about the key with this id. Asks for no PIN.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], [`TokenError::NotSupported`], and all that concerns the token.
    pub async fn attest(&self, id: &[u8]) -> Result<Attestation, TokenError> {
        let request = Request::Attest { id: super::hex::Hex(id.to_vec()) };
        match self.call(request, [None, None], self.limits.call, ("", None)).await? {
            Finished { answer: Answer::Attestation(attestation), .. } => Ok(attestation),
            _ => Err(unexpected()),
        }
    }

    /// Removes both halves of a key.
    ///
    /// # Errors
    /// [`TokenError::KeyNotFound`], [`TokenError::NotLoggedIn`], and all that concerns the token.
    pub async fn delete(&self, key: &KeyRef) -> Result<(), TokenError> {
        let request = Request::Delete { key: key.try_into()? };
        self.call(request, [None, None], self.limits.call, ("", None)).await.map(drop)
    }

    /// Makes an empty token ready: the configured label, the security officer's PIN, the user PIN. A YubiKey wants no
    /// PUK (`so_pin`) where its PUK is no longer the factory's.
    ///
    /// # Errors
    /// [`TokenError::AlreadyInitialised`] (nothing is ever wiped), [`TokenError::NotPresent`],
    /// [`TokenError::PinUnfit`], and all that concerns the token.
    pub async fn init_token(&self, so_pin: Option<&SecretBuf>, pin: &SecretBuf) -> Result<(), TokenError> {
        let secrets = [so_pin.map(|so_pin| self.copy(so_pin)).transpose()?, Some(self.copy(pin)?)];
        self.call(Request::InitToken, secrets, self.limits.make, ("", None)).await.map(drop)
    }

    /// Ends the helper, and with it the login and whatever the module remembers. The next call starts another;
    /// until then the token is not looked at.
    pub async fn stop_helper(&self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            // An error means that the helper is gone with its keeper.
            let _ = stopped.await;
        }
    }

    async fn make(&self, request: Request, secrets: [Option<SecretBuf>; 2]) -> Result<TokenKey, TokenError> {
        match self.call(request, secrets, self.limits.make, ("key", None)).await? {
            Finished { answer: Answer::Key(key), .. } => {
                let key = TokenKey::try_from(key)?;
                self.keys.note(&key);
                Ok(key)
            }
            _ => Err(unexpected()),
        }
    }

    async fn call(
        &self,
        request: Request,
        secrets: [Option<SecretBuf>; 2],
        allowed: Duration,
        (what, key): (&'static str, Option<KeyId>),
    ) -> Result<Finished, TokenError> {
        let (reply, finished) = oneshot::channel();
        let orphan = Orphan { token: self.name.to_string(), what, key };
        let start_by = tokio::time::Instant::now() + self.limits.wait;
        let call = Call { request, secrets, allowed, start_by, reply, orphan };
        self.commands.try_send(Command::Call(Box::new(call))).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => TokenError::Busy,
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        finished.await.unwrap_or_else(|_| Err(gone()))
    }

    /// A copy that can travel to the token's task: locked like its source.
    fn copy(&self, secret: &SecretBuf) -> Result<SecretBuf, TokenError> {
        if secret.is_empty() || secret.len() > Secret::MAX {
            let why = format!("it has {} bytes, and 1 to {} are possible", secret.len(), Secret::MAX);
            return Err(TokenError::PinUnfit { why });
        }
        let mut copy = SecretBuf::new(&self.locked, secret.len()).map_err(|_| TokenError::NoLockedMemory)?;
        copy.extend_from_slice(secret.expose()).map_err(|_| TokenError::NoLockedMemory)?;
        Ok(copy)
    }
}

impl std::fmt::Debug for TokenHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

fn unexpected() -> TokenError {
    TokenError::Failed {
        call: "helper message".to_owned(),
        code: "the answer to another question".to_owned(),
    }
}

fn gone() -> TokenError {
    TokenError::HelperEnded { how: "the daemon is shutting down".to_owned() }
}
