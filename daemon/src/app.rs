//! The whole daemon as one value: built from a configuration, served on a socket, as many in one process as one
//! likes. Joins the rooms; decides nothing itself.

mod head;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use touchmark_tuf::{Instant, KeyId};

use crate::audit::Event;
use crate::clock::Clock;
use crate::config::{Accounts, Config, Surroundings, TokenEntry};
use crate::harden::Hardening;
use crate::listen::{Caps, Directory, Door, Peer, Peers, Register};
use crate::log::Sparingly;
use crate::policy::{Caller, Policy};
use crate::rpc::budget::Budget;
use crate::secret::Prompts;
use crate::sign::Road;
use crate::sign::seat::Seat;
use crate::store::keys::Place as KeyPlace;
use crate::store::meta::Setting;
use crate::store::{Store, StoreError, Tx};
use crate::token::{HelperProgram, Limits, TokenHandle};
use crate::unlock::{Given, LockReason, UnlockError};
use crate::vault::{Locked, MemoryError, MemoryKind, Vault};
use times::Times;

/// Connections that may wait for the server to take them.
const HANDOVER: usize = 16;
/// How long requests under way may take to end when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a signature waits for somebody to plug its token in.
const TOKEN_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether the vault has to close.
const LOCK_CHECK: Duration = Duration::from_secs(1);

/// What the daemon is started with, beside its configuration.
pub struct Options {
    /// Which memory secrets live in; `None`: the best that there is.
    pub memory: Option<MemoryKind>,
    /// Whether this is `run --dev`, now and for ever after.
    pub kind: Kind,
    /// What holds in this process.
    pub hardening: Hardening,
    /// The environment that the configuration was read in.
    pub surroundings: Surroundings,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The machine's users.
    pub accounts: Arc<dyn Accounts>,
    /// What token helpers are.
    pub helper: HelperProgram,
    /// How long tokens may take.
    pub limits: Limits,
    /// How many connections there may be.
    pub caps: Caps,
}

/// Which kind of state a daemon has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The real thing.
    Real,
    /// Made by `run --dev`.
    Dev,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Locked memory cannot be had.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The state cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state was made by another kind of start.
    #[error("{} was not made by `run --dev`, and is not turned into a dev state; use another folder", .0.display())]
    NotDev(PathBuf),
    /// The server ended by itself.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The socket cannot be used by the runtime.
    #[error("the socket cannot be served: {0}")]
    Socket(#[from] std::io::Error),
    /// The first start of a dev daemon failed.
    #[error("{0}")]
    Dev(String),
}

/// A configured token.
pub(crate) struct TokenSlot {
    pub(crate) entry: TokenEntry,
    pub(crate) handle: TokenHandle,
    /// Whoever may ask for its PIN now.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// The configured PIN that was given out last.
    pub(crate) given: Mutex<Option<Given>>,
}

/// One daemon.
pub struct App {
    config: Config,
    policy: Policy,
    store: Store,
    vault: Arc<Vault>,
    tokens: BTreeMap<String, Arc<TokenSlot>>,
    road: Road,
    prompts: Arc<Prompts>,
    register: Arc<Register>,
    budget: Budget,
    accounts: Arc<dyn Accounts>,
    clock: Arc<dyn Clock>,
    surroundings: Surroundings,
    hardening: Hardening,
    started: Instant,
    kind: Kind,
    times: Mutex<Times>,
    broken: Mutex<BTreeSet<KeyId>>,
    /// The audit row whose head was signed last, or is being signed.
    head_signed: AtomicU64,
    refusal_lines: Sparingly<u32>,
    /// The daemon ends: whoever waits for a person, or for news, is answered now.
    stopping: CancellationToken,
}

impl App {
    /// Opens the state and starts to look after the tokens; the vault is closed. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], each naming what to mend.
    pub async fn start(config: Config, options: Options) -> Result<Arc<Self>, StartError> {
        let stacks = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        let memory = Locked::open(options.memory, stacks)?;
        let state = config.state.clone();
        let clock = Arc::clone(&options.clock);
        let opened = tokio::task::spawn_blocking(move || Store::open(&state, clock)).await;
        let store = opened.map_err(|_| StoreError::Closed)??;
        let kind = mark(&store, &config, options.kind).await?;
        let head_signed = store.read(|view| view.last_signed_head()).await?;
        let tokens = start_tokens(&config, &options, &store, &memory).await?;
        let (audited, lines) = (store.clone(), Sparingly::default());
        let prompts = Prompts::new(Arc::clone(&memory), move |intrusion| {
            let uid = intrusion.caller.uid;
            let why = match intrusion.request {
                Some(request) => format!("{:?} handle of request {request}", intrusion.status),
                None => format!("{:?} handle", intrusion.status),
            };
            if let Some(left_out) = lines.line(uid) {
                tracing::warn!(uid, why, left_out, "a secret was refused");
            }
            let foreign = intrusion.status == crate::secret::Status::Foreign;
            audited.secret_refused(uid, if foreign { "SECRET_FOREIGN" } else { "SECRET_UNKNOWN" }, &why);
        });
        let policy = config.policy(options.surroundings.uid);
        let vault = Arc::new(Vault::new(memory));
        let seat = |slot: &Arc<TokenSlot>| Seat::new(&slot.entry.name, Box::new(slot.handle.clone()));
        let road = Road {
            store: store.clone(),
            vault: Arc::clone(&vault),
            tokens: tokens.iter().map(|(name, slot)| (name.clone(), seat(slot))).collect(),
            policy: policy.clone(),
            clock: Arc::clone(&options.clock),
            remembered: Arc::default(),
            token_wait: TOKEN_WAIT,
        };
        let app = Self {
            policy,
            vault,
            road,
            register: Register::new(options.caps),
            budget: Budget::default(),
            accounts: options.accounts,
            started: options.clock.now(),
            clock: options.clock,
            surroundings: options.surroundings,
            hardening: options.hardening,
            times: Mutex::default(),
            broken: Mutex::default(),
            head_signed: AtomicU64::new(head_signed),
            refusal_lines: Sparingly::default(),
            stopping: CancellationToken::new(),
            config,
            store,
            tokens,
            prompts,
            kind,
        };
        app.record(Event::Start { version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
        Ok(Arc::new(app))
    }

    /// Serves a socket until `stop` is done, then locks the vault and lets requests under way end.
    ///
    /// # Errors
    /// [`StartError::Server`] when the server fails by itself.
    pub async fn serve(
        self: &Arc<Self>,
        listener: tokio::net::UnixListener,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), StartError> {
        let (to_grpc, from_door) = mpsc::channel(HANDOVER);
        let door = Door {
            peers: Directory::new(Arc::clone(self) as Arc<dyn Peers>),
            register: Arc::clone(&self.register),
            prompts: Arc::clone(&self.prompts),
        };
        let accepting = tokio::spawn(door.accept(listener, to_grpc));
        let closing = tokio::spawn(Arc::clone(self).close_in_time());
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let server = crate::rpc::serve(Arc::clone(self), ReceiverStream::new(from_door), async {
            // Either way the server has to end.
            drop(stopped.await);
        });
        let mut server = std::pin::pin!(server);
        let ended = tokio::select! {
            ended = &mut server => Some(ended),
            () = stop => None,
        };
        self.stopping.cancel();
        accepting.abort();
        closing.abort();
        self.lock(self.own_uid(), LockReason::Stopping).await;
        let result = match ended {
            Some(ended) => ended,
            None => {
                let _ended_already = stopping.send(());
                // Those who do not end in time are cut off when the process ends.
                tokio::time::timeout(DRAIN, server).await.unwrap_or(Ok(()))
            }
        };
        self.end().await;
        Ok(result?)
    }

    /// Writes the last row and closes the state.
    pub async fn end(&self) {
        if let Err(error) = self.record(Event::Stop {}).await {
            tracing::error!(%error, "the end could not be recorded");
        }
        self.store.close().await;
    }

    /// Closes the vault when it has been idle, or open, for as long as it may be.
    async fn close_in_time(self: Arc<Self>) {
        let mut tick = tokio::time::interval(LOCK_CHECK);
        loop {
            tick.tick().await;
            let due = self.times().due(self.config.locking);
            if let Some(reason) = due {
                self.lock(self.own_uid(), reason).await;
            }
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn road(&self) -> &Road {
        &self.road
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    pub(crate) fn prompts(&self) -> &Arc<Prompts> {
        &self.prompts
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    pub(crate) fn hardening(&self) -> &Hardening {
        &self.hardening
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn own_uid(&self) -> u32 {
        self.surroundings.uid
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Arc<TokenSlot>> {
        self.tokens.values()
    }

    pub(crate) fn token(&self, name: &str) -> Result<&Arc<TokenSlot>, UnlockError> {
        self.tokens.get(name).ok_or_else(|| UnlockError::NoSuchToken(name.to_owned()))
    }

    /// The wall-clock time after `span`, for people to see.
    pub(crate) fn deadline_unix_ms(&self, span: Duration) -> i64 {
        self.clock.unix_ms().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// Writes one row and waits for it.
    pub(crate) async fn record(&self, event: Event) -> Result<(), StoreError> {
        self.store.write(move |tx: &Tx<'_>| tx.append(&event).map(|_| ())).await
    }

    /// Writes one row with the next group.
    pub(crate) fn record_behind(&self, event: Event) {
        self.store.write_behind("an audit row", move |tx| -> Result<(), StoreError> {
            tx.append(&event).map(|_| ())
        });
    }

    /// Done when the daemon ends.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Refusals in the log, by uid.
    pub(crate) fn refusal_lines(&self) -> &Sparingly<u32> {
        &self.refusal_lines
    }

    pub(crate) fn head_signed(&self) -> &AtomicU64 {
        &self.head_signed
    }

    /// Keys that the vault could not load, for `status`.
    pub(crate) fn broken_keys(&self) -> Vec<KeyId> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    pub(crate) fn note_broken(&self, ids: BTreeSet<KeyId>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = ids;
    }
}

impl Peers for App {
    fn peer(&self, uid: u32, gid: u32) -> Peer {
        let account = self.accounts.uid(uid);
        let groups = account.as_ref().map(|account| self.accounts.groups_of(account)).unwrap_or_default();
        let caller = Caller { uid, gid, groups, name: account.map(|account| account.name) };
        Peer { admitted: self.policy.admits(&caller), caller }
    }
}

/// A dev state stays one for ever; a real one never becomes one.
async fn mark(store: &Store, config: &Config, kind: Kind) -> Result<Kind, StartError> {
    let (dev, used) = store
        .read(|view| Ok::<_, StoreError>((view.setting(Setting::Dev)?.is_some(), view.way_count()? > 0)))
        .await?;
    match (kind, dev) {
        (_, true) => Ok(Kind::Dev),
        (Kind::Real, false) => Ok(Kind::Real),
        (Kind::Dev, false) if used => Err(StartError::NotDev(config.state.clone())),
        (Kind::Dev, false) => {
            store.write(|tx: &Tx<'_>| tx.set_setting(Setting::Dev, "made by touchmarkd run --dev")).await?;
            Ok(Kind::Dev)
        }
    }
}

async fn start_tokens(
    config: &Config,
    options: &Options,
    store: &Store,
    memory: &Arc<Locked>,
) -> Result<BTreeMap<String, Arc<TokenSlot>>, StartError> {
    let mut tokens = BTreeMap::new();
    let (keys, ways) = store.read(|view| Ok::<_, StoreError>((view.keys()?, view.ways()?))).await?;
    for entry in &config.tokens {
        let mut token = entry.token();
        let name = entry.name.clone();
        let wanted = name.clone();
        if let Some(enrolled) = store.read(move |view| view.enrolled(&wanted)).await? {
            token.kind.pin_serial(&enrolled.serial);
        }
        let audited = store.clone();
        let orphans = Arc::new(move |orphan: &crate::token::Orphan| {
            let event = Event::Orphaned { token: orphan.token.clone(), what: orphan.what.to_string() };
            audited.write_behind("an orphan", move |tx| -> Result<(), StoreError> {
                tx.append(&event).map(|_| ())
            });
        });
        let (helper, limits) = (options.helper.clone(), options.limits.clone());
        let handle = TokenHandle::start_watched(token, Arc::clone(memory), helper, limits, orphans);
        let on_it = keys.iter().filter_map(|key| match &key.place {
            KeyPlace::Token { token, key, .. } if *token == name => Some(key),
            KeyPlace::Token { .. } | KeyPlace::Vault { .. } => None,
        });
        let opening = ways.iter().filter_map(|way| way.token.as_ref()).filter(|token| token.name == name);
        on_it.chain(opening.map(|token| &token.key)).for_each(|key| handle.enrol(key));
        let slot = TokenSlot {
            entry: entry.clone(),
            handle,
            turn: tokio::sync::Mutex::new(()),
            given: Mutex::default(),
        };
        tokens.insert(name, Arc::new(slot));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests;
