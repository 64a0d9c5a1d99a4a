//! Service `Tokens`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::token_event::Event as Out;

use super::desk::{Desk, Events, Question, stream};
use super::view::token_message;
use super::{Service, of_token};
use crate::app::App;
use crate::audit::Event;
use crate::policy::{Action, Decision};
use crate::rpc::call::Call;
use crate::token::{TokenError, TokenKind};

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
        let refusal =
            Refusal::new(Reason::TokenFailed, "no token gives attestation certificates in this version");
        Err(self.0.refused(&call, refusal))
    }
}

impl App {
    /// Makes an empty token ready. Whoever knows the security officer's PIN is the person that the policy wants.
    async fn init_token(self: &Arc<Self>, name: &str, desk: &Desk) -> Result<v1::Token, Refusal> {
        let slot = Arc::clone(self.token(name)?);
        if let Decision::Refused(why) = self.policy().may(&desk.call().caller, Action::Admin) {
            return Err(why.into());
        }
        let TokenKind::Pkcs11 { label, .. } = &slot.entry.kind else {
            let what =
                "be made ready by this version: set PIN, PUK and management key with Yubico's own tools";
            return Err(of_token(name, TokenError::NotSupported { what: what.to_owned() }));
        };
        let _turn = slot.turn.lock().await;
        let question = |kind| Question {
            kind,
            token: name.to_owned(),
            serial: String::new(),
            tries_left: None,
            intent: format!("make token {name} ready, with the label {}", label.escape_debug()),
        };
        let so_pin = desk.ask(question(v1::SecretKind::SoPin)).await?;
        let pin = desk.ask(question(v1::SecretKind::NewPin)).await?;
        slot.handle.init_token(&so_pin, &pin).await.map_err(|error| of_token(name, error))?;
        let serial = slot.handle.refresh().await.info.map(|info| info.serial).unwrap_or_default();
        let uid = desk.call().caller.uid;
        self.record(Event::TokenInitialised { uid, token: name.to_owned(), serial }).await?;
        Ok(token_message(&slot))
    }
}
