//! Opening and closing: a token by its PIN, the vault by one of its ways. Joins vault, tokens, store and the
//! person at the desk; each of them knows nothing of the others.

pub(crate) mod backup;
mod given;
pub(crate) mod login;
mod ways;

use std::sync::Arc;

use touchmark_tuf::PublicKey;

use crate::app::App;
use crate::audit::Event;
use crate::policy::NotAllowed;
use crate::rpc::desk::{Desk, DeskError};
use crate::sign::SignError;
use crate::store::keys::{Inserted, KeyRecord, Origin, Place};
use crate::store::ways::WayRecord;
use crate::store::{StoreError, Tx};
use crate::token::{TokenError, TokenKey, Usage};
use crate::vault::{Binding, KeyRole, KeyToLoad, SecretBuf, VaultError};

pub(crate) use given::Given;

/// Why something did not open or close.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnlockError {
    #[error("there is no vault yet")]
    NoVault,
    #[error("there is a vault already")]
    VaultExists,
    #[error("this is the last way to open the vault; add another one first")]
    LastWay,
    #[error("{0} does not open the vault")]
    NoSuchWay(String),
    #[error("no token `{0}` is configured")]
    NoSuchToken(String),
    #[error("token `{name}` has serial number {found}; the vault was wrapped to {wanted}")]
    WrongToken { name: String, found: String, wanted: String },
    #[error("the passphrase does not open the vault")]
    WrongPassphrase,
    #[error("token `{0}` did not open what was just wrapped to it, so it was not added")]
    NotWrapped(String),
    #[error("the PIN of token `{name}` could not be read from {source_name}: {why}")]
    PinFile { name: String, source_name: String, why: String },
    #[error("the backup cannot be used: {0}")]
    Backup(String),
    #[error(transparent)]
    Busy(SignError),
    #[error("token `{name}`: {error}")]
    Token { name: String, error: TokenError },
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("a task of the daemon broke off")]
    Task,
}

/// Why the vault closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockReason {
    Asked,
    Idle,
    Longest,
    Stopping,
}

impl LockReason {
    const fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Idle => "idle",
            Self::Longest => "open for as long as it may be",
            Self::Stopping => "the daemon stops",
        }
    }
}

impl App {
    /// Opens the vault: by `token`, by passphrase for `None`-with-`Passphrase` ways, or by whichever way there is.
    pub(crate) async fn unlock(
        self: &Arc<Self>,
        token: Option<&str>,
        desk: &Desk,
    ) -> Result<(), UnlockError> {
        if let Some(name) = token {
            self.token(name)?;
        }
        let ways = self.store().read(|view| view.ways()).await?;
        if ways.is_empty() && token.is_none() {
            return Err(UnlockError::NoVault);
        }
        if self.vault().is_open() {
            return match token {
                Some(name) => self.unlock_token(name, desk).await,
                None => Ok(()),
            };
        }
        let Some(way) = self.choose_way(ways, token).await else {
            // A token that only holds root keys.
            return match token {
                Some(name) => self.unlock_token(name, desk).await,
                None => Err(UnlockError::NoVault),
            };
        };
        let uid = desk.call().caller.uid;
        let (method, name) = (way.way.method().to_owned(), way_name(&way));
        match self.open_by(way, desk).await {
            Ok(()) => {}
            Err(error) => {
                let why = error.to_string();
                let event = Event::VaultNotOpened { uid, method, token: name, why };
                self.record_behind(event);
                return Err(error);
            }
        }
        let keys = self.load_keys().await?;
        self.record(Event::VaultOpened { uid, method, token: name.clone(), keys }).await?;
        self.note_opened();
        if !name.is_empty() {
            // What the module remembers of the unwrapped key ends with its process.
            self.token(&name)?.handle.stop_helper().await;
        }
        self.ensure_audit_key(uid).await?;
        tracing::info!(keys, "the vault is open");
        Ok(())
    }

    /// Opens a token for the keys on it. Those that sign and are not known yet are known from then on.
    async fn unlock_token(self: &Arc<Self>, name: &str, desk: &Desk) -> Result<(), UnlockError> {
        self.login(name, desk, "use the keys on it").await?;
        let on_it = self.token(name)?.handle.keys().await;
        let on_it = on_it.map_err(|error| UnlockError::Token { name: name.to_owned(), error })?;
        let known = self.store().read(|view| view.keys()).await?;
        for key in on_it.into_iter().filter(|key| key.usage == Usage::Sign) {
            if !known.iter().any(|known| known.id == key.public.canonical_id()) {
                self.keep_token_key(name, key, Origin::Found, desk.call().caller.uid).await?;
            }
        }
        Ok(())
    }

    /// Keeps a root key that is on a token.
    pub(crate) async fn keep_token_key(
        &self,
        token: &str,
        key: TokenKey,
        origin: Origin,
        uid: u32,
    ) -> Result<KeyRecord, UnlockError> {
        let handle = &self.token(token)?.handle;
        let state = handle.state();
        handle.enrol(&key.key_ref());
        let record = KeyRecord {
            id: key.public.canonical_id(),
            role: KeyRole::Root,
            guns: Vec::new(),
            public: key.public.clone(),
            place: Place::Token {
                token: token.to_owned(),
                serial: state.info.map(|info| info.serial).unwrap_or_default(),
                key: key.key_ref(),
                label: key.label,
            },
            created: self.clock().now(),
            last_used: None,
            origin,
        };
        let (kept, event) = (record.clone(), key_event(&record, uid));
        let job = move |tx: &Tx<'_>| {
            if tx.insert_key(&kept)? == Inserted::New {
                tx.append(&event)?;
            }
            Ok::<_, StoreError>(())
        };
        self.store().write(job).await?;
        Ok(record)
    }

    /// Closes the vault at once. The record is signed before, while there is a key to sign it with; a store that
    /// does not answer delays nothing.
    pub(crate) async fn lock(&self, uid: u32, reason: LockReason) {
        if self.vault().is_open() {
            let record = async {
                self.record(Event::VaultLocked { uid, why: reason.words().to_owned() }).await?;
                self.sign_head().await
            };
            match tokio::time::timeout(std::time::Duration::from_secs(1), record).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the lock could not be recorded"),
                Err(_) => tracing::error!("the lock was not recorded in time"),
            }
        }
        self.vault().lock();
        for token in self.tokens() {
            token.handle.stop_helper().await;
        }
        self.note_locked();
        tracing::info!(why = reason.words(), "the vault is locked");
    }

    /// Loads every sealed key; answers how many there are now.
    async fn load_keys(self: &Arc<Self>) -> Result<usize, UnlockError> {
        let records = self.store().read(|view| view.keys()).await?;
        let app = Arc::clone(self);
        blocking(move || {
            let bindings: Vec<Binding> = records.iter().map(KeyRecord::binding).collect();
            let keys: Vec<KeyToLoad<'_>> = records
                .iter()
                .zip(&bindings)
                .filter_map(|(record, binding)| match &record.place {
                    Place::Vault { sealed } => {
                        Some(KeyToLoad { id: record.id, binding, public: &record.public, sealed })
                    }
                    Place::Token { .. } => None,
                })
                .collect();
            let failed = app.vault().load_many(&keys)?;
            for (id, error) in &failed {
                tracing::error!(%id, %error, "a key of the vault could not be loaded");
            }
            app.note_broken(failed.iter().map(|(id, _)| *id).collect());
            Ok(keys.len().saturating_sub(failed.len()))
        })
        .await
    }

    /// The vault's own key that signs the audit's head; made with the first opening.
    async fn ensure_audit_key(self: &Arc<Self>, uid: u32) -> Result<(), UnlockError> {
        if self.store().read(|view| view.key_for(&KeyRole::Audit)).await?.is_some() {
            return Ok(());
        }
        let binding = Binding::new(KeyRole::Audit, Vec::new());
        self.create_vault_key(binding, uid).await.map(|_| ())
    }

    /// Makes a key in the vault and keeps it.
    pub(crate) async fn create_vault_key(
        self: &Arc<Self>,
        binding: Binding,
        uid: u32,
    ) -> Result<KeyRecord, UnlockError> {
        let (app, bound) = (Arc::clone(self), binding.clone());
        let (public, sealed) = blocking(move || Ok(app.vault().generate(&bound)?)).await?;
        self.keep_vault_key(&binding, public, sealed, Origin::Generated, uid).await
    }

    /// Keeps a sealed key; when that fails, it is forgotten.
    pub(crate) async fn keep_vault_key(
        &self,
        binding: &Binding,
        public: PublicKey,
        sealed: crate::vault::Sealed,
        origin: Origin,
        uid: u32,
    ) -> Result<KeyRecord, UnlockError> {
        let record = KeyRecord {
            id: public.canonical_id(),
            role: binding.role().clone(),
            guns: binding.guns().to_vec(),
            public,
            place: Place::Vault { sealed },
            created: self.clock().now(),
            last_used: None,
            origin,
        };
        let (kept, event) = (record.clone(), key_event(&record, uid));
        let written = self
            .store()
            .write(move |tx: &Tx<'_>| {
                tx.insert_key(&kept)?;
                tx.append(&event)
            })
            .await;
        match written {
            Ok::<_, StoreError>(_) => Ok(record),
            Err(error) => {
                self.vault().forget(&record.id);
                Err(error.into())
            }
        }
    }
}

/// The row that says that a key came to be.
pub(crate) fn key_event(record: &KeyRecord, uid: u32) -> Event {
    let key = record.id.to_string();
    let role = record.role.to_string();
    let guns = record.guns.iter().map(ToString::to_string).collect();
    let place = place_words(&record.place);
    match record.origin {
        Origin::Generated => Event::KeyCreated { uid, key, role, guns, place },
        Origin::Imported => Event::KeyImported { uid, key, role, guns, place },
        Origin::Found => Event::KeyFound { uid, key, role, place },
    }
}

/// Where a key is, in words.
pub(crate) fn place_words(place: &Place) -> String {
    match place {
        Place::Vault { .. } => "vault".to_owned(),
        Place::Token { token, serial, .. } => format!("token {token} ({serial})"),
    }
}

/// The token of a way; empty for a passphrase.
fn way_name(way: &WayRecord) -> String {
    way.token.as_ref().map(|token| token.name.clone()).unwrap_or_default()
}

/// Runs what takes long or waits for a lock away from the async workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UnlockError> + Send + 'static,
) -> Result<T, UnlockError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| UnlockError::Task)?
}

/// A secret answer and what it is checked with, away from the async workers.
pub(crate) async fn open_vault(
    app: &Arc<App>,
    way: crate::vault::Way,
    answer: SecretBuf,
) -> Result<(), UnlockError> {
    let app = Arc::clone(app);
    blocking(move || Ok(app.vault().open(&way, &answer)?)).await
}
