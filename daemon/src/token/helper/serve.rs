//! The thread that owns the token: takes one request, does it, answers it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Incoming;
use crate::token::frame::Header;
use crate::token::hex::Hex;
use crate::token::message::{self, Answer, Reply, Request, WireKeyRef};
use crate::token::secret::Secret;
use crate::token::{KeyRef, Presence, Provision, TokenError, TokenKind, TokenProvider, TokenState};

/// The token and the pipe back.
pub(in crate::token) struct Server<P, W> {
    provider: P,
    output: W,
    kind: Option<TokenKind>,
    token: Option<Box<dyn Provision>>,
    /// The key of the last request: decoding it costs as much as some tokens take to sign.
    recent: Option<(WireKeyRef, KeyRef)>,
}

/// What one request comes to: public answer, and the secret that goes with it.
type Outcome = Result<(Answer, Option<Secret>), TokenError>;

impl<P: TokenProvider, W: Write> Server<P, W> {
    /// A server without a token yet.
    pub(in crate::token) fn new(provider: P, output: W) -> Self {
        Self { provider, output, kind: None, token: None, recent: None }
    }

    /// Serves until there are no more requests.
    ///
    /// # Errors
    /// When nobody takes the answers, or after a panic, which leaves the token in an unknown state.
    pub(in crate::token) fn run(mut self, requests: impl Iterator<Item = Incoming>) -> std::io::Result<()> {
        for incoming in requests {
            let number = incoming.number;
            match catch_unwind(AssertUnwindSafe(|| self.one(incoming))) {
                Ok((reply, secret)) => self.answer(number, &reply, secret)?,
                Err(_) => {
                    let how = "the token's module or its glue panicked".to_owned();
                    let state = Some(TokenState::without_token(Presence::Failed(how.clone())));
                    let reply = Reply { result: Err(TokenError::HelperEnded { how }), state };
                    self.answer(number, &reply, None)?;
                    return Err(std::io::ErrorKind::Other.into());
                }
            }
        }
        Ok(())
    }

    fn one(&mut self, incoming: Incoming) -> (Reply, Option<Secret>) {
        let says_state = !matches!(
            incoming.request,
            Request::Sign { .. }
                | Request::Unwrap { .. }
                | Request::Keys
                | Request::Policy { .. }
                | Request::Attest { .. }
        );
        let outcome = self.dispatch(incoming);
        let state = match &outcome {
            Err(error) if error.loses_token() => {
                self.token = None;
                Some(state_without(error))
            }
            Err(_) => self.state(),
            Ok(_) if says_state => self.state(),
            Ok(_) => None,
        };
        match outcome {
            Ok((answer, secret)) => (Reply { result: Ok(answer), state }, secret),
            Err(error) => (Reply { result: Err(error), state }, None),
        }
    }

    fn dispatch(&mut self, incoming: Incoming) -> Outcome {
        let Incoming { request, secrets: [first, second], .. } = incoming;
        let secret = |given: Option<Secret>| given.ok_or_else(|| misuse("a secret is missing"));
        let done = |()| (Answer::Done, None);
        match request {
            Request::Open { kind } => {
                self.token = None;
                self.kind = Some(kind);
                self.open().map(|_| (Answer::Done, None))
            }
            Request::Probe => self.probe().map(done),
            Request::InitToken => {
                self.token = None;
                let kind = self.kind.as_ref().ok_or_else(|| misuse("no token was named"))?;
                self.provider.init_token(kind, first.as_ref(), &secret(second)?)?;
                self.open().map(|_| (Answer::Done, None))
            }
            Request::Keys => {
                let keys = self.open()?.keys()?;
                let keys = keys.iter().map(TryInto::try_into).collect::<Result<_, message::Malformed>>()?;
                Ok((Answer::Keys(keys), None))
            }
            Request::Login { enrolled } => {
                let keys: Vec<KeyRef> =
                    enrolled.into_iter().map(TryInto::try_into).collect::<Result<_, message::Malformed>>()?;
                self.open()?.login(&secret(first)?, &keys).map(done)
            }
            Request::Logout => {
                if let Some(token) = &mut self.token {
                    token.logout();
                }
                Ok((Answer::Done, None))
            }
            Request::Policy { key } => {
                let key = self.key(key)?;
                Ok((Answer::Policy(self.open()?.policy(&key)?), None))
            }
            Request::Sign { key, digest } => {
                let (key, digest) = (self.key(key)?, message::digest(&digest)?);
                let signature = self.open()?.sign(&key, &digest)?;
                Ok((Answer::Signature(Hex(signature.as_bytes().to_vec())), None))
            }
            Request::Unwrap { key, boxed } => {
                let (key, boxed) = (self.key(key)?, boxed.try_into()?);
                let opened = self.open()?.unwrap(&key, &boxed)?;
                Ok((Answer::Secret, Some(opened)))
            }
            Request::GenerateRoot { label, policy } => one_key(&self.open()?.generate_root(&label, policy)?),
            Request::GenerateUnwrap => one_key(&self.open()?.generate_unwrap()?),
            Request::Import { label, public, policy } => {
                let public = message::public_key(&public)?;
                one_key(&self.open()?.import(&label, &secret(first)?, &public, policy)?)
            }
            Request::Attest { id } => Ok((Answer::Attestation(self.open()?.attest(&id.0)?), None)),
            Request::Delete { key } => {
                let key = self.key(key)?;
                self.open()?.delete(&key).map(done)
            }
        }
    }

    /// The token, opened where it is not.
    fn open(&mut self) -> Result<&mut Box<dyn Provision>, TokenError> {
        let opened = match self.token.take() {
            Some(token) => token,
            None => {
                let kind = self.kind.as_mut().ok_or_else(|| misuse("no token was named"))?;
                let token = self.provider.open(kind)?;
                kind.pin_serial(&token.info().serial);
                token
            }
        };
        Ok(self.token.insert(opened))
    }

    fn key(&mut self, wire: WireKeyRef) -> Result<KeyRef, TokenError> {
        if let Some((known, key)) = &self.recent
            && *known == wire
        {
            return Ok(key.clone());
        }
        let key = KeyRef::try_from(wire.clone())?;
        self.recent = Some((wire, key.clone()));
        Ok(key)
    }

    /// A token that does not answer is let go and looked for anew, once.
    fn probe(&mut self) -> Result<(), TokenError> {
        if !self.open()?.is_alive() {
            self.token = None;
            self.open()?;
        }
        Ok(())
    }

    fn state(&self) -> Option<TokenState> {
        let token = self.token.as_ref()?;
        let state = TokenState::present(token.info().clone(), token.pin_state(), token.logged_in());
        Some(TokenState { tries_left: token.tries_left(), factory: token.factory(), ..state })
    }

    fn answer(&mut self, number: u32, reply: &Reply, secret: Option<Secret>) -> std::io::Result<()> {
        let body = serde_json::to_vec(reply)?;
        let secrets = [secret.as_ref().map_or(0, |secret| secret.expose().len()), 0];
        let header = Header { number, body: body.len(), secrets }.encode().map_err(std::io::Error::other)?;
        let mut message = Vec::with_capacity(header.len() + body.len());
        message.extend_from_slice(&header);
        message.extend_from_slice(&body);
        self.output.write_all(&message)?;
        if let Some(secret) = secret {
            self.output.write_all(secret.expose())?;
        }
        self.output.flush()
    }
}

fn one_key(key: &crate::token::TokenKey) -> Outcome {
    Ok((Answer::Key(key.try_into()?), None))
}

fn state_without(error: &TokenError) -> TokenState {
    TokenState::without_token(match error {
        TokenError::NotPresent => Presence::Absent,
        TokenError::Mismatch { .. } => Presence::Mismatch(error.to_string()),
        _ => Presence::Failed(error.to_string()),
    })
}

fn misuse(what: &str) -> TokenError {
    TokenError::Failed { call: "helper".to_owned(), code: what.to_owned() }
}
