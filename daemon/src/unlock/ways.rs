//! The ways to open the vault: by a token, by a passphrase; one more, one fewer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use touchmark_proto::v1::SecretKind;
use touchmark_proto::v1::Working;
use touchmark_proto::v1::waiting::State;

use super::login::serial;
use super::{UnlockError, blocking, open_vault, way_name};
use crate::app::App;
use crate::audit::Event;
use crate::rpc::desk::{Desk, Question};
use crate::sign::seat::Finger;
use crate::store::ways::{WayRecord, WayToken};
use crate::store::{StoreError, Tx};
use crate::token::{Presence, TokenBox, TokenKey, UnwrapMethod, Usage};
use crate::vault::{VaultError, Way, WayAsk, WrapTo};

const INTENT: &str = "open the vault";
/// How long a token may take to say that it is there, where there is another way.
const LOOK_TIME: Duration = Duration::from_secs(5);

impl App {
    /// The way to try: the named token's, else a token that is there, else the passphrase, else any.
    pub(super) async fn choose_way(&self, ways: Vec<WayRecord>, token: Option<&str>) -> Option<WayRecord> {
        let of = |way: &WayRecord| way.token.as_ref().map(|token| token.name.clone());
        if let Some(name) = token {
            return ways.into_iter().find(|way| of(way).as_deref() == Some(name));
        }
        if ways.len() > 1 {
            // Nobody has looked since the vault was closed: its tokens' helpers ended with that.
            let slots = ways.iter().filter_map(|way| self.token(&of(way)?).ok());
            let looks = slots.map(|slot| tokio::time::timeout(LOOK_TIME, slot.handle.refresh()));
            drop(futures_util::future::join_all(looks).await);
        }
        let rank = |way: &WayRecord| match of(way)
            .map(|name| self.token(&name).map(|slot| slot.handle.state().presence))
        {
            Some(Ok(Presence::Present)) => 0,
            Some(Ok(Presence::Opening)) => 1,
            None => 2,
            Some(Ok(_)) => 3,
            Some(Err(_)) => 4,
        };
        ways.into_iter().min_by_key(rank)
    }

    /// Opens the vault by one way.
    pub(super) async fn open_by(self: &Arc<Self>, record: WayRecord, desk: &Desk) -> Result<(), UnlockError> {
        let Some(token) = &record.token else {
            let answer = desk.ask(passphrase(SecretKind::Passphrase, INTENT)).await?;
            desk.tell(State::Working(Working { what: "opening the vault".to_owned() }));
            return open_vault(self, record.way, answer).await.map_err(passphrase_error);
        };
        let open = || self.open_by_token(token, &record.way, desk, INTENT);
        self.with_login(&token.name, desk, INTENT, open).await
    }

    /// `intent`: what for, in words, for who has to touch the token.
    async fn open_by_token(
        self: &Arc<Self>,
        token: &WayToken,
        way: &Way,
        desk: &Desk,
        intent: &str,
    ) -> Result<(), UnlockError> {
        let slot = self.token(&token.name)?;
        let found = serial(&slot.handle.state());
        if found != token.serial {
            let (name, wanted) = (token.name.clone(), token.serial.clone());
            return Err(UnlockError::WrongToken { name, found, wanted });
        }
        let boxed = match way.ask() {
            WayAsk::Ecdh { ephemeral_point } => TokenBox::Ecdh { peer: ephemeral_point },
            WayAsk::RsaOaep { ciphertext } => TokenBox::RsaOaep { ciphertext },
            WayAsk::Passphrase => return Err(UnlockError::NoSuchWay(format!("token `{}`", token.name))),
        };
        let refuse = |error| UnlockError::Token { name: token.name.clone(), error };
        let held = match slot.handle.touch_wait(&token.key).await.map_err(refuse)? {
            Some(wait) => Some((self.hold(&token.name, intent).await?, wait)),
            None => None,
        };
        let blinking = held.as_ref().map(|(held, wait)| {
            held.wants(
                Finger { deadline_unix_ms: self.deadline_unix_ms(*wait), wait: *wait, touch: 1, of: 1 },
                desk,
            )
        });
        let answer = slot.handle.unwrap(&token.key, &boxed).await.map_err(refuse)?;
        drop(blinking);
        open_vault(self, way.clone(), answer).await
    }

    /// Makes the vault and its first way; `None`: by passphrase. It is open then.
    pub(crate) async fn make_vault(
        self: &Arc<Self>,
        token: Option<&str>,
        desk: &Desk,
    ) -> Result<(), UnlockError> {
        if self.store().read(|view| view.way_count()).await? > 0 {
            return Err(UnlockError::VaultExists);
        }
        let passphrase = match token {
            Some(name) => {
                self.wants_ready(name)?;
                self.login(name, desk, "make the vault").await?;
                None
            }
            None => Some(desk.ask(passphrase(SecretKind::NewPassphrase, "make the vault")).await?),
        };
        let app = Arc::clone(self);
        blocking(move || Ok(app.vault().create()?)).await?;
        let made = match (token, passphrase) {
            (Some(name), _) => self.wrap_to_token(name, desk, "make the vault").await,
            (None, Some(passphrase)) => self.wrap_to_passphrase(passphrase).await,
            (None, None) => Err(UnlockError::NoVault),
        };
        let uid = desk.call().caller.uid;
        let kept = match made {
            Ok(record) => {
                self.keep_way(record, move |method, token, serial| Event::VaultCreated {
                    uid,
                    method,
                    token,
                    serial,
                })
                .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            // A vault key that nothing opens must not seal anything.
            self.vault().lock();
            return Err(error);
        }
        self.note_opened();
        self.ensure_audit_key(uid).await
    }

    /// One more token that opens the vault, which must be open.
    pub(crate) async fn add_token_way(self: &Arc<Self>, name: &str, desk: &Desk) -> Result<(), UnlockError> {
        if !self.vault().is_open() {
            return Err(VaultError::Locked.into());
        }
        self.wants_ready(name)?;
        let intent = "add a way to open the vault";
        self.login(name, desk, intent).await?;
        let record = self.wrap_to_token(name, desk, intent).await?;
        let uid = desk.call().caller.uid;
        self.keep_way(record, move |method, token, serial| Event::VaultWayAdded {
            uid,
            method,
            token,
            serial,
        })
        .await
    }

    /// Adds or changes the passphrase way; the vault must be open.
    pub(crate) async fn set_passphrase_way(self: &Arc<Self>, desk: &Desk) -> Result<(), UnlockError> {
        if !self.vault().is_open() {
            return Err(VaultError::Locked.into());
        }
        let secret = desk.ask(passphrase(SecretKind::NewPassphrase, "add a way to open the vault")).await?;
        let record = self.wrap_to_passphrase(secret).await?;
        let uid = desk.call().caller.uid;
        self.keep_way(record, move |method, token, serial| Event::VaultWayAdded {
            uid,
            method,
            token,
            serial,
        })
        .await
    }

    /// One way fewer; never the last one. `None`: the passphrase.
    pub(crate) async fn remove_way(&self, token: Option<&str>, uid: u32) -> Result<(), UnlockError> {
        let token = token.map(str::to_owned);
        let job = move |tx: &Tx<'_>| {
            let ways = tx.ways()?;
            let mine = ways.iter().find(|way| way.token.as_ref().map(|t| &t.name) == token.as_ref());
            let Some(way) = mine else {
                let words = token.map_or_else(|| "a passphrase".to_owned(), |name| format!("token `{name}`"));
                return Err(UnlockError::NoSuchWay(words));
            };
            if ways.len() < 2 {
                return Err(UnlockError::LastWay);
            }
            let (method, name) = (way.way.method().to_owned(), way_name(way));
            tx.remove_way(token.as_deref())?;
            tx.append(&Event::VaultWayRemoved { uid, method, token: name })?;
            Ok(())
        };
        self.store().write(job).await
    }

    /// Wraps the vault key to a token, and proves that the token opens it before anybody relies on it.
    async fn wrap_to_token(
        self: &Arc<Self>,
        name: &str,
        desk: &Desk,
        intent: &str,
    ) -> Result<WayRecord, UnlockError> {
        let slot = self.token(name)?;
        let refuse = |error| UnlockError::Token { name: name.to_owned(), error };
        let key = slot.handle.keys().await.map_err(refuse)?.into_iter().find_map(opens);
        let (key, method) = match key {
            Some(found) => found,
            None => {
                let make = || slot.handle.generate_unwrap().map_err(refuse);
                self.with_login(name, desk, intent, make).await?
            }
        };
        let (app, public) = (Arc::clone(self), key.public.clone());
        let way = blocking(move || {
            let spki = public.spki().map_err(|_| VaultError::TokenKey("its public key has no SPKI form"))?;
            let point = public.p256_point();
            let to = match (method, point) {
                (UnwrapMethod::Ecdh, Some(token_point)) => WrapTo::Ecdh { token_point },
                (UnwrapMethod::Ecdh, None) => return Err(VaultError::TokenKey("it is no P-256 key").into()),
                (UnwrapMethod::RsaOaep, _) => WrapTo::RsaOaep { spki: &spki },
            };
            Ok(app.vault().wrap(to)?)
        })
        .await?;
        let token =
            WayToken { name: name.to_owned(), serial: serial(&slot.handle.state()), key: key.key_ref() };
        let open = || self.open_by_token(&token, &way, desk, intent);
        self.with_login(name, desk, intent, open).await.map_err(|error| match error {
            UnlockError::Vault(VaultError::Wrong) => UnlockError::NotWrapped(name.to_owned()),
            other => other,
        })?;
        Ok(WayRecord { token: Some(token), way, created: self.clock().now() })
    }

    async fn wrap_to_passphrase(
        self: &Arc<Self>,
        secret: crate::vault::SecretBuf,
    ) -> Result<WayRecord, UnlockError> {
        let app = Arc::clone(self);
        let way = blocking(move || Ok(app.vault().wrap(WrapTo::Passphrase(&secret))?)).await?;
        Ok(WayRecord { token: None, way, created: self.clock().now() })
    }

    async fn keep_way(
        &self,
        record: WayRecord,
        event: impl FnOnce(String, String, String) -> Event,
    ) -> Result<(), UnlockError> {
        let serial = record.token.as_ref().map(|token| token.serial.clone()).unwrap_or_default();
        let event = event(record.way.method().to_owned(), way_name(&record), serial);
        if let Some(token) = &record.token {
            self.token(&token.name)?.handle.enrol(&token.key);
        }
        let job = move |tx: &Tx<'_>| {
            tx.put_way(&record)?;
            tx.append(&event)
        };
        self.store().write(job).await.map(|_| ()).map_err(|error: StoreError| error.into())
    }
}

/// A key on a token that can open boxes.
fn opens(key: TokenKey) -> Option<(TokenKey, UnwrapMethod)> {
    match key.usage {
        Usage::Unwrap(method) => Some((key, method)),
        Usage::Sign => None,
    }
}

pub(super) fn passphrase_error(error: UnlockError) -> UnlockError {
    match error {
        UnlockError::Vault(VaultError::Wrong) => UnlockError::WrongPassphrase,
        other => other,
    }
}

fn passphrase(kind: SecretKind, intent: &str) -> Question {
    Question {
        kind,
        token: String::new(),
        serial: String::new(),
        tries_left: None,
        intent: intent.to_owned(),
    }
}
