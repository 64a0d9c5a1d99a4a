//! A token's PIN: from a person, or from where the configuration says, and then once only.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use touchmark_proto::v1::waiting::State;
use touchmark_proto::v1::{NeedsToken, Queued, SecretKind};

use super::{Given, UnlockError};
use crate::app::{App, TokenSlot};
use crate::audit::Event;
use crate::config::PinSource;
use crate::policy::Decision;
use crate::rpc::desk::{Desk, Question};
use crate::secret::PIN_MAX;
use crate::sign::seat::Held;
use crate::store::pins::Enrolled;
use crate::store::{StoreError, Tx};
use crate::token::{PinState, Presence, TokenError, TokenKind, TokenState};
use crate::vault::SecretBuf;

/// How long a request waits for somebody to plug a token in.
const PLUG_IN_TIME: Duration = Duration::from_secs(60);

impl App {
    /// Makes sure that the token's private keys can be used, asking at the desk for what is missing.
    pub(crate) async fn login(
        self: &Arc<Self>,
        name: &str,
        desk: &Desk,
        intent: &str,
    ) -> Result<(), UnlockError> {
        let slot = self.token(name)?;
        let state = present(slot, desk).await?;
        if state.logged_in {
            return Ok(());
        }
        // One prompt per token: whoever comes second finds it open when the first one's PIN was right.
        let _turn = match slot.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                desk.tell(State::Queued(Queued {
                    behind: format!("another request that waits for the PIN of token {name}"),
                }));
                tokio::select! {
                    turn = slot.turn.lock() => turn,
                    () = desk.withdrawn() => return Err(crate::rpc::desk::DeskError::Withdrawn.into()),
                }
            }
        };
        if slot.handle.state().logged_in {
            return Ok(());
        }
        // A signature that is waiting for this token has it to itself.
        let _held = self.hold(name, intent).await?;
        if let Some((pin, source)) = self.configured_pin(slot, &state).await? {
            return self.present_pin(slot, &pin, Some(source), self.own_uid()).await;
        }
        self.login_person(slot, desk, intent).await
    }

    /// Does what the token's private keys are needed for. Another program may end the login before that: one more
    /// question, one more try.
    pub(crate) async fn with_login<T, W: Future<Output = Result<T, UnlockError>>>(
        self: &Arc<Self>,
        name: &str,
        desk: &Desk,
        intent: &str,
        work: impl Fn() -> W,
    ) -> Result<T, UnlockError> {
        self.login(name, desk, intent).await?;
        match work().await {
            Err(UnlockError::Token { error: TokenError::NotLoggedIn, .. }) => {
                self.login(name, desk, intent).await?;
                work().await
            }
            done => done,
        }
    }

    /// Proves that a person is there, where the policy wants one. A configured PIN proves nothing.
    pub(crate) async fn confirm(
        self: &Arc<Self>,
        decision: Decision,
        token: Option<&str>,
        desk: &Desk,
        intent: &str,
    ) -> Result<(), UnlockError> {
        match decision {
            Decision::Allowed => return Ok(()),
            Decision::Refused(why) => return Err(why.into()),
            Decision::NeedsPin => {}
        }
        let ways = self.store().read(|view| view.ways()).await?;
        let first = ways.first();
        let by_token =
            token.map(str::to_owned).or_else(|| first?.token.as_ref().map(|token| token.name.clone()));
        if let Some(name) = by_token {
            let slot = self.token(&name)?;
            present(slot, desk).await?;
            let _turn = slot.turn.lock().await;
            let _held = self.hold(&name, intent).await?;
            return self.login_person(slot, desk, intent).await;
        }
        // Without token and passphrase there is nothing to ask, and nothing yet to protect.
        let Some(way) = first else { return Ok(()) };
        if !self.vault().is_open() {
            return Err(crate::vault::VaultError::Locked.into());
        }
        let question = Question {
            kind: SecretKind::Passphrase,
            token: String::new(),
            serial: String::new(),
            tries_left: None,
            intent: intent.to_owned(),
        };
        let answer = desk.ask(question).await?;
        super::open_vault(self, way.way.clone(), answer).await.map_err(super::ways::passphrase_error)
    }

    /// Refuses a token that is known to be as it left the factory, before anybody is asked for its PIN. Whoever makes a
    /// key there looks again.
    pub(crate) fn wants_ready(&self, name: &str) -> Result<(), UnlockError> {
        match self.token(name)?.handle.state().factory {
            Some(which) if !which.is_empty() => {
                Err(UnlockError::Token { name: name.to_owned(), error: TokenError::FactoryValues { which } })
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn hold<'a>(&'a self, name: &str, intent: &str) -> Result<Held<'a>, UnlockError> {
        let seat = self.road().seat(name).map_err(UnlockError::Busy)?;
        seat.take(intent).await.map_err(UnlockError::Busy)
    }

    async fn login_person(
        self: &Arc<Self>,
        slot: &TokenSlot,
        desk: &Desk,
        intent: &str,
    ) -> Result<(), UnlockError> {
        let state = slot.handle.state();
        let question = Question {
            kind: SecretKind::Pin,
            token: slot.entry.name.clone(),
            serial: serial(&state),
            tries_left: state.tries_left,
            intent: intent.to_owned(),
        };
        let pin = desk.ask(question).await?;
        self.present_pin(slot, &pin, None, desk.call().caller.uid).await
    }

    /// The configured PIN, with the word for its source; given out once until the token has accepted it, and that
    /// is on the disk before. `None`: there is none, or it must not be sent.
    pub(crate) async fn configured_pin(
        &self,
        slot: &TokenSlot,
        state: &TokenState,
    ) -> Result<Option<(SecretBuf, String)>, UnlockError> {
        let Some(path) = self.pin_path(slot)? else { return Ok(None) };
        // The last try is a person's to spend.
        if state.pin == PinState::Final {
            return Ok(None);
        }
        let pin = read_pin(self, &slot.entry.name, &path).await?;
        let (serial, source) = (serial(state), source_words(&slot.entry.pin, &path));
        let noted = {
            let event = Event::PinTried {
                token: slot.entry.name.clone(),
                serial: serial.clone(),
                source: source.clone(),
            };
            let source = source.clone();
            let job = move |tx: &Tx<'_>| {
                let noted = tx.pin_tried(&serial, &source)?;
                if noted {
                    tx.append(&event)?;
                }
                Ok::<_, StoreError>(noted)
            };
            self.store().write(job).await?
        };
        if !noted && !cost_nothing(slot, &source).await {
            tracing::warn!(
                token = slot.entry.name,
                "the configured PIN was refused before and is not sent again"
            );
            return Ok(None);
        }
        *slot.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(Given::now(&slot.handle, &source));
        Ok(Some((pin, source)))
    }

    async fn present_pin(
        self: &Arc<Self>,
        slot: &TokenSlot,
        pin: &SecretBuf,
        source: Option<String>,
        uid: u32,
    ) -> Result<(), UnlockError> {
        let token = slot.entry.name.clone();
        let serial = serial(&slot.handle.state());
        match slot.handle.login(pin).await {
            Ok(()) => {
                let enrolled = Enrolled { token: token.clone(), serial: serial.clone(), public: None };
                let job = move |tx: &Tx<'_>| {
                    tx.pin_accepted(&serial, source.as_deref())?;
                    if tx.enrolled(&enrolled.token)?.is_none() {
                        tx.enrol(&enrolled)?;
                        tx.append(&Event::TokenEnrolled {
                            uid,
                            token: token.clone(),
                            serial: serial.clone(),
                        })?;
                    }
                    tx.append(&Event::TokenUnlocked { uid, token, serial })
                };
                self.store().write(job).await.map(|_| ()).map_err(|error: StoreError| error.into())
            }
            Err(error) => {
                if let TokenError::WrongPin { tries_left } = error {
                    self.record(Event::PinRefused { uid, token: token.clone(), serial, tries_left }).await?;
                }
                Err(UnlockError::Token { name: token, error })
            }
        }
    }

    /// Where a configured PIN lies.
    fn pin_path(&self, slot: &TokenSlot) -> Result<Option<std::path::PathBuf>, UnlockError> {
        match &slot.entry.pin {
            PinSource::Ask => Ok(None),
            PinSource::File(path) => Ok(Some(path.clone())),
            PinSource::Credential(name) => {
                self.surroundings().credential(name).map(Some).ok_or_else(|| UnlockError::PinFile {
                    name: slot.entry.name.clone(),
                    source_name: slot.entry.pin.to_string(),
                    why: "systemd gave this process no credentials (CREDENTIALS_DIRECTORY is not set)"
                        .to_owned(),
                })
            }
        }
    }
}

/// Whether the PIN of this source was given out before by this very process, and cost no try.
async fn cost_nothing(slot: &TokenSlot, source: &str) -> bool {
    let given = slot.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match given.filter(|given| given.is_of(source)) {
        Some(given) => given.cost_nothing(&slot.handle).await,
        None => false,
    }
}

/// Waits until the token is there.
pub(crate) async fn present(slot: &TokenSlot, desk: &Desk) -> Result<TokenState, UnlockError> {
    let refuse = |error| UnlockError::Token { name: slot.entry.name.clone(), error };
    let mut state = slot.handle.refresh().await;
    if matches!(state.presence, Presence::Absent | Presence::Opening) {
        if state.presence == Presence::Absent {
            let serial = slot.entry.kind.serial().unwrap_or_else(|| serial(&state));
            let (token, why) = (slot.entry.name.clone(), String::new());
            desk.tell(State::NeedsToken(NeedsToken { token, serial, why }));
        }
        let mut watch = slot.handle.watch();
        let seen = watch.wait_for(|state| !matches!(state.presence, Presence::Absent | Presence::Opening));
        match desk.within(PLUG_IN_TIME, seen).await? {
            Some(Ok(seen)) => state = seen.clone(),
            Some(Err(_)) | None => return Err(refuse(TokenError::NotPresent)),
        }
    }
    match state.presence {
        Presence::Present if state.pin == PinState::Locked => Err(refuse(TokenError::PinLocked)),
        Presence::Present if state.pin == PinState::NotSet => Err(refuse(TokenError::PinNotSet)),
        Presence::Present => Ok(state),
        Presence::Absent | Presence::Opening => Err(refuse(TokenError::NotPresent)),
        Presence::Mismatch(found) => Err(refuse(TokenError::Mismatch {
            expected: format!("the enrolled token `{}`", slot.entry.name),
            found,
        })),
        Presence::Failed(why) => Err(refuse(match &slot.entry.kind {
            TokenKind::Pkcs11 { module, .. } => {
                TokenError::ModuleUnusable { module: module.display().to_string(), why }
            }
            TokenKind::Yubikey { .. } => TokenError::Unreachable { why },
        })),
    }
}

pub(crate) fn serial(state: &TokenState) -> String {
    state.info.as_ref().map(|info| info.serial.clone()).unwrap_or_default()
}

/// What the guard knows a PIN by: where it lies and, for a file, which version of it. A credential is written anew
/// at every start, so that its time says nothing.
fn source_words(source: &PinSource, path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    match (source, std::fs::metadata(path)) {
        (PinSource::File(_), Ok(file)) => {
            format!("{source} inode {} written {}.{:09}", file.ino(), file.mtime(), file.mtime_nsec())
        }
        _ => source.to_string(),
    }
}

/// Reads a PIN file straight into locked memory; a line's end is not part of the PIN.
async fn read_pin(app: &App, name: &str, path: &Path) -> Result<SecretBuf, UnlockError> {
    let refuse = |why: String| UnlockError::PinFile {
        name: name.to_owned(),
        source_name: path.display().to_string(),
        why,
    };
    let mut pin = SecretBuf::new(app.vault().memory(), usize::from(PIN_MAX) + 1)
        .map_err(|error| UnlockError::Vault(error.into()))?;
    let mut file =
        tokio::fs::File::open(path).await.map_err(|error| refuse(error.to_string()))?.into_std().await;
    let read =
        std::io::Read::read(&mut file, pin.as_mut_slice()).map_err(|error| refuse(error.to_string()))?;
    let text = pin.as_mut_slice().get(..read).unwrap_or_default();
    let length = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(read);
    if length == 0 || length > usize::from(PIN_MAX) {
        return Err(refuse(format!("it holds no PIN of 1 to {PIN_MAX} bytes")));
    }
    pin.set_len(length).map_err(|error| UnlockError::Vault(error.into()))?;
    Ok(pin)
}
