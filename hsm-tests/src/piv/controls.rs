//! What happens to a card from outside: fingers, faults, and a look at what it was asked.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::apdu::Status;

/// How long a card blinks before it gives up, and how long a cached touch counts.
const FIFTEEN_SECONDS: Duration = Duration::from_secs(15);
/// VERIFY.
const VERIFY: u8 = 0x20;

/// What a card meets when it wants a touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// A finger, at once.
    #[default]
    AtOnce,
    /// Nobody, and it does not even wait.
    Nobody,
    /// A finger when the test says [`Controls::touch`].
    OnDemand,
}

/// An answer that no sound card gives: "done", and then not what belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A version of two bytes.
    ShortVersion,
    /// No attestation at all.
    EmptyAttestation,
    /// One byte instead of a new public key.
    OneByteKey,
    /// An object without contents, `53 00`.
    EmptyObject,
    /// No metadata at all.
    EmptyMetadata,
    /// A signature that is no key's.
    WrongSignature,
}

/// A hand on one card, whoever has the card itself. Copies are the same hand.
#[derive(Clone, Debug, Default)]
pub struct Controls(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug)]
struct State {
    log: Vec<u8>,
    verified: usize,
    refused: usize,
    delay: Duration,
    failures: Vec<Failure>,
    answers_left: Option<usize>,
    loses_pin: bool,
    between: Vec<u8>,
    malformed: Option<Malformed>,
    touch: Touch,
    patience: Duration,
    cached: Duration,
    asked: usize,
    blinking: bool,
    fingers: usize,
    pulls: u64,
}

/// A status word for the one that comes after `before` others of its kind.
#[derive(Debug)]
struct Failure {
    ins: u8,
    before: usize,
    status: Status,
}

impl Default for State {
    fn default() -> Self {
        Self {
            log: Vec::new(),
            verified: 0,
            refused: 0,
            delay: Duration::ZERO,
            failures: Vec::new(),
            answers_left: None,
            loses_pin: false,
            between: Vec::new(),
            malformed: None,
            touch: Touch::default(),
            patience: FIFTEEN_SECONDS,
            cached: FIFTEEN_SECONDS,
            asked: 0,
            blinking: false,
            fingers: 0,
            pulls: 0,
        }
    }
}

impl Controls {
    /// Every answer comes this much later.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The nth command from now with this INS (the first is 1) is not obeyed, and answered with this status word.
    pub fn fail(&self, ins: u8, nth: usize, status: Status) {
        let before = nth.checked_sub(1).expect("the first is number 1");
        self.state().failures.push(Failure { ins, before, status });
    }

    /// The card is pulled out instead of obeying the command after so many others.
    pub fn pull_after(&self, answers: usize) {
        self.state().answers_left = Some(answers);
    }

    /// The card is pulled out when it has looked at the next PIN, and before it has said what it thinks of it.
    pub fn pull_after_pin(&self) {
        self.state().loses_pin = true;
    }

    /// Another program selects the PIV application right before the next command with this INS of whoever is logged in, and
    /// that ends the login.
    pub fn come_between(&self, ins: u8) {
        self.state().between.push(ins);
    }

    /// From now on it gives malformed answers, or sound ones again.
    pub fn malform(&self, malformed: Option<Malformed>) {
        self.state().malformed = malformed;
    }

    /// What it meets from now on when it wants a touch.
    pub fn fingers(&self, touch: Touch) {
        self.state().touch = touch;
        self.0.1.notify_all();
    }

    /// How long it waits for a finger, and how long a touch counts for keys with a cached one; 15 seconds each by
    /// themselves.
    pub fn patience(&self, wait: Duration, cached: Duration) {
        let mut state = self.state();
        (state.patience, state.cached) = (wait, cached);
    }

    /// One touch, for who waits for it now. A card that does not blink does not feel it.
    pub fn touch(&self) {
        let mut state = self.state();
        if state.blinking {
            state.fingers += 1;
        }
        drop(state);
        self.0.1.notify_all();
    }

    /// Waits until the card blinks.
    ///
    /// # Panics
    /// When it does not within half a minute.
    pub fn wait_until_it_blinks(&self) {
        let wait = self.0.1.wait_timeout_while(self.state(), 2 * FIFTEEN_SECONDS, |state| !state.blinking);
        let blinking = wait.expect("nobody panicked").0.blinking;
        assert!(blinking, "the card was not asked for a touch");
    }

    /// Waits until the card does not blink.
    ///
    /// # Panics
    /// When it does for half a minute.
    pub fn wait_until_it_is_dark(&self) {
        let wait = self.0.1.wait_timeout_while(self.state(), 2 * FIFTEEN_SECONDS, |state| state.blinking);
        let blinking = wait.expect("nobody panicked").0.blinking;
        assert!(!blinking, "the card still waits for a touch");
    }

    /// How often it has wanted a touch.
    #[must_use]
    pub fn touches_wanted(&self) -> usize {
        self.state().asked
    }

    /// INS of every command since [`Controls::forget`], in order. Never what came with it.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.state().log.clone()
    }

    /// How many commands with this INS there were since [`Controls::forget`].
    #[must_use]
    pub fn count(&self, ins: u8) -> usize {
        self.state().log.iter().filter(|seen| **seen == ins).count()
    }

    /// How often a PIN was sent since [`Controls::forget`]; a VERIFY without one only asks.
    #[must_use]
    pub fn pins_sent(&self) -> usize {
        self.state().verified
    }

    /// How often that was a wrong one, or one that came when no tries were left; since the card was made.
    #[must_use]
    pub fn pins_refused(&self) -> usize {
        self.state().refused
    }

    /// Forgets the commands so far.
    pub fn forget(&self) {
        let mut state = self.state();
        state.log.clear();
        state.verified = 0;
    }

    /// The PIN that was just sent is wrong.
    pub(super) fn refuse_pin(&self) {
        self.state().refused += 1;
    }

    /// Writes a command down; what it must be answered instead of obeyed.
    pub(super) fn meet(&self, command: &[u8]) -> Option<Status> {
        let mut state = self.state();
        let ins = *command.get(1)?;
        state.log.push(ins);
        if is_pin(command) {
            state.verified += 1;
        }
        let mut forced = None;
        state.failures.retain_mut(|failure| {
            let (its, now) = (failure.ins == ins, failure.before == 0);
            match (its, now) {
                (true, true) if forced.is_none() => forced = Some(failure.status),
                (true, _) => failure.before = failure.before.saturating_sub(1),
                (false, _) => {}
            }
            !(its && now)
        });
        let delay = state.delay;
        if !delay.is_zero() {
            drop(self.wait(state, delay, |_| true)); // until then, or until it is pulled out
        }
        forced
    }

    /// Whether another program has just selected the application.
    pub(super) fn was_between(&self, command: &[u8]) -> bool {
        let mut state = self.state();
        let before = state.between.len();
        state.between.retain(|ins| command.get(1) != Some(ins));
        state.between.len() < before
    }

    /// What becomes of an answer.
    pub(super) fn deform(&self, ins: u8, answer: Vec<u8>) -> Vec<u8> {
        match (self.state().malformed, ins) {
            (Some(Malformed::ShortVersion), 0xfd) => answer[..2].to_vec(),
            (Some(Malformed::OneByteKey), 0x47) => answer[..1].to_vec(),
            // r and s are 1.
            (Some(Malformed::WrongSignature), 0x87) => {
                b"\x7c\x0a\x82\x08\x30\x06\x02\x01\x01\x02\x01\x01".to_vec()
            }
            (Some(Malformed::EmptyObject), 0xcb) => vec![0x53, 0x00],
            (Some(Malformed::EmptyAttestation), 0xf9) | (Some(Malformed::EmptyMetadata), 0xf7) => Vec::new(),
            _ => answer,
        }
    }

    /// Whether somebody touches the card before it gives up; when.
    pub(super) fn want_touch(&self) -> Option<Instant> {
        let mut state = self.state();
        state.asked += 1;
        state.blinking = true;
        state.fingers = 0;
        self.0.1.notify_all();
        let patience = state.patience;
        let waits = |state: &State| state.touch == Touch::OnDemand && state.fingers == 0;
        let mut state = self.wait(state, patience, waits);
        state.blinking = false;
        self.0.1.notify_all();
        (state.touch == Touch::AtOnce || state.fingers > 0).then(Instant::now)
    }

    /// How long a touch counts.
    pub(super) fn cached(&self) -> Duration {
        self.state().cached
    }

    /// Whether it is pulled out now, before the next command.
    pub(crate) fn is_due(&self) -> bool {
        let mut state = self.state();
        match &mut state.answers_left {
            Some(0) => {
                state.answers_left = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Whether it is pulled out now that it has obeyed this command.
    pub(crate) fn was_last(&self, command: &[u8]) -> bool {
        is_pin(command) && std::mem::take(&mut self.state().loses_pin)
    }

    /// It is pulled out: nothing it waits for will come.
    pub(crate) fn interrupt(&self) {
        self.state().pulls += 1;
        self.0.1.notify_all();
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Duration,
        waits: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State>
    where
        Self: 'a,
    {
        let pulls = state.pulls;
        let still = |state: &mut State| state.pulls == pulls && waits(state);
        self.0.1.wait_timeout_while(state, limit, still).expect("nobody panicked").0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// VERIFY with a PIN.
fn is_pin(command: &[u8]) -> bool {
    command.get(1) == Some(&VERIFY) && command.len() > 5
}
