//! One helper process: spawning it, talking to it, ending it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{HelperProgram, stderr};
use crate::token::frame::{FrameError, HEADER, Header};
use crate::token::message::{Reply, Request};
use crate::token::{Secret, TokenConfig, TokenError};
use crate::vault::{Locked, MemoryError, SecretBuf};

/// How long a helper may take to log out and end.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a module may want of our own environment. The rest is nobody's business, `NOTIFY_SOCKET` least of all.
/// The sixth says where the PC/SC service listens, on systems where that is not where libpcsclite expects it.
const INHERITED: [&str; 8] =
    ["HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "PCSCLITE_CSOCK_NAME", "TZ", "XDG_CONFIG_HOME"];

/// How long an answer may be on its way after the helper has ended. A module may have left a process behind that keeps
/// the pipe open.
const GRACE: Duration = Duration::from_millis(200);

/// A running helper.
pub(super) struct HelperProcess {
    child: Child,
    /// Its process group: it, and what its module has started.
    group: Option<Pid>,
    pipes: Pipes,
}

/// The way to a helper and back.
struct Pipes {
    input: ChildStdin,
    output: ChildStdout,
    number: u32,
}

/// Why the conversation broke off.
#[derive(Debug, thiserror::Error)]
pub(in crate::token) enum ExchangeError {
    /// The pipe broke: it has ended, or is about to.
    #[error("its pipe broke: {0}")]
    Pipe(#[from] std::io::Error),
    /// It says what no helper of ours says.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It says what no helper of ours says.
    #[error("unreadable answer: {0}")]
    Message(#[from] serde_json::Error),
    /// It answers another question.
    #[error("an answer to another question")]
    Number,
    /// It has ended, and something that it left behind keeps its pipe open.
    #[error("it ended without an answer")]
    Ended,
    /// No room for the secret in the answer.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl HelperProcess {
    /// Starts a helper with the token's own environment, in a process group of its own: Ctrl-C is for the daemon.
    pub(super) fn spawn(program: &HelperProgram, config: &TokenConfig) -> std::io::Result<Self> {
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut child = Command::new(&program.program)
            .args(&program.arguments)
            .env_clear()
            .envs(inherited)
            .envs(&config.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let no_pipe = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = child.stdout.take().ok_or_else(no_pipe)?;
        let words = child.stderr.take().ok_or_else(no_pipe)?;
        tokio::spawn(stderr::log(config.name.clone(), words));
        let group = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Ok(Self { child, group, pipes: Pipes { input, output, number: 0 } })
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks and waits for the answer. Secrets go from and to locked memory by `write(2)` and `read(2)`, without a
    /// buffer between. Dropped half way, the helper is good for nothing any more.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        secrets: &[Option<SecretBuf>; 2],
        locked: &Arc<Locked>,
    ) -> Result<(Reply, Option<SecretBuf>), ExchangeError> {
        let exchange = self.pipes.exchange(request, secrets, locked);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answered = &mut exchange => return answered,
            _ = self.child.wait() => {}
        }
        tokio::time::timeout(GRACE, exchange).await.unwrap_or(Err(ExchangeError::Ended))
    }

    /// The error to report after its pipe broke.
    pub(super) async fn how_it_ended(&mut self, error: &ExchangeError) -> TokenError {
        if matches!(error, ExchangeError::Memory(_)) {
            return TokenError::NoLockedMemory;
        }
        let how = match tokio::time::timeout(FAREWELL, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(_)) | Err(_) => error.to_string(),
        };
        TokenError::HelperEnded { how }
    }

    /// Lets it log out and end; kills it where it does not.
    pub(super) async fn end(self) {
        let Self { mut child, group, pipes } = self;
        drop(pipes);
        match tokio::time::timeout(FAREWELL, child.wait()).await {
            Ok(_) => kill_group(group),
            Err(_) => kill(child, group).await,
        }
    }

    /// Kills it, by its own process id, and waits until it is gone.
    pub(super) async fn kill(self) {
        kill(self.child, self.group).await;
    }
}

impl Pipes {
    async fn exchange(
        &mut self,
        request: &Request,
        secrets: &[Option<SecretBuf>; 2],
        locked: &Arc<Locked>,
    ) -> Result<(Reply, Option<SecretBuf>), ExchangeError> {
        self.number = self.number.wrapping_add(1);
        self.send(request, secrets).await?;
        receive(&mut self.output, self.number, locked).await
    }

    async fn send(
        &mut self,
        request: &Request,
        secrets: &[Option<SecretBuf>; 2],
    ) -> Result<(), ExchangeError> {
        let body = serde_json::to_vec(request)?;
        let lengths = secrets.each_ref().map(|secret| secret.as_ref().map_or(0, SecretBuf::len));
        let header = Header { number: self.number, body: body.len(), secrets: lengths }.encode()?;
        self.input.write_all(&[header.as_slice(), &body].concat()).await?;
        for secret in secrets.iter().flatten() {
            self.input.write_all(secret.expose()).await?;
        }
        Ok(())
    }
}

/// Reads the answer to request `number`; a secret in it goes straight into locked memory.
pub(in crate::token) async fn receive(
    output: &mut (impl AsyncRead + Unpin),
    number: u32,
    locked: &Arc<Locked>,
) -> Result<(Reply, Option<SecretBuf>), ExchangeError> {
    let mut header = [0; HEADER];
    output.read_exact(&mut header).await?;
    let header = Header::decode(&header)?;
    if header.number != number {
        return Err(ExchangeError::Number);
    }
    let mut body = vec![0; header.body];
    output.read_exact(&mut body).await?;
    let reply = serde_json::from_slice(&body)?;
    let secret = match header.secrets {
        [0, 0] => None,
        [len, 0] => Some(receive_secret(output, locked, len).await?),
        _ => return Err(FrameError::TooLong.into()),
    };
    Ok((reply, secret))
}

async fn receive_secret(
    output: &mut (impl AsyncRead + Unpin),
    locked: &Arc<Locked>,
    len: usize,
) -> Result<SecretBuf, ExchangeError> {
    let mut secret = SecretBuf::new(locked, Secret::MAX)?;
    let to = secret.as_mut_slice().get_mut(..len).ok_or(FrameError::TooLong)?;
    output.read_exact(to).await?;
    secret.set_len(len)?;
    Ok(secret)
}

async fn kill(mut child: Child, group: Option<Pid>) {
    kill_group(group);
    if let Err(error) = child.kill().await {
        tracing::error!(%error, "token helper cannot be killed");
    }
}

/// What a module has started goes with its helper. Nothing else can be in this group: the kernel gives its number to
/// nobody while somebody is in it.
fn kill_group(group: Option<Pid>) {
    if let Some(group) = group {
        // An error means that nobody is left in it.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}
