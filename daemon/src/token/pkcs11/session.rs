//! The session, the login, and the one more try that a lost one is worth.

use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::types::RawAuthPin;

use super::fault::{Fault, fault, refused};
use super::{Pkcs11Token, open};
use crate::token::quiet::Quiet;
use crate::token::{PinState, Secret, TokenError};

/// The one open session, or none yet.
#[derive(Default)]
pub(super) struct Slotted(Option<Session>);

impl Slotted {
    pub(super) fn close(&mut self) {
        self.0 = None;
    }
}

/// The PIN of the present login.
#[derive(Default)]
pub(super) struct Held(Option<Secret>);

impl Held {
    pub(super) fn is_logged_in(&self) -> bool {
        self.0.is_some()
    }
}

impl Pkcs11Token {
    /// Runs `work` with a session; once more where the session or the login got lost on the way.
    ///
    /// `work` must find its objects itself through [`Pkcs11Token::with_key`] or afresh: handles die with sessions.
    pub(super) fn with_session<T>(
        &mut self,
        mut work: impl FnMut(&Session) -> Result<T, Error>,
    ) -> Result<T, TokenError> {
        let error = match work(self.session()?) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if self.mend(&error)? {
            return work(self.session()?).map_err(|error| refused(&error));
        }
        Err(refused(&error))
    }

    /// Puts right what `error` complains of. `false`: it cannot be put right, or trying again is no use.
    pub(super) fn mend(&mut self, error: &Error) -> Result<bool, TokenError> {
        match fault(error) {
            Fault::Session => {
                self.handles.clear();
                self.session.close();
                self.login_held()?;
                Ok(true)
            }
            Fault::Handle => {
                self.handles.clear();
                Ok(true)
            }
            Fault::Login if self.held.is_logged_in() => {
                self.handles.clear();
                self.login_held()?;
                Ok(true)
            }
            Fault::Room if self.held.is_logged_in() => {
                self.relogin()?;
                Ok(true)
            }
            // The token is let go, and found again by the next request.
            Fault::Module => Err(TokenError::NotPresent),
            Fault::Login | Fault::Room | Fault::Final => Ok(false),
        }
    }

    /// Logs out and in again, for tokens that need it after making a key.
    pub(super) fn relogin(&mut self) -> Result<(), TokenError> {
        self.handles.clear();
        if let Some(session) = &self.session.0 {
            session.logout().ok();
        }
        self.login_held()
    }

    /// Presents a PIN that a person or a configuration has just given.
    ///
    /// Logs out first: a token that is logged in already would say so and never look at the PIN, and anybody could
    /// pass for somebody who knows it. In a session of its own: a lost one would be noticed by `C_Login` only, and
    /// nobody knows whether a `C_Login` that fails has looked at the PIN.
    pub(super) fn login_anew(&mut self, pin: &Secret) -> Result<(), TokenError> {
        self.forget_login();
        self.session.close();
        self.look()?;
        match self.pin {
            PinState::Locked => return Err(TokenError::PinLocked),
            PinState::NotSet => return Err(TokenError::PinNotSet),
            PinState::Unknown | PinState::Ok | PinState::Low | PinState::Final => {}
        }
        let mut tried = self.present(pin);
        if let Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) = tried {
            // It did not look at the PIN, so no try is gone.
            self.session()?.logout().ok();
            tried = self.present(pin);
        }
        self.after_login(tried, pin.again())
    }

    /// Ends the login and forgets the PIN and all handles of private objects.
    pub(super) fn forget_login(&mut self) {
        self.held.0 = None;
        self.handles.clear();
        if let Some(session) = &self.session.0 {
            // "Not logged in" is as good.
            session.logout().ok();
        }
    }

    /// Whether the token in the slot is still this one and its session still lives.
    pub(super) fn still_there(&mut self) -> bool {
        let Ok(state) = open::look(&self.context, self.slot) else { return false };
        let same = state.info == self.info;
        self.pin = state.pin;
        let session_lives = self.session.0.as_ref().is_none_or(|session| session.get_session_info().is_ok());
        same && session_lives && self.objects_answer() && self.device_answers()
    }

    /// Whether the device itself answers, and not only what the module remembers of it: a few random bytes come from
    /// the device. A token that never gave any is not judged by that.
    pub(super) fn device_answers(&mut self) -> bool {
        let mut sample = [0; 4];
        let given = self.with_session(|session| session.generate_random_slice(&mut sample)).is_ok();
        let answers = given || !self.gives_random;
        self.gives_random |= given;
        answers
    }

    /// The session, opened where there is none.
    pub(super) fn session(&mut self) -> Result<&Session, TokenError> {
        self.opened().map_err(|error| refused(&error))
    }

    /// A token that cannot be written to still signs.
    fn opened(&mut self) -> Result<&Session, Error> {
        let session = match self.session.0.take() {
            Some(session) => session,
            None => match self.context.open_rw_session(self.slot) {
                Err(Error::Pkcs11(RvError::TokenWriteProtected, _)) => {
                    self.context.open_ro_session(self.slot)?
                }
                opened => opened?,
            },
        };
        Ok(self.session.0.insert(session))
    }

    /// Logs in with the held PIN, which has not failed since it last succeeded. Without one: nothing to do.
    fn login_held(&mut self) -> Result<(), TokenError> {
        let Some(pin) = self.held.0.take() else { return Ok(()) };
        self.look()?;
        let tried = match self.present(&pin) {
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            tried => tried,
        };
        self.after_login(tried, pin)
    }

    /// `C_Login`, once.
    fn present(&mut self, pin: &Secret) -> Result<(), Error> {
        let _quiet = Quiet::start();
        // Wiped by its own drop.
        let raw = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        self.opened()?.login_with_raw(UserType::User, &raw)
    }

    fn after_login(&mut self, tried: Result<(), Error>, pin: Secret) -> Result<(), TokenError> {
        let refusal = match tried {
            Ok(()) => {
                self.held.0 = Some(pin);
                // It was accepted, whatever becomes of the token now: the next call will see.
                self.look().ok();
                return Ok(());
            }
            Err(error) => refused(&error),
        };
        drop(pin);
        // A refusal is a refusal, even of a token that has gone since.
        self.look().ok();
        Err(match refusal {
            TokenError::WrongPin { .. } if self.pin == PinState::Locked => TokenError::PinLocked,
            TokenError::WrongPin { .. } => TokenError::WrongPin { tries_left: self.pin.tries_left() },
            other => other,
        })
    }

    /// Sees how the PIN stands, and that this is still the same token: a PIN is for no other, and another may have
    /// come into the slot.
    fn look(&mut self) -> Result<(), TokenError> {
        let state = open::look(&self.context, self.slot).map_err(|error| refused(&error))?;
        if state.info != self.info {
            return Err(TokenError::NotPresent);
        }
        self.pin = state.pin;
        Ok(())
    }
}
