//! Who has a token. A request for which a person is asked has it alone, so nobody gets a PIN or a touch that was meant
//! for another; those that need nobody may sign side by side.
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use touchmark_tuf::{EcdsaSignature, Sha256Digest};

use super::SignError;
use super::person::{Person, Purpose, Question, SecretKind, Waiting};
use crate::token::{KeyRef, PinState, Presence, TokenError, TokenHandle, TokenState};
use crate::vault::SecretBuf;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TokenError>> + Send + 'a>>;

/// What the road wants of a token.
pub trait RootToken: Send + Sync {
    /// What is known without asking, and each change of it.
    fn watch(&self) -> watch::Receiver<TokenState>;
    /// Presents a PIN, exactly once.
    fn login<'a>(&'a self, pin: &'a SecretBuf) -> Answer<'a, ()>;
    /// Signs a digest. The signature is not verified yet.
    fn sign<'a>(&'a self, key: &'a KeyRef, digest: Sha256Digest) -> Answer<'a, EcdsaSignature>;
    /// Asks it how it is: nobody may have looked for a while.
    fn look(&self) -> Pin<Box<dyn Future<Output = TokenState> + Send + '_>>;
    /// The serial number that it must have, where one is known.
    fn serial(&self) -> Option<String>;
    /// Whether using the key may have to wait for a finger, as far as is known without asking.
    fn may_want_touch(&self, key: &KeyRef) -> bool;
    /// How long using the key may wait for a finger; `None`: it needs none.
    fn touch_wait<'a>(&'a self, key: &'a KeyRef) -> Answer<'a, Option<Duration>>;
    /// Whether it uses a key for somebody who has gone.
    fn works_for_nobody(&self) -> bool;
}

impl RootToken for TokenHandle {
    fn watch(&self) -> watch::Receiver<TokenState> {
        Self::watch(self)
    }
    fn login<'a>(&'a self, pin: &'a SecretBuf) -> Answer<'a, ()> {
        Box::pin(Self::login(self, pin))
    }
    fn sign<'a>(&'a self, key: &'a KeyRef, digest: Sha256Digest) -> Answer<'a, EcdsaSignature> {
        Box::pin(Self::sign(self, key, digest))
    }
    fn look(&self) -> Pin<Box<dyn Future<Output = TokenState> + Send + '_>> {
        Box::pin(self.refresh())
    }
    fn serial(&self) -> Option<String> {
        Self::serial(self)
    }
    fn may_want_touch(&self, key: &KeyRef) -> bool {
        Self::may_want_touch(self, key)
    }
    fn touch_wait<'a>(&'a self, key: &'a KeyRef) -> Answer<'a, Option<Duration>> {
        Box::pin(Self::touch_wait(self, key))
    }
    fn works_for_nobody(&self) -> bool {
        Self::works_for_nobody(self)
    }
}

/// A token and who has it.
pub struct Seat {
    name: String,
    token: Box<dyn RootToken>,
    taken: Mutex<Taken>,
    /// The last of those who shared it has left.
    left: Notify,
}

#[derive(Default)]
struct Taken {
    /// What the request that has it alone is about to do, in words.
    alone: Option<String>,
    /// How many share it.
    among: usize,
    /// Until when it waits for a finger, in milliseconds since 1970.
    touch_until: Option<i64>,
}

impl Seat {
    /// A free seat at that token. `name`: as in the configuration.
    #[must_use]
    pub fn new(name: &str, token: Box<dyn RootToken>) -> Self {
        Self { name: name.to_owned(), token, taken: Mutex::default(), left: Notify::new() }
    }

    /// What the request that has the token alone is about to do, in words.
    #[must_use]
    pub fn intent(&self) -> Option<String> {
        self.taken().alone.clone()
    }

    /// Until when the token waits to be touched for that, in milliseconds since 1970.
    #[must_use]
    pub fn touch_until(&self) -> Option<i64> {
        self.taken().touch_until
    }

    /// Whether it would sign by these keys now, and nobody has to plug it in, type its PIN or touch it.
    #[must_use]
    pub fn needs_nobody<'k>(&self, mut keys: impl Iterator<Item = &'k KeyRef>) -> bool {
        self.is_open() && !keys.any(|key| self.token.may_want_touch(key))
    }

    fn is_open(&self) -> bool {
        let state = self.token.watch();
        let state = state.borrow();
        state.presence == Presence::Present && state.logged_in
    }

    /// Takes the token alone until the result is dropped. Waits for those who share it: nobody keeps them waiting.
    /// `intent`: what for, in words.
    ///
    /// # Errors
    /// `SignError::TokenBusy`, with the intent of the request that has it alone. A retry helps later.
    pub async fn take(&self, intent: &str) -> Result<Held<'_>, SignError> {
        let held = self.hold(intent, Share::Alone)?;
        while self.taken().among > 0 {
            self.left.notified().await;
        }
        Ok(held)
    }

    /// Takes the token together with others that need nobody either.
    ///
    /// # Errors
    /// As [`Seat::take`].
    pub fn join(&self, intent: &str) -> Result<Held<'_>, SignError> {
        self.hold(intent, Share::Among)
    }

    fn hold(&self, intent: &str, share: Share) -> Result<Held<'_>, SignError> {
        let mut taken = self.taken();
        if let Some(behind) = &taken.alone {
            return Err(self.busy(behind));
        }
        if self.token.works_for_nobody() {
            // It cannot be stopped, and a touch now would be for that.
            return Err(self.busy(
                "a signature that was given up; it ends within seconds, or when you unplug the token",
            ));
        }
        match share {
            Share::Alone => taken.alone = Some(intent.to_owned()),
            Share::Among => taken.among += 1,
        }
        Ok(Held { seat: self, intent: intent.to_owned(), share })
    }

    fn busy(&self, behind: &str) -> SignError {
        SignError::TokenBusy { token: self.name.clone(), behind: behind.to_owned() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request has a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Alone,
    Among,
}

/// A token that a request has.
pub struct Held<'s> {
    seat: &'s Seat,
    intent: String,
    share: Share,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut taken = self.seat.taken();
        match self.share {
            Share::Alone => (taken.alone, taken.touch_until) = (None, None),
            Share::Among => {
                taken.among -= 1;
                if taken.among == 0 {
                    self.seat.left.notify_one();
                }
            }
        }
    }
}

/// A finger that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finger {
    /// Until when, in milliseconds since 1970.
    pub deadline_unix_ms: i64,
    /// How long that is from now.
    pub wait: Duration,
    /// Which touch of the request it is, from 1 on.
    pub touch: u32,
    /// How many there will be.
    pub of: u32,
}

/// A token that waits for a finger, for as long as this lives.
pub struct Blinking<'s> {
    seat: &'s Seat,
}

impl Drop for Blinking<'_> {
    fn drop(&mut self) {
        self.seat.taken().touch_until = None;
    }
}

/// A PIN that the token answered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinAnswer {
    /// Serial number of the token.
    pub serial: String,
    /// What it said.
    pub result: Result<(), TokenError>,
}

impl Held<'_> {
    /// The token's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.seat.name
    }

    /// Whether no other request has the token.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.share == Share::Alone
    }

    /// Makes sure that the token is open, or that nobody shares it: it was unplugged, or has forgotten its login,
    /// since it was taken. Never waits: whoever shares two tokens would wait for whoever shares them too.
    ///
    /// # Errors
    /// `SignError::TokenBusy` where others have it too. A retry helps.
    pub fn alone_if_needed(&mut self) -> Result<(), SignError> {
        if self.is_alone() || self.seat.is_open() {
            return Ok(());
        }
        let mut taken = self.seat.taken();
        if let Some(behind) = &taken.alone {
            return Err(self.seat.busy(behind));
        }
        if taken.among > 1 {
            return Err(self.seat.busy("other signatures"));
        }
        *taken = Taken { alone: Some(self.intent.clone()), ..Taken::default() };
        drop(taken);
        self.share = Share::Alone;
        Ok(())
    }

    /// Waits until the token is there, at most `wait`.
    ///
    /// # Errors
    /// `SignError::TokenNotPresent`, `TokenMismatch` or `TokenFailed`.
    pub async fn present(&self, person: &dyn Person, wait: Duration) -> Result<TokenState, SignError> {
        let mut states = self.seat.token.watch();
        if self.is_alone() || !self.seat.is_open() {
            // It may have come or gone since somebody looked; after a lock nobody does.
            self.seat.token.look().await;
        }
        let mut told = None;
        let there = async {
            loop {
                let state = states.borrow_and_update().clone();
                match &state.presence {
                    Presence::Present => return Ok(state),
                    Presence::Mismatch(why) => {
                        return Err(SignError::TokenMismatch {
                            token: self.seat.name.clone(),
                            why: why.clone(),
                        });
                    }
                    Presence::Opening => {}
                    Presence::Absent => self.tell_missing(person, &state, "", &mut told),
                    Presence::Failed(why) => self.tell_missing(person, &state, why, &mut told),
                }
                if states.changed().await.is_err() {
                    return Err(self.missing(&state));
                }
            }
        };
        match tokio::time::timeout(wait, there).await {
            Ok(answer) => answer,
            Err(_) => Err(self.missing(&self.seat.token.watch().borrow())),
        }
    }

    /// Asks for the PIN and presents it, once. `None`: it was not needed.
    ///
    /// # Errors
    /// `SignError::PinRequired` where nobody answers, `PinLocked` where asking makes no sense.
    pub async fn unlock(
        &self,
        state: &TokenState,
        purpose: Purpose,
        person: &dyn Person,
    ) -> Result<Option<PinAnswer>, SignError> {
        if purpose == Purpose::Login && state.logged_in {
            return Ok(None);
        }
        let token = self.seat.name.clone();
        match state.pin {
            PinState::Locked => return Err(SignError::PinLocked { token }),
            PinState::NotSet => {
                return Err(SignError::TokenFailed { token, why: "it has no PIN yet".to_owned() });
            }
            _ => {}
        }
        let serial = self.serial(state);
        let question = Question {
            kind: SecretKind::Pin,
            purpose,
            token: token.clone(),
            serial: serial.clone(),
            tries_left: state.tries_left,
            intent: self.intent.clone(),
            max_length: 255,
        };
        let pin =
            person.ask(question).await.map_err(|error| SignError::PinRequired { what: token, why: error })?;
        person.tell(Waiting::Working { what: self.intent.clone() });
        let result = self.seat.token.login(&pin).await;
        Ok(Some(PinAnswer { serial, result }))
    }

    /// How long using the key may wait for a finger; `None`: it needs none.
    ///
    /// # Errors
    /// The token's.
    pub async fn touch_wait(&self, key: &KeyRef) -> Result<Option<Duration>, TokenError> {
        self.seat.token.touch_wait(key).await
    }

    /// Says that the token has to be touched, to the person and to whoever asks for the status, until the result is
    /// dropped. What for is what the token was taken for.
    pub fn wants(&self, finger: Finger, person: &dyn Person) -> Blinking<'_> {
        self.seat.taken().touch_until = Some(finger.deadline_unix_ms);
        person.tell(Waiting::NeedsTouch {
            token: self.seat.name.clone(),
            serial: self.serial(&self.seat.token.watch().borrow()),
            intent: self.intent.clone(),
            deadline_unix_ms: finger.deadline_unix_ms,
            wait: finger.wait,
            touch: finger.touch,
            of: finger.of,
        });
        Blinking { seat: self.seat }
    }

    /// Signs a digest. The signature is not verified yet.
    ///
    /// # Errors
    /// The token's.
    pub async fn sign(&self, key: &KeyRef, digest: Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        self.seat.token.sign(key, digest).await
    }

    /// Says that the token is missing, once for each reason.
    fn tell_missing(&self, person: &dyn Person, state: &TokenState, why: &str, told: &mut Option<String>) {
        if told.as_deref() != Some(why) {
            *told = Some(why.to_owned());
            let (token, serial) = (self.seat.name.clone(), self.serial(state));
            person.tell(Waiting::NeedsToken { token, serial, why: why.to_owned() });
        }
    }

    fn serial(&self, state: &TokenState) -> String {
        let seen = state.info.as_ref().map(|info| info.serial.clone());
        self.seat.token.serial().or(seen).unwrap_or_default()
    }

    fn missing(&self, state: &TokenState) -> SignError {
        let token = self.seat.name.clone();
        match &state.presence {
            Presence::Failed(why) => SignError::TokenFailed { token, why: why.clone() },
            _ => SignError::TokenNotPresent { token, serial: self.serial(state) },
        }
    }
}

#[cfg(test)]
mod tests;
