//! The task that keeps one token: one job at a time, deadlines, restarts, and a look at the idle token.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::helper_process::HelperProcess;
use super::job::{Call, Command, Finished};
use super::keys::Keys;
use super::{HelperProgram, OnOrphan};
use crate::token::message::{Answer, Reply, Request};
use crate::token::{Limits, Presence, TokenConfig, TokenError, TokenKind, TokenState};
use crate::vault::{Locked, SecretBuf};

/// The first and the longest pause before a helper that failed is started again. A token is to be back two seconds after
/// its fault is over, and the next look may come a second after the pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

pub(super) struct Keeper {
    config: TokenConfig,
    keys: Arc<Keys>,
    locked: Arc<Locked>,
    program: HelperProgram,
    limits: Arc<Limits>,
    state: watch::Sender<TokenState>,
    on_orphan: OnOrphan,
    helper: Option<HelperProcess>,
    /// Process id of `helper`, for whoever only looks; 0 without one.
    pid: Arc<AtomicU32>,
    /// Helpers lost since the last good answer.
    losses: u32,
    /// Why the last one was lost, and when the next may start.
    lost: Option<(TokenError, Instant)>,
    next_probe: Instant,
    /// Stopped on request: not started again before it is needed.
    resting: bool,
    /// Set while a YubiKey uses a key and nobody waits for it any more.
    given_up: Arc<AtomicBool>,
    /// Somebody wants to know how the token is.
    wanted: Arc<Notify>,
    /// It has come, and nobody has asked yet what its keys ask of a person.
    news: bool,
}

impl Keeper {
    pub(super) fn new(
        config: TokenConfig,
        keys: Arc<Keys>,
        locked: Arc<Locked>,
        program: HelperProgram,
        limits: Arc<Limits>,
        state: watch::Sender<TokenState>,
        on_orphan: OnOrphan,
    ) -> Self {
        let (next_probe, losses) = (Instant::now(), 0);
        let (helper, pid, lost, resting) = (None, Arc::default(), None, false);
        Self {
            config,
            keys,
            locked,
            program,
            limits,
            state,
            on_orphan,
            helper,
            pid,
            losses,
            lost,
            next_probe,
            resting,
            given_up: Arc::default(),
            wanted: Arc::default(),
            news: false,
        }
    }

    /// Where it stands that a key is being used for somebody who has gone.
    pub(super) fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.given_up)
    }

    /// How to make it look at a token that rests.
    pub(super) fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }

    /// Where the helper's process id is kept up to date; 0: there is none.
    pub(super) fn pid(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    /// Serves until every handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let wanted = self.wanted();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Call(call)) => self.serve(*call).await,
                    Some(Command::Stop(done)) => {
                        self.rest().await;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(self.next_probe), if !self.resting => self.look().await,
                () = wanted.notified(), if self.resting => {
                    self.resting = false;
                    self.look().await;
                }
            }
            if std::mem::take(&mut self.news) {
                self.learn().await;
            }
        }
        self.end_helper().await;
    }

    async fn serve(&mut self, call: Call) {
        let Call { request, secrets, allowed, start_by, mut reply, orphan } = call;
        if reply.is_closed() {
            return;
        }
        if Instant::now() > start_by {
            // It never started, so it may simply be asked again.
            drop(reply.send(Err(TokenError::Busy)));
            return;
        }
        self.resting = false;
        let blinks = matches!(self.config.kind, TokenKind::Yubikey { .. })
            && matches!(request, Request::Sign { .. } | Request::Unwrap { .. });
        let given_up = self.given_up();
        let finished = {
            let mut asking = pin!(self.ask(&request, secrets, allowed));
            tokio::select! {
                biased;
                finished = &mut asking => finished,
                () = reply.closed(), if blinks => {
                    given_up.store(true, Ordering::Release);
                    asking.await
                }
            }
        };
        given_up.store(false, Ordering::Release);
        self.next_probe = Instant::now() + self.limits.probe;
        if let Err(Ok(_)) = reply.send(finished)
            && !orphan.what.is_empty()
        {
            (self.on_orphan)(&orphan);
        }
    }

    /// A look at the idle token: is it there, is it back?
    async fn look(&mut self) {
        let before = self.state.borrow().presence.clone();
        // What went wrong is in the state.
        drop(self.ask(&Request::Probe, [None, None], self.limits.open).await);
        let now = self.state.borrow().presence.clone();
        if before != now {
            tracing::info!(token = self.config.name, presence = ?now, "token");
        }
        self.next_probe = Instant::now() + self.limits.probe;
    }

    /// Asks a YubiKey that has come what the keys that are known to be on it ask of a person.
    async fn learn(&mut self) {
        for key in self.keys.enrolled() {
            let Ok(request) = (&key).try_into().map(|key| Request::Policy { key }) else { continue };
            let answer = self.ask(&request, [None, None], self.limits.call).await.map(|done| done.answer);
            // One that is not there any more says so when it is used.
            if let Ok(Answer::Policy(policy)) = answer {
                self.keys.note_policy(&key, policy);
            }
        }
        self.next_probe = Instant::now() + self.limits.probe;
    }

    async fn ask(
        &mut self,
        request: &Request,
        secrets: [Option<SecretBuf>; 2],
        allowed: Duration,
    ) -> Result<Finished, TokenError> {
        if self.helper.is_none() && matches!(request, Request::Logout) {
            // The login went with the helper.
            return Ok(Finished { answer: Answer::Done, secret: None });
        }
        self.ensure_helper().await?;
        let (reply, secret) = self.exchange(request, &secrets, allowed).await?;
        self.losses = 0;
        self.note(&reply);
        reply.result.map(|answer| Finished { answer, secret })
    }

    /// One question and its answer. A helper that is late, or talks nonsense, is ended.
    async fn exchange(
        &mut self,
        request: &Request,
        secrets: &[Option<SecretBuf>; 2],
        allowed: Duration,
    ) -> Result<(Reply, Option<SecretBuf>), TokenError> {
        let Some(helper) = &mut self.helper else { return Err(TokenError::NotPresent) };
        let answered = tokio::time::timeout(allowed, helper.exchange(request, secrets, &self.locked)).await;
        let error = match answered {
            Ok(Ok((Reply { result: Err(error @ TokenError::HelperEnded { .. }), .. }, _))) => error,
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => helper.how_it_ended(&error).await,
            Err(_) => TokenError::Timeout,
        };
        tracing::error!(token = self.config.name, pid = helper.pid(), %error, "token helper lost");
        self.lose(error.clone()).await;
        Err(error)
    }

    /// A running helper that knows its token.
    async fn ensure_helper(&mut self) -> Result<(), TokenError> {
        if self.helper.as_mut().is_some_and(HelperProcess::has_ended) {
            tracing::error!(token = self.config.name, "token helper ended by itself");
            if let Some(helper) = self.take_helper() {
                // What its module has left behind.
                helper.kill().await;
            }
            self.forget_login();
        }
        if self.helper.is_some() {
            return Ok(());
        }
        if let Some((error, not_before)) = &self.lost
            && Instant::now() < *not_before
        {
            return Err(error.clone());
        }
        match HelperProcess::spawn(&self.program, &self.config) {
            Ok(helper) => {
                self.pid.store(helper.pid().unwrap_or(0), Ordering::Release);
                self.helper = Some(helper);
            }
            Err(error) => {
                let how = format!("cannot start {}: {error}", self.program.program.display());
                let error = TokenError::HelperEnded { how };
                self.lose(error.clone()).await;
                return Err(error);
            }
        }
        let open = Request::Open { kind: self.config.kind.clone() };
        let (reply, _) = self.exchange(&open, &[None, None], self.limits.open).await?;
        self.note(&reply);
        Ok(())
    }

    /// Takes over what a reply says about the token.
    fn note(&mut self, reply: &Reply) {
        let Some(mut new) = reply.state.clone() else { return };
        if let Some(info) = &new.info {
            self.config.kind.pin_serial(&info.serial);
        }
        let tells = matches!(self.config.kind, TokenKind::Yubikey { .. });
        self.state.send_if_modified(|state| {
            // An absent token is still somebody.
            new.info = new.info.or_else(|| state.info.clone());
            let changed = *state != new;
            self.news |= tells && new.presence == Presence::Present && state.presence != Presence::Present;
            *state = new;
            changed
        });
    }

    /// After this the next helper has to wait a little longer than the last one had.
    async fn lose(&mut self, error: TokenError) {
        if let Some(helper) = self.take_helper() {
            helper.kill().await;
        }
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(1 << self.losses.min(10)).min(longest);
        self.losses = self.losses.saturating_add(1);
        let info = self.state.borrow().info.clone();
        let presence = Presence::Failed(error.to_string());
        self.state.send_replace(TokenState { info, ..TokenState::without_token(presence) });
        self.lost = Some((error, Instant::now() + pause));
    }

    async fn rest(&mut self) {
        self.end_helper().await;
        self.resting = true;
        self.forget_login();
    }

    async fn end_helper(&mut self) {
        if let Some(helper) = self.take_helper() {
            helper.end().await;
        }
    }

    fn take_helper(&mut self) -> Option<HelperProcess> {
        self.pid.store(0, Ordering::Release);
        self.helper.take()
    }

    fn forget_login(&self) {
        self.state.send_if_modified(|state| std::mem::replace(&mut state.logged_in, false));
    }
}
