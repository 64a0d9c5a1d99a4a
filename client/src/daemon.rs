//! The connection to touchmarkd: one Unix socket, calls whose waiting states are shown, secrets on a connection of
//! their own. Decides nothing about documents and prints only waiting states.

mod certificate;
mod door;
mod events;
pub(crate) mod last;
mod seal;
mod secret;
mod sign;
mod wording;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::audit_client::AuditClient;
use touchmark_proto::v1::daemon_client::DaemonClient;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_proto::v1::tokens_client::TokensClient;
use touchmark_proto::v1::vault_client::VaultClient;

use crate::context::Ctx;
use crate::error::Error;
use crate::output::Output;
use crate::prompt::{self, Prompter};

pub use certificate::Certificate;
pub use events::{Event, Step};
pub use last::LastDocument;
pub use seal::Seal;
pub use sign::{DocumentToSign, SignJob, SignedDocument, SignedJob};

/// How long a crowd at the socket is put up with, and the pause between two tries.
const CROWDED: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(2);
/// How often a person may mistype a PIN in one command.
const ROUNDS: usize = 3;

/// An open connection to the daemon, and whoever answers its questions.
pub struct Daemon {
    channel: Channel,
    socket: PathBuf,
    out: Output,
    prompter: Prompter,
    status: v1::StatusResponse,
}

impl Daemon {
    /// Connects and checks that the two versions understand each other.
    ///
    /// # Errors
    /// `DAEMON_UNREACHABLE` with the command that starts one, `NOT_ALLOWED` where the socket is closed to this
    /// user, `DAEMON_TOO_OLD`.
    pub async fn connect(ctx: &Ctx, prompter: Prompter) -> Result<Self, Error> {
        prompt::harden()
            .map_err(|cause| Error::internal(format!("cannot switch core dumps off: {cause}")))?;
        Self::open(&ctx.socket, ctx.out.clone(), prompter).await
    }

    async fn open(socket: &Path, out: Output, prompter: Prompter) -> Result<Self, Error> {
        let began = Instant::now();
        let (channel, status) = loop {
            match greet(socket).await {
                Err(Unheard::Crowd(_)) if began.elapsed() < CROWDED => tokio::time::sleep(AGAIN).await,
                Err(Unheard::Crowd(error) | Unheard::Answer(error)) => return Err(error),
                Ok(greeted) => break greeted,
            }
        };
        check_version(&status.version)?;
        Ok(Self { channel, socket: socket.to_path_buf(), out, prompter, status })
    }

    /// The status at the time of connecting.
    #[must_use]
    pub fn status(&self) -> &v1::StatusResponse {
        &self.status
    }

    /// The status now and at each change.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn watch(&self) -> Result<tonic::Streaming<v1::StatusResponse>, Error> {
        Ok(self.daemon().watch(v1::StatusRequest {}).await.map_err(failure)?.into_inner())
    }

    /// Every key that the caller may see.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn key_list(&self) -> Result<Vec<v1::Key>, Error> {
        Ok(self.keys().list(v1::ListKeysRequest {}).await.map_err(failure)?.into_inner().keys)
    }

    /// The versions that were given out in a repository, or in all that the caller may see, by repository, role and
    /// version. `gun`: empty for all.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn ledger(&self, gun: String) -> Result<Vec<v1::LedgerEntry>, Error> {
        let mut pages = self.daemon().ledger(v1::LedgerRequest { gun }).await.map_err(failure)?.into_inner();
        let mut entries = Vec::new();
        while let Some(page) = pages.message().await.map_err(failure)? {
            entries.extend(page.entries);
        }
        Ok(entries)
    }

    /// Calls again after a wrong PIN or passphrase, as long as a person types them. The last try of a token is
    /// asked for by `drive` itself.
    ///
    /// # Errors
    /// The call's own; `WRONG_PIN` after a few rounds or at once where a program gave the PIN.
    pub async fn until_right<T>(&self, call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        for _ in 1..ROUNDS {
            match call().await {
                Err(error) if error.reason == Reason::WrongPin && self.prompter.is_person() => {
                    self.out.warn(&error.message);
                }
                other => return other,
            }
        }
        call().await
    }

    /// The `touchmark.v1.Signer` service.
    #[must_use]
    pub fn signer(&self) -> SignerClient<Channel> {
        SignerClient::new(self.channel.clone())
    }

    /// The `touchmark.v1.Keys` service.
    #[must_use]
    pub fn keys(&self) -> KeysClient<Channel> {
        KeysClient::new(self.channel.clone())
    }

    /// The `touchmark.v1.Tokens` service.
    #[must_use]
    pub fn tokens(&self) -> TokensClient<Channel> {
        TokensClient::new(self.channel.clone())
    }

    /// The `touchmark.v1.Vault` service.
    #[must_use]
    pub fn vault(&self) -> VaultClient<Channel> {
        VaultClient::new(self.channel.clone())
    }

    /// The `touchmark.v1.Audit` service.
    #[must_use]
    pub fn audit(&self) -> AuditClient<Channel> {
        AuditClient::new(self.channel.clone())
    }

    /// The `touchmark.v1.Daemon` service.
    #[must_use]
    pub fn daemon(&self) -> DaemonClient<Channel> {
        DaemonClient::new(self.channel.clone())
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A call's failure as the command's error: the daemon's own reason where it gave one.
#[allow(clippy::needless_pass_by_value, reason = "taken by `map_err`")]
#[must_use]
pub fn failure(status: Status) -> Error {
    if let Some(refusal) = Refusal::from_status(&status) {
        return refusal.into();
    }
    let text = status.message();
    match status.code() {
        Code::Unimplemented => Error::new(Reason::DaemonTooOld, "touchmarkd does not know this call")
            .hint("restart touchmarkd after its update: `systemctl --user restart touchmarkd`"),
        // tonic's own words for a peer that has gone: no detail of ours came with it.
        Code::Unavailable | Code::Unknown | Code::Cancelled => {
            Error::new(Reason::DaemonUnreachable, format!("the connection to touchmarkd broke: {text}"))
                .hint("touchmark status")
        }
        code => Error::internal(format!("touchmarkd answered {code:?}: {text}")),
    }
}

/// Why the first question got no answer.
enum Unheard {
    /// There was a crowd before us: the socket's queue is full, or the daemon closed a connection that had not asked
    /// anything yet for another one. The next try may be heard.
    Crowd(Error),
    /// That is the answer.
    Answer(Error),
}

/// Connects and asks for the status, which changes nothing.
async fn greet(socket: &Path) -> Result<(Channel, v1::StatusResponse), Unheard> {
    let channel = channel(socket).await?;
    match DaemonClient::new(channel.clone()).status(v1::StatusRequest {}).await {
        Ok(status) => Ok((channel, status.into_inner())),
        // A status of the daemon has no source; one of our own for a connection that broke has.
        Err(status) if std::error::Error::source(&status).is_some() => Err(Unheard::Crowd(failure(status))),
        Err(status) => Err(Unheard::Answer(failure(status))),
    }
}

/// Opens the socket first, so that its error is the kernel's own, then speaks gRPC over that connection.
async fn channel(socket: &Path) -> Result<Channel, Unheard> {
    let first = door::connect(socket).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock => Unheard::Crowd(unreachable(socket, &cause)),
        _ => Unheard::Answer(unreachable(socket, &cause)),
    })?;
    let first = Mutex::new(Some(first));
    let path = socket.to_path_buf();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let ready = first.lock().map_or(None, |mut place| place.take());
        let path = path.clone();
        async move {
            let stream = match ready {
                Some(stream) => stream,
                None => door::connect(&path).await?,
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The authority is never resolved; C-core servers want it to be "localhost".
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connector).await.map_err(|cause| {
        let error = Error::new(
            Reason::DaemonUnreachable,
            format!("what listens on {} does not speak gRPC: {cause}", socket.display()),
        );
        Unheard::Crowd(error.hint("touchmark doctor"))
    })
}

fn unreachable(socket: &Path, cause: &io::Error) -> Error {
    let shown = socket.display();
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            let uid = rustix::process::getuid().as_raw();
            Error::new(Reason::NotAllowed, format!("user id {uid} may not open touchmarkd's socket {shown}"))
                .hint("ask for membership of the group of `socket-group` in touchmarkd's configuration")
        }
        io::ErrorKind::NotFound => no_daemon(format!("no touchmarkd: there is no socket {shown}")),
        io::ErrorKind::ConnectionRefused => no_daemon(format!("no touchmarkd: nobody listens on {shown}")),
        _ => no_daemon(format!("cannot reach touchmarkd on {shown}: {cause}")),
    }
}

fn no_daemon(message: String) -> Error {
    Error::new(Reason::DaemonUnreachable, message)
        .hint("`systemctl --user start touchmarkd`, or to try things out: `touchmarkd run --dev DIR`")
}

/// The API only grows: a daemon may be newer than its client, and within a major version older by patches only.
fn check_version(daemon: &str) -> Result<(), Error> {
    let ours = env!("CARGO_PKG_VERSION");
    if version(daemon) >= version(ours) {
        return Ok(());
    }
    Err(Error::new(Reason::DaemonTooOld, format!("touchmarkd {daemon} is older than this touchmark {ours}"))
        .hint("restart touchmarkd after its update: `systemctl --user restart touchmarkd`"))
}

/// Major and minor number; what cannot be read counts as oldest.
fn version(text: &str) -> (u64, u64) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
