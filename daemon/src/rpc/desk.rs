//! The desk at which one call waits: what it waits for is told on its stream, and secrets are asked for there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};
use touchmark_proto::reason::Refusal;
use touchmark_proto::v1::waiting::State;
use touchmark_proto::v1::{NeedsPin, SecretKind, Waiting};
use tracing::Instrument as _;

use super::call::Call;
use crate::app::App;
use crate::secret::{KEY_FILE_MAX, LIFETIME, PIN_MAX, PromptError, Want};
use crate::sign::SignError;
use crate::store::StoreError;
use crate::unlock::UnlockError;
use crate::vault::SecretBuf;

/// Events that may wait for a slow reader.
const EVENTS: usize = 32;

/// The answers of a streaming call.
pub(super) type Events<E> = ReceiverStream<Result<E, Status>>;

/// What a secret is wanted for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) kind: SecretKind,
    /// Token name; empty for a passphrase of the vault or a key file.
    pub(crate) token: String,
    pub(crate) serial: String,
    pub(crate) tries_left: Option<u32>,
    /// What for, in the daemon's words, escaped.
    pub(crate) intent: String,
}

/// Why an answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeskError {
    /// There is no caller to ask.
    #[error("a PIN or passphrase is wanted and nobody is there to give it")]
    Nobody,
    /// The caller went away.
    #[error("the request was withdrawn")]
    Withdrawn,
    /// The daemon ends.
    #[error("the daemon stops")]
    Stopping,
    /// Nobody answered usably.
    #[error(transparent)]
    Prompt(#[from] PromptError),
}

/// The waiting side of one call.
pub(crate) struct Desk {
    app: Arc<App>,
    call: Call,
    /// `None`: nobody is there to be told or asked.
    sink: Option<Box<dyn Sink>>,
}

/// How a call failed.
pub(super) enum Failure {
    /// To be counted as a refusal where it is one.
    Fresh(Refusal),
    /// The road has counted it.
    Counted(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Fresh(refusal)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Fresh(error.into())
    }
}

impl From<UnlockError> for Failure {
    fn from(error: UnlockError) -> Self {
        Self::Fresh(error.into())
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::Counted(error.into())
    }
}

/// Where waiting states go.
trait Sink: Send + Sync {
    fn put(&self, waiting: Waiting);
    fn closed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

struct Channel<E> {
    events: mpsc::Sender<Result<E, Status>>,
    wrap: fn(Waiting) -> E,
}

impl<E: Send> Sink for Channel<E> {
    fn put(&self, waiting: Waiting) {
        // A reader that is this far behind misses a state, never the answer.
        drop(self.events.try_send(Ok((self.wrap)(waiting))));
    }

    fn closed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.events.closed())
    }
}

impl Desk {
    /// For what the daemon does by itself: configured PINs answer, or nothing does.
    pub(crate) fn nobody(app: &Arc<App>, call: Call) -> Self {
        Self { app: Arc::clone(app), call, sink: None }
    }

    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Says what the call waits for.
    pub(crate) fn tell(&self, state: State) {
        if let Some(sink) = &self.sink {
            sink.put(Waiting { state: Some(state) });
        }
    }

    /// Waits until the caller is gone.
    pub(crate) async fn withdrawn(&self) {
        match &self.sink {
            Some(sink) => sink.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Asks for one secret.
    pub(crate) async fn ask(&self, question: Question) -> Result<SecretBuf, DeskError> {
        if self.sink.is_none() {
            return Err(DeskError::Nobody);
        }
        let max_length = if question.kind == SecretKind::KeyFile { KEY_FILE_MAX } else { PIN_MAX };
        let want = Want { uid: self.call.caller.uid, request: self.call.id.to_string(), max_length };
        let prompt = self.app.prompts().open(want)?;
        self.tell(State::NeedsPin(NeedsPin {
            handle: prompt.handle().as_bytes().to_vec(),
            token: question.token,
            serial: question.serial,
            tries_left: question.tries_left.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1),
            intent: question.intent,
            max_length: max_length.into(),
            deadline_unix_ms: self.app.deadline_unix_ms(LIFETIME),
            kind: question.kind.into(),
        }));
        tokio::select! {
            secret = prompt.secret() => Ok(secret?),
            () = self.withdrawn() => Err(DeskError::Withdrawn),
            () = self.app.stopping() => Err(DeskError::Stopping),
        }
    }

    /// The same, with a limit of its own for waiting on something else.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        what: impl Future<Output = T>,
    ) -> Result<Option<T>, DeskError> {
        tokio::select! {
            done = tokio::time::timeout(time, what) => Ok(done.ok()),
            () = self.withdrawn() => Err(DeskError::Withdrawn),
            () = self.app.stopping() => Err(DeskError::Stopping),
        }
    }
}

/// Runs `work` for a call; its waiting states and its result are the stream.
pub(super) fn stream<E, W, F>(
    app: &Arc<App>,
    call: Call,
    wrap: fn(Waiting) -> E,
    work: W,
) -> Response<Events<E>>
where
    E: Send + 'static,
    W: FnOnce(Desk) -> F,
    F: Future<Output = Result<E, Failure>> + Send + 'static,
{
    let (events, stream) = mpsc::channel(EVENTS);
    let sink: Box<dyn Sink> = Box::new(Channel { events: events.clone(), wrap });
    let desk = Desk { app: Arc::clone(app), call: call.clone(), sink: Some(sink) };
    let (work, app) = (work(desk), Arc::clone(app));
    let task = async move {
        let result = work.await.map_err(|failure| match failure {
            Failure::Fresh(refusal) => app.refused(&call, refusal),
            Failure::Counted(refusal) => app.answered(&call, refusal),
        });
        // Without a reader there is nobody to tell.
        drop(events.send(result).await);
    };
    tokio::spawn(task.in_current_span());
    Response::new(ReceiverStream::new(stream))
}
