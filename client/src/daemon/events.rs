//! The one driver of event streams: shows what a call waits for, brings the secrets it asks for, returns its end.
//! Dropping the future drops the stream, and with it the daemon's pending job.
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;
use tonic::Status;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_proto::v1::waiting::State;

use super::{Daemon, failure, wording};
use crate::error::Error;
use crate::output::{Aside, Output};
use crate::prompt::{PromptError, SECRET_MAX, Secret, Typed};

/// How long a state may last before it is shown: most end sooner, and a touch that is cached is no news.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often what is left of the time for a touch is shown.
const SECOND: Duration = Duration::from_secs(1);

/// The time that is left for a touch, on a terminal. Wiped away when it is over, however it ends.
struct Countdown<'o> {
    out: &'o Output,
    until: Instant,
    _aside: Aside,
}

impl<'o> Countdown<'o> {
    /// `None`: nobody is waited for whose time is running.
    fn of(state: &State, out: &'o Output) -> Option<Self> {
        let State::NeedsTouch(needs) = state else { return None };
        let wait = Duration::from_millis(needs.wait_ms.into()).checked_sub(PATIENCE)?;
        Some(Self { out, until: Instant::now() + wait, _aside: out.aside() })
    }

    fn tick(&self) {
        let left = self.until.saturating_duration_since(Instant::now());
        self.out.time_left(Some(left));
    }
}

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.out.time_left(None);
    }
}

/// One message of an event stream.
pub trait Event {
    /// What the stream ends with.
    type Done;
    /// What this message is.
    fn step(self) -> Step<Self::Done>;
}

/// What a message is.
#[derive(Debug)]
pub enum Step<T> {
    /// The call waits for something.
    Waiting(v1::Waiting),
    /// The answer.
    Done(T),
    /// Something that a later version added.
    Unknown,
}

macro_rules! event {
    ($message:ident, $module:ident, $done:ident: $type:ty) => {
        impl Event for v1::$message {
            type Done = $type;
            fn step(self) -> Step<$type> {
                match self.event {
                    Some(v1::$module::Event::Waiting(waiting)) => Step::Waiting(waiting),
                    Some(v1::$module::Event::$done(done)) => Step::Done(done),
                    None => Step::Unknown,
                }
            }
        }
    };
}

event!(SignEvent, sign_event, Signed: v1::Signed);
event!(VaultEvent, vault_event, Status: v1::VaultStatus);
event!(KeyEvent, key_event, Key: v1::Key);
event!(ReleaseLedgerEvent, release_ledger_event, Released: v1::LedgerEntry);
event!(BelieveClockEvent, believe_clock_event, Believed: v1::ClockBelieved);
event!(TokenEvent, token_event, Token: v1::Token);
event!(SealTranscriptEvent, seal_transcript_event, Seal: v1::TranscriptSeal);
event!(RootCertificateEvent, root_certificate_event, Certificate: v1::RootCertificate);

/// What was asked for already, so that a second question for it is known as a refusal.
#[derive(Default)]
struct Asked {
    tries: BTreeMap<(String, i32, String), i32>,
    key_file: Option<Secret>,
}

impl Daemon {
    /// Follows a stream to its answer.
    ///
    /// # Errors
    /// The daemon's refusal, or why a secret that it asked for did not come.
    pub async fn drive<E: Event>(
        &self,
        events: impl Stream<Item = Result<E, Status>>,
    ) -> Result<E::Done, Error> {
        self.follow(events, Asked::default()).await
    }

    /// Follows the stream of a call that asks for a key file, which is given once.
    ///
    /// # Errors
    /// As [`Daemon::drive`].
    pub async fn drive_with_key_file<E: Event>(
        &self,
        events: impl Stream<Item = Result<E, Status>>,
        key_file: Secret,
    ) -> Result<E::Done, Error> {
        self.follow(events, Asked { key_file: Some(key_file), ..Asked::default() }).await
    }

    async fn follow<E: Event>(
        &self,
        events: impl Stream<Item = Result<E, Status>>,
        mut asked: Asked,
    ) -> Result<E::Done, Error> {
        let mut events = pin!(events);
        let mut unshown: Option<State> = None;
        let mut early = None;
        let mut countdown: Option<Countdown<'_>> = None;
        loop {
            let pause = match (&unshown, &countdown) {
                (Some(_), _) => PATIENCE,
                (None, Some(_)) => SECOND,
                (None, None) => Duration::MAX,
            };
            let next = match early.take() {
                Some(next) => next,
                None => match tokio::time::timeout(pause, events.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        if let Some(state) = unshown.take() {
                            self.show(&state);
                            countdown = Countdown::of(&state, &self.out);
                        }
                        countdown.iter().for_each(Countdown::tick);
                        continue;
                    }
                },
            };
            countdown = None;
            let message = next
                .ok_or_else(|| failure(Status::unavailable("the daemon ended the call without an answer")))?
                .map_err(failure)?;
            let waiting = match message.step() {
                Step::Done(done) => return Ok(done),
                Step::Waiting(v1::Waiting { state: Some(state) }) => state,
                Step::Waiting(v1::Waiting { state: None }) | Step::Unknown => continue,
            };
            let State::NeedsPin(question) = waiting else {
                unshown = Some(waiting);
                continue;
            };
            unshown = None;
            tokio::select! {
                // The call may go on or end while the person thinks: the question is then void.
                biased;
                next = events.next() => early = Some(next),
                answered = self.answer(question, &mut asked) => answered?,
            }
        }
    }

    fn show(&self, state: &State) {
        let said = wording::of(state, &self.status.tokens);
        self.out.waiting(said.state, &said.text, &said.fields);
    }

    async fn answer(&self, question: v1::NeedsPin, asked: &mut Asked) -> Result<(), Error> {
        if question.kind() == v1::SecretKind::KeyFile {
            let file = asked.key_file.take().ok_or_else(|| {
                Error::new(
                    Reason::InvalidField,
                    "touchmarkd asks for a key file that this command does not have",
                )
            })?;
            return self.send_secret(&question.handle, &file).await;
        }
        let _aside = self.prompter.is_person().then(|| self.out.aside());
        self.refuse_to_guess(&question, asked).await?;
        // A program that brought the answer along needs no telling; scripts that read the states do.
        if self.prompter.is_person() || self.out.is_json() {
            self.show(&State::NeedsPin(question.clone()));
        }
        let max = usize::try_from(question.max_length).unwrap_or(SECRET_MAX).clamp(1, SECRET_MAX);
        let typed = match question.kind() {
            v1::SecretKind::NewPassphrase | v1::SecretKind::NewPin | v1::SecretKind::NewPuk => Typed::Twice,
            _ => Typed::Once,
        };
        let what = format!("{} of {}", question.kind().as_str_name(), question.token);
        let tokens = &self.status.tokens;
        let secret = match self.prompter.secret(&wording::label(&question, tokens), max, typed).await {
            Err(PromptError::Ended { .. }) if asked.was_asked(&question) => {
                return Err(refused(&question, tokens));
            }
            // One line serves every call of a command, as long as none refuses it.
            Err(ended @ PromptError::Ended { .. }) => self.prompter.kept(&what).await.ok_or(ended)?,
            other => other?,
        };
        asked.remember(&question);
        self.prompter.keep(&what, &secret).await;
        self.send_secret(&question.handle, &secret).await
    }

    /// A program is never asked twice for what was refused, and nobody spends the last try without a yes.
    async fn refuse_to_guess(&self, question: &v1::NeedsPin, asked: &Asked) -> Result<(), Error> {
        if asked.was_refused(question) {
            if !self.prompter.is_person() {
                return Err(refused(question, &self.status.tokens));
            }
            self.out.warn(&wording::refused(question, &self.status.tokens));
        }
        if question.kind() == v1::SecretKind::Pin && question.tries_left == 1 {
            self.prompter.confirm_last_try(&question.token).await?;
        }
        Ok(())
    }
}

impl Asked {
    fn key(question: &v1::NeedsPin) -> (String, i32, String) {
        (question.token.clone(), question.kind, question.intent.clone())
    }

    fn remember(&mut self, question: &v1::NeedsPin) {
        self.tries.insert(Self::key(question), question.tries_left);
    }

    fn was_asked(&self, question: &v1::NeedsPin) -> bool {
        self.tries.contains_key(&Self::key(question))
    }

    /// Asked again with fewer tries left, or for a passphrase, which is never needed twice.
    fn was_refused(&self, question: &v1::NeedsPin) -> bool {
        let Some(before) = self.tries.get(&Self::key(question)) else { return false };
        question.tries_left < *before || question.kind() == v1::SecretKind::Passphrase
    }
}

fn refused(question: &v1::NeedsPin, tokens: &[v1::Token]) -> Error {
    let mut error = Error::new(Reason::WrongPin, wording::refused(question, tokens));
    error.tries_left = u32::try_from(question.tries_left).ok();
    error.hint("run it again on a terminal")
}
