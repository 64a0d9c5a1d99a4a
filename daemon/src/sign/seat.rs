//! One request at a time has a token: so nobody gets a PIN or a touch that was meant for another.
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
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
}

/// A token and who has it.
pub struct Seat {
    name: String,
    token: Box<dyn RootToken>,
    intent: Mutex<Option<String>>,
}

impl Seat {
    /// A free seat at that token. `name`: as in the configuration.
    #[must_use]
    pub fn new(name: &str, token: Box<dyn RootToken>) -> Self {
        Self { name: name.to_owned(), token, intent: Mutex::new(None) }
    }

    /// What the request that has the token is about to do, in words.
    #[must_use]
    pub fn intent(&self) -> Option<String> {
        self.intent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the token until the result is dropped. `intent`: what for, in words.
    ///
    /// # Errors
    /// `SignError::TokenBusy`, with the intent of the request that has it. A retry helps later.
    pub fn take(&self, intent: &str) -> Result<Held<'_>, SignError> {
        let mut held = self.intent.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(behind) => Err(SignError::TokenBusy { token: self.name.clone(), behind: behind.clone() }),
            None => {
                *held = Some(intent.to_owned());
                Ok(Held { seat: self, intent: intent.to_owned() })
            }
        }
    }
}

/// A token that one request has.
pub struct Held<'s> {
    seat: &'s Seat,
    intent: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.seat.intent.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

    /// Waits until the token is there, at most `wait`.
    ///
    /// # Errors
    /// `SignError::TokenNotPresent`, `TokenMismatch` or `TokenFailed`.
    pub async fn present(&self, person: &dyn Person, wait: Duration) -> Result<TokenState, SignError> {
        let mut states = self.seat.token.watch();
        let mut told = false;
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
                    Presence::Absent | Presence::Failed(_) if told => {}
                    Presence::Absent | Presence::Failed(_) => {
                        told = true;
                        let serial = serial(&state);
                        person.tell(Waiting::NeedsToken { token: self.seat.name.clone(), serial });
                    }
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
        let serial = serial(state);
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

    /// Signs a digest. The signature is not verified yet.
    ///
    /// # Errors
    /// The token's.
    pub async fn sign(&self, key: &KeyRef, digest: Sha256Digest) -> Result<EcdsaSignature, TokenError> {
        self.seat.token.sign(key, digest).await
    }

    fn missing(&self, state: &TokenState) -> SignError {
        let token = self.seat.name.clone();
        match &state.presence {
            Presence::Failed(why) => SignError::TokenFailed { token, why: why.clone() },
            _ => SignError::TokenNotPresent { token, serial: serial(state) },
        }
    }
}

fn serial(state: &TokenState) -> String {
    state.info.as_ref().map(|info| info.serial.clone()).unwrap_or_default()
}
