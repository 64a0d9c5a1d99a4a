//! Service `Keys`.

use std::sync::Arc;

use futures_util::TryFutureExt as _;
use tonic::{Request, Response, Status};
use touchmark_proto::convert::{self, FieldError};
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::key_event::Event as Out;
use touchmark_proto::v1::root_certificate_event::Event as CertificateOut;
use touchmark_tuf::{DelegationName, Gun, KeyId};

use super::Service;
use super::call::Call;
use super::desk::{Desk, Events, Failure, Question, stream};
use super::signer::desk_gone;
use super::view::{certificate_message, key_message};
use crate::app::App;
use crate::audit::Event;
use crate::policy::{Action, Caller, Decision, Need};
use crate::sign::certificate;
use crate::store::keys::{KeyRecord, Origin, Place};
use crate::store::{StoreError, Tx};
use crate::token::{KeyPolicy, PinPolicy, TokenKind, TouchPolicy};
use crate::unlock::{UnlockError, blocking, place_words};
use crate::vault::{Binding, KeyRole, SecretBuf, VaultError, Wanted, key_file_needs_passphrase, take_plain};

#[tonic::async_trait]
impl v1::keys_server::Keys for Service {
    async fn list(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let call = Call::of(&request)?;
        let keys =
            self.0.keys_for(&call.caller).await.map_err(|error| self.0.refused(&call, error.into()))?;
        Ok(Response::new(v1::ListKeysResponse { keys }))
    }

    type CreateStream = Events<v1::KeyEvent>;

    async fn create(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<Self::CreateStream>, Status> {
        let call = Call::of(&request)?;
        let (app, request) = (Arc::clone(&self.0), request.into_inner());
        Ok(stream(&self.0, call, waiting, move |desk| async move {
            app.key_answer(&app.create_key(request, &desk).await?)
        }))
    }

    type ImportStream = Events<v1::KeyEvent>;

    async fn import(
        &self,
        request: Request<v1::ImportKeyRequest>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let call = Call::of(&request)?;
        let (app, request) = (Arc::clone(&self.0), request.into_inner());
        Ok(stream(&self.0, call, waiting, move |desk| async move {
            app.key_answer(&app.import_key(request, &desk).await?)
        }))
    }

    type RemoveStream = Events<v1::KeyEvent>;

    async fn remove(
        &self,
        request: Request<v1::RemoveKeyRequest>,
    ) -> Result<Response<Self::RemoveStream>, Status> {
        let call = Call::of(&request)?;
        let (app, id) = (Arc::clone(&self.0), request.into_inner().id);
        Ok(stream(&self.0, call, waiting, move |desk| async move {
            app.key_answer(&app.remove_key(&id, &desk).await?)
        }))
    }

    type IssueRootCertificateStream = Events<v1::RootCertificateEvent>;

    async fn issue_root_certificate(
        &self,
        request: Request<v1::IssueRootCertificateRequest>,
    ) -> Result<Response<Self::IssueRootCertificateStream>, Status> {
        let call = Call::of(&request)?;
        let (app, request) = (Arc::clone(&self.0), request.into_inner());
        let wrap = |waiting| v1::RootCertificateEvent { event: Some(CertificateOut::Waiting(waiting)) };
        Ok(stream(&self.0, call, wrap, move |desk| async move {
            let key = convert::key_id("key_id", &request.key_id).map_err(Refusal::from)?;
            let gun = convert::gun("gun", &request.gun).map_err(Refusal::from)?;
            let wanted = if request.renew { certificate::Wanted::Renewed } else { certificate::Wanted::Kept };
            let call = desk.call();
            let issuing = certificate::issue_root_certificate(
                app.road(),
                &call.caller,
                call.id,
                &key,
                &gun,
                wanted,
                &desk,
            );
            // Dropping the road's future gives the request up.
            let issued = tokio::select! {
                issued = issuing => issued?,
                () = desk.withdrawn() => return Err(desk_gone()),
            };
            let certificate = certificate_message(&gun, &issued);
            Ok(v1::RootCertificateEvent { event: Some(CertificateOut::Certificate(certificate)) })
        }))
    }
}

impl App {
    async fn create_key(
        self: &Arc<Self>,
        request: v1::CreateKeyRequest,
        desk: &Desk,
    ) -> Result<KeyRecord, Refusal> {
        let Some(role) = key_role(request.role(), &request.delegation)? else {
            return Err(FieldError::new("role", "which kind of key?").into());
        };
        if role == KeyRole::Root {
            return self.create_root(&request, desk).await;
        }
        if !request.token.is_empty() {
            return Err(FieldError::new("token", "only root keys are made on tokens").into());
        }
        let gun = convert::gun("repository", &request.repository)?;
        let decision = self.key_decision(&desk.call().caller, std::slice::from_ref(&gun));
        self.confirm(
            decision,
            None,
            desk,
            &format!("make a {role} key for {}", touchmark_tuf::shown(gun.as_str())),
        )
        .await?;
        self.note_used();
        Ok(self.create_vault_key(Binding::new(role, vec![gun]), desk.call().caller.uid).await?)
    }

    async fn create_root(
        self: &Arc<Self>,
        request: &v1::CreateKeyRequest,
        desk: &Desk,
    ) -> Result<KeyRecord, Refusal> {
        let name = &request.token;
        let slot = Arc::clone(self.token(name)?);
        let policy = key_policy(&slot.entry.kind, &request.pin_policy, &request.touch_policy)?;
        let label = if request.label.is_empty() { "touchmark root" } else { &request.label };
        let intent = format!("make a root key on token {name}");
        self.wants_ready(name)?;
        let decision = self.policy().may(&desk.call().caller, Action::Keys);
        self.confirm(decision, Some(name), desk, &intent).await?;
        let refuse = |error| UnlockError::Token { name: name.clone(), error };
        let make = || slot.handle.generate_root_with(label, policy).map_err(refuse);
        let made = self.with_login(name, desk, &intent, make).await?;
        Ok(self.keep_token_key(name, made, Origin::Generated, desk.call().caller.uid).await?)
    }

    async fn import_key(
        self: &Arc<Self>,
        request: v1::ImportKeyRequest,
        desk: &Desk,
    ) -> Result<KeyRecord, Refusal> {
        let role = key_role(request.role(), &request.delegation)?;
        let guns = request.repositories.iter().map(|gun| convert::gun("repositories", gun));
        let guns: Vec<Gun> = guns.collect::<Result<_, _>>()?;
        if let Decision::Refused(why) = self.key_decision(&desk.call().caller, &guns) {
            return Err(why.into());
        }
        let question = |kind, intent: &str| Question {
            kind,
            token: String::new(),
            serial: String::new(),
            tries_left: None,
            intent: intent.to_owned(),
        };
        let file = desk.ask(question(v1::SecretKind::KeyFile, "import the key file")).await?;
        let header = key_file_needs_passphrase(&file)?;
        let is_root =
            role == Some(KeyRole::Root) || (role.is_none() && header.role.as_deref() == Some("root"));
        if !is_root && !self.vault().is_open() {
            return Err(VaultError::Locked.into());
        }
        let named = header.gun.as_deref().and_then(|gun| gun.parse().ok());
        let wanted_guns: Vec<Gun> = if guns.is_empty() { named.into_iter().collect() } else { guns.clone() };
        let decision = self.key_decision(&desk.call().caller, &wanted_guns);
        let token = Some(request.token.as_str()).filter(|token| !token.is_empty());
        self.confirm(decision, token, desk, "import a key").await?;
        let passphrase = match header.encrypted {
            true => Some(desk.ask(question(v1::SecretKind::Passphrase, "open the key file")).await?),
            false => None,
        };
        if is_root {
            let Some(token) = token else { return Err(VaultError::RootKey.into()) };
            return self.import_root(token, &request, file, passphrase, desk).await;
        }
        if !(request.touch_policy.is_empty() && request.pin_policy.is_empty()) {
            return Err(FieldError::new("touch_policy", "only root keys on YubiKeys have policies").into());
        }
        if token.is_some() {
            return Err(FieldError::new("token", "only root keys go onto tokens").into());
        }
        let app = Arc::clone(self);
        let wanted = Wanted { role, guns };
        let imported = blocking(move || Ok(app.vault().import(&file, passphrase.as_ref(), wanted)?)).await?;
        let uid = desk.call().caller.uid;
        Ok(self
            .keep_vault_key(&imported.binding, imported.public, imported.sealed, Origin::Imported, uid)
            .await?)
    }

    async fn import_root(
        self: &Arc<Self>,
        token: &str,
        request: &v1::ImportKeyRequest,
        file: SecretBuf,
        passphrase: Option<SecretBuf>,
        desk: &Desk,
    ) -> Result<KeyRecord, Refusal> {
        let slot = Arc::clone(self.token(token)?);
        let policy = key_policy(&slot.entry.kind, &request.pin_policy, &request.touch_policy)?;
        self.wants_ready(token)?;
        let intent = format!("put a root key onto token {token}");
        self.login(token, desk, &intent).await?;
        let memory = Arc::clone(self.vault().memory());
        let plain = blocking(move || Ok(take_plain(&memory, &file, passphrase.as_ref())?)).await?;
        let label = if request.label.is_empty() { "touchmark root" } else { &request.label };
        let refuse = |error| UnlockError::Token { name: token.to_owned(), error };
        let put = || slot.handle.import_with(label, &plain.scalar, &plain.public, policy).map_err(refuse);
        let made = self.with_login(token, desk, &intent, put).await?;
        Ok(self.keep_token_key(token, made, Origin::Imported, desk.call().caller.uid).await?)
    }

    /// Forgets a key. A root key stays on its token; only what the daemon knows of it goes.
    async fn remove_key(self: &Arc<Self>, id: &str, desk: &Desk) -> Result<KeyRecord, Refusal> {
        let caller = &desk.call().caller;
        let id = convert::key_id("id", id)?;
        let unknown = || unknown(id);
        let record = self.store().read(move |view| view.key(&id)).await?;
        let record = record.filter(|key| key.role != KeyRole::Audit).ok_or_else(unknown)?;
        if !record.guns.is_empty() && !record.guns.iter().any(|gun| self.policy().sees(caller, gun)) {
            return Err(unknown());
        }
        let decision = self.key_decision(caller, &record.guns);
        self.confirm(decision, None, desk, &format!("remove key {id}")).await?;
        let event = Event::KeyRemoved {
            uid: caller.uid,
            key: id.to_string(),
            role: record.role.to_string(),
            guns: record.guns.iter().map(ToString::to_string).collect(),
            place: place_words(&record.place),
        };
        let job = move |tx: &Tx<'_>| {
            if tx.remove_key(&id)? {
                tx.append(&event)?;
            }
            Ok::<_, StoreError>(())
        };
        self.store().write(job).await?;
        self.vault().forget(&id);
        if let Place::Token { token, key, .. } = &record.place
            && let Ok(slot) = self.token(token)
        {
            slot.handle.disenrol(key);
        }
        Ok(record)
    }

    fn key_answer(&self, record: &KeyRecord) -> Result<v1::KeyEvent, Failure> {
        let mut key = key_message(record)
            .ok_or_else(|| Refusal::new(Reason::Internal, "the key that was made is none for callers"))?;
        (key.touch_policy, key.pin_policy) = self.policy_words(&record.place);
        Ok(v1::KeyEvent { event: Some(Out::Key(key)) })
    }

    /// Whether keys may be made or removed for these repositories, all of them.
    fn key_decision(&self, caller: &Caller, guns: &[Gun]) -> Decision {
        if guns.is_empty() {
            return self.policy().may(caller, Action::Keys);
        }
        self.policy().decide_each(caller, guns, &[Need::of(Action::Keys)])
    }
}

fn unknown(id: KeyId) -> Refusal {
    Refusal::new(Reason::KeyUnknown, format!("there is no key {id}")).hint("touchmark key ls")
}

fn key_role(role: v1::Role, delegation: &str) -> Result<Option<KeyRole>, FieldError> {
    if role != v1::Role::Delegation && !delegation.is_empty() {
        return Err(FieldError::new("delegation", "goes with the role of a delegation only"));
    }
    Ok(match role {
        v1::Role::Unspecified => None,
        v1::Role::Root => Some(KeyRole::Root),
        v1::Role::Targets => Some(KeyRole::Targets),
        v1::Role::Snapshot => Some(KeyRole::Snapshot),
        v1::Role::Delegation => {
            let name =
                DelegationName::new(delegation).map_err(|error| FieldError::new("delegation", error))?;
            Some(KeyRole::Delegation(name))
        }
    })
}

fn waiting(waiting: v1::Waiting) -> v1::KeyEvent {
    v1::KeyEvent { event: Some(Out::Waiting(waiting)) }
}

/// What a new root key is to ask of a person; nothing said: the PIN once and no touch.
fn key_policy(kind: &TokenKind, pin: &str, touch: &str) -> Result<KeyPolicy, FieldError> {
    if matches!(kind, TokenKind::Pkcs11 { .. }) && !(pin.is_empty() && touch.is_empty()) {
        return Err(FieldError::new("touch_policy", "PKCS#11 tokens have no touch and PIN policies to set"));
    }
    Ok(KeyPolicy {
        pin: match pin {
            "" | "once" => PinPolicy::Once,
            "always" => PinPolicy::Always,
            "never" => PinPolicy::Never,
            _ => return Err(FieldError::new("pin_policy", "is not once, always or never")),
        },
        touch: match touch {
            "" | "never" => TouchPolicy::Never,
            "always" => TouchPolicy::Always,
            "cached" => TouchPolicy::Cached,
            _ => return Err(FieldError::new("touch_policy", "is not always, cached or never")),
        },
    })
}
