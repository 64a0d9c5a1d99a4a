//! Service `Tokens`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use touchmark_proto::convert::{self, FieldError};
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::token_event::Event as Out;

use super::desk::{Desk, Events, Question, stream};
use super::view::token_message;
use super::{Service, of_token};
use crate::app::{App, TokenSlot};
use crate::audit::Event;
use crate::policy::{Action, Decision};
use crate::rpc::call::Call;
use crate::store::keys::Place;
use crate::token::{Credential, MadeWhere, TokenError, TokenKind};
use crate::unlock::login::{present, serial};
use crate::vault::SecretBuf;

/// What to type where a YubiKey is ready and somebody wants it otherwise.
const ANOTHER_PIN: &str = "ykman piv access change-pin (or change-puk) sets another one; ykman piv reset makes it new \
                           and DESTROYS ALL KEYS on it";

#[tonic::async_trait]
impl v1::tokens_server::Tokens for Service {
    async fn list(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let call = Call::of(&request)?;
        let tokens =
            self.0.tokens_for(&call.caller).await.map_err(|error| self.0.refused(&call, error.into()))?;
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    type InitStream = Events<v1::TokenEvent>;

    async fn init(
        &self,
        request: Request<v1::InitTokenRequest>,
    ) -> Result<Response<Self::InitStream>, Status> {
        let call = Call::of(&request)?;
        let (app, name) = (Arc::clone(&self.0), request.into_inner().name);
        let wrap = |waiting| v1::TokenEvent { event: Some(Out::Waiting(waiting)) };
        Ok(stream(&self.0, call, wrap, move |desk| async move {
            let token = app.init_token(&name, &desk).await?;
            Ok(v1::TokenEvent { event: Some(Out::Token(token)) })
        }))
    }

    async fn attest(
        &self,
        request: Request<v1::AttestRequest>,
    ) -> Result<Response<v1::AttestResponse>, Status> {
        let call = Call::of(&request)?;
        let answer = self.0.attest(&call, request.into_inner()).await;
        answer.map(Response::new).map_err(|refusal| self.0.refused(&call, refusal))
    }
}

impl App {
    /// Makes an empty token ready. Whoever knows the security officer's PIN is the person that the policy wants.
    async fn init_token(self: &Arc<Self>, name: &str, desk: &Desk) -> Result<v1::Token, Refusal> {
        let slot = Arc::clone(self.token(name)?);
        if let Decision::Refused(why) = self.policy().may(&desk.call().caller, Action::Admin) {
            return Err(why.into());
        }
        let _turn = slot.turn.lock().await;
        let (so_pin, pin) = match &slot.entry.kind {
            TokenKind::Pkcs11 { label, .. } => {
                let intent = format!("make token {name} ready, with the label {}", label.escape_debug());
                let question = |kind| question(kind, name, &intent);
                let so_pin = desk.ask(question(v1::SecretKind::SoPin)).await?;
                (Some(so_pin), desk.ask(question(v1::SecretKind::NewPin)).await?)
            }
            TokenKind::Yubikey { .. } => ask_for_yubikey(&slot, desk).await?,
        };
        let _held = self.hold(name, &format!("make token {name} ready")).await?;
        let made = slot.handle.init_token(so_pin.as_ref(), &pin).await;
        made.map_err(|error| of_token(name, error))?;
        let serial = slot.handle.refresh().await.info.map(|info| info.serial).unwrap_or_default();
        let uid = desk.call().caller.uid;
        self.record(Event::TokenInitialised { uid, token: name.to_owned(), serial }).await?;
        Ok(token_message(&slot))
    }
}

impl App {
    /// Certificates of a token are for everybody who sees the token: they are asked for to be shown around.
    async fn attest(&self, call: &Call, request: v1::AttestRequest) -> Result<v1::AttestResponse, Refusal> {
        let (name, id) = if request.key_id.is_empty() {
            let slot = u8::try_from(request.slot).ok().filter(|slot| *slot != 0);
            let slot = slot.ok_or_else(|| FieldError::new("slot", "is no slot, and there is no key_id"))?;
            (request.token, vec![slot])
        } else {
            let wanted = convert::key_id("key_id", &request.key_id)?;
            let keys = self.store().read(|view| view.keys()).await?;
            let places = keys.into_iter().filter(|key| key.id == wanted).map(|key| key.place);
            let on_token = places.filter_map(|place| match place {
                Place::Token { token, key, .. } => Some((token, key.id)),
                Place::Vault { .. } => None,
            });
            let here = |found: &(String, Vec<u8>)| request.token.is_empty() || found.0 == request.token;
            on_token.into_iter().find(here).ok_or_else(|| {
                let why = format!("there is no key {wanted} on token `{}`", request.token);
                Refusal::new(Reason::KeyUnknown, why).hint("touchmark key ls")
            })?
        };
        let slot = self.token(&name)?;
        let _turn = slot.turn.lock().await;
        let told = slot.handle.attest(&id).await.map_err(|error| of_token(&name, error))?;
        tracing::debug!(id = %call.id, token = name, "attested");
        Ok(v1::AttestResponse {
            certificates: told.certificates,
            slot: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            made: match told.made {
                MadeWhere::Here => "here",
                MadeWhere::Elsewhere => "elsewhere",
            }
            .to_owned(),
            serial: slot.entry.kind.serial().unwrap_or_default(),
            token: name,
        })
    }
}

/// The secrets that a YubiKey is still missing: a new PUK, and a new PIN or the one that it has.
async fn ask_for_yubikey(slot: &TokenSlot, desk: &Desk) -> Result<(Option<SecretBuf>, SecretBuf), Refusal> {
    let name = &slot.entry.name;
    let state = present(slot, desk).await?;
    let factory = state.factory.clone().unwrap_or_default();
    if state.factory.is_none() {
        let firmware = state.info.map(|info| info.firmware).unwrap_or_default();
        let what = format!("be made ready safely: its firmware is {firmware}, and 5.3 is the first that can");
        return Err(of_token(name, TokenError::NotSupported { what }));
    }
    if factory.is_empty() {
        let why = format!("token {name} is ready: PIN, PUK and management key are not the factory's");
        return Err(Refusal::new(Reason::Conflict, why).hint(ANOTHER_PIN));
    }
    let intent = format!(
        "make token {name} ready: set {} of its own instead of the factory's; keys stay",
        Credential::words(&factory)
    );
    let question = |kind| Question {
        serial: serial(&state),
        tries_left: state.tries_left.filter(|_| kind == v1::SecretKind::Pin),
        ..question(kind, name, &intent)
    };
    let puk = match factory.contains(&Credential::Puk) {
        true => Some(desk.ask(question(v1::SecretKind::NewPuk)).await?),
        false => None,
    };
    let new_pin = factory.contains(&Credential::Pin);
    let pin = question(if new_pin { v1::SecretKind::NewPin } else { v1::SecretKind::Pin });
    Ok((puk, desk.ask(pin).await?))
}

fn question(kind: v1::SecretKind, token: &str, intent: &str) -> Question {
    let (token, intent) = (token.to_owned(), intent.to_owned());
    Question { kind, token, serial: String::new(), tries_left: None, intent }
}
