//! The messages between daemon and helper, opened to the fuzz targets. Not in a release: see the feature `doors`.
use std::path::Path;
use std::sync::Arc;

use touchmark_tuf::EcdsaSignature;

use super::fake::FakeProvider;
use super::handle::helper_process::receive;
use super::helper::{Server, read_request};
use super::message::{self, Answer, Reply};
use super::{TokenError, TokenKey};
use crate::vault::{Locked, SecretBuf};

/// What the daemon understood of an answer.
#[derive(Debug)]
pub struct Heard {
    /// The answer, written again.
    pub written: Vec<u8>,
    /// The keys in it.
    pub keys: Vec<TokenKey>,
    /// The signature in it.
    pub signature: Option<EcdsaSignature>,
    /// The secret beside it.
    pub secret: Option<SecretBuf>,
}

/// Reads the answer to request `number`, as the daemon does.
///
/// # Errors
/// In words.
pub async fn answer(mut bytes: &[u8], number: u32, locked: &Arc<Locked>) -> Result<Heard, String> {
    let (reply, secret) = receive(&mut bytes, number, locked).await.map_err(|error| error.to_string())?;
    let written = serde_json::to_vec(&reply).map_err(|error| error.to_string())?;
    let (keys, signature) = meaning(reply).map_err(|error| error.to_string())?;
    Ok(Heard { written, keys, signature, secret })
}

fn meaning(reply: Reply) -> Result<(Vec<TokenKey>, Option<EcdsaSignature>), TokenError> {
    Ok(match reply.result? {
        Answer::Done | Answer::Secret | Answer::Policy(_) | Answer::Attestation(_) => (Vec::new(), None),
        Answer::Key(key) => (vec![key.try_into()?], None),
        Answer::Keys(keys) => {
            (keys.into_iter().map(TryInto::try_into).collect::<Result<_, message::Malformed>>()?, None)
        }
        Answer::Signature(bytes) => (Vec::new(), Some(message::signature(&bytes)?)),
    })
}

/// Lets a helper with fake tokens (see [`super::fake`]) answer all requests in `bytes`. Gives its answers, and whether it
/// would go on.
#[must_use]
pub fn helper(mut bytes: &[u8], orders: &Path) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let requests = std::iter::from_fn(|| read_request(&mut bytes).ok().flatten());
    let served = Server::new(FakeProvider::new(orders.to_owned()), &mut out).run(requests);
    (out, served.is_ok())
}
