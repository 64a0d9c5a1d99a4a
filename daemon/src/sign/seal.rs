//! The seal of a ceremony's transcript: a root key signs its head once the daemon has read all of it. The chain holds, and
//! what it says that keys of this daemon signed is what this daemon gave out. Good for nothing else: the message has a
//! label of its own.
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use touchmark_proto::transcript::{self, Chain, Entry};
use touchmark_tuf::{
    CheckSignature as _, EcdsaSignature, Gun, KeyId, Method, PublicKey, RoleName, Sha256Digest, Version,
    shown,
};

use super::hand::{TokenKey, Touch};
use super::person::{Person, Purpose};
use super::promise::Promise;
use super::{INLINE_BYTES, Road, SignError, hand};
use crate::audit::{Event, Receipt, RequestId};
use crate::ledger::Slot;
use crate::policy::{Action, Caller, Decision};
use crate::store::View;
use crate::store::keys::{KeyRecord, Place};
use crate::vault::KeyRole;

/// Characters of a ceremony's title that are shown and recorded.
const TITLE: usize = 200;

/// A sealed transcript.
#[derive(Debug)]
pub struct Sealed {
    /// Where it ends.
    pub chain: Chain,
    /// The key's, over `Chain::seal_message()`.
    pub signature: EcdsaSignature,
    /// The audit row that records it.
    pub receipt: Receipt,
}

/// Seals a transcript with a root key on a token.
///
/// # Errors
/// As signing; `SignError::Field` for a text that is no transcript to be sealed by this key, `PolicyRefused` where it says
/// that a key signed what this daemon did not give out. The caller needs the action `init` or `rotate` in every repository
/// that it names.
pub async fn seal_transcript(
    road: &Road,
    caller: &Caller,
    request: RequestId,
    key_id: &KeyId,
    text: Vec<u8>,
    person: &dyn Person,
) -> Result<Sealed, SignError> {
    let sealed = seal(road, caller, request, key_id, text, person).await;
    if let Err(error) = &sealed {
        road.count_refusal(caller, error);
    }
    sealed
}

async fn seal(
    road: &Road,
    caller: &Caller,
    request: RequestId,
    key_id: &KeyId,
    text: Vec<u8>,
    person: &dyn Person,
) -> Result<Sealed, SignError> {
    let id = *key_id;
    let read = if text.len() <= INLINE_BYTES {
        Read::of(text, &id)?
    } else {
        let read = tokio::task::spawn_blocking(move || Read::of(text, &id));
        read.await.map_err(|error| SignError::Internal(error.to_string()))??
    };
    let guns: BTreeSet<&Gun> = read.signed.iter().map(|signed| &signed.slot.gun).collect();
    let either = [Action::Init, Action::Rotate];
    let each = guns.iter().map(|gun| road.policy.decide_either(caller, gun, either));
    let decision = each.fold(Decision::Allowed, Decision::and);
    if let Decision::Refused(why) = decision {
        return Err(why.into());
    }
    let (count, repositories) = (read.signed.len(), guns.len());
    let (key, read) = road
        .store
        .read(move |view| {
            let key = view.key(&id)?.ok_or(SignError::KeyUnknown { key: id })?;
            read.signed.iter().try_for_each(|signed| signed.was_given_out(view))?;
            Ok::<_, SignError>((key, read))
        })
        .await?;
    let Place::Token { token, key: on_token, .. } = &key.place else { return Err(no_root(&key)) };
    if key.role != KeyRole::Root {
        return Err(no_root(&key));
    }
    let title = shown(&read.title);
    let intent = format!("seal the transcript of the ceremony {title} ({count} signatures)");
    let mut held = road.seat(token)?.take(&intent).await?;
    let (uid, key_text, head) = (caller.uid, key.id.to_string(), hex(read.chain.head()));
    let event = Event::TranscriptIntent {
        request: request.to_string(),
        uid,
        key: key_text.clone(),
        title: read.title.clone(),
        plan: read.plan.to_string(),
        entries: read.chain.seq(),
        head: head.clone(),
        signatures: count,
        repositories,
    };
    road.store.write(move |tx| tx.append(&event)).await?;
    let failed_key = key_text.clone();
    let promise = Promise::new(&road.store, "a transcript that was not sealed", move |why| {
        Event::TranscriptNotSealed { request: request.to_string(), uid, key: failed_key.clone(), why }
    });
    let purpose = if decision == Decision::NeedsPin { Purpose::Presence } else { Purpose::Login };
    let message = read.chain.seal_message();
    let signed = async {
        hand::ready(road, caller, &mut held, purpose, person).await?;
        let wait = held.touch_wait(on_token).await.map_err(|error| SignError::of_token(token, error))?;
        let touch = wait.map(|wait| Touch { wait, touch: 1, of: 1 });
        hand::on_token(road, caller, &mut held, TokenKey { key: &key, touch }, &message, person).await
    };
    let signature = match signed.await {
        Ok(signature) => signature,
        Err(error) => {
            promise.broken(&error.to_string());
            return Err(error);
        }
    };
    let (key_id, entries) = (key.id, read.chain.seq());
    let outcome = Event::TranscriptSealed { request: request.to_string(), uid, key: key_text, entries, head };
    let receipt = promise
        .kept::<_, SignError>(move |tx| {
            tx.key_used(&key_id)?;
            Ok(tx.append(&outcome)?)
        })
        .await?;
    Ok(Sealed { chain: read.chain, signature, receipt })
}

/// What has to be known of a transcript.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) chain: Chain,
    title: String,
    plan: Sha256Digest,
    pub(crate) signed: Vec<Signed>,
}

/// What one entry says that a key signed.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) entry: u64,
    pub(crate) slot: Slot,
    pub(crate) digest: Sha256Digest,
    pub(crate) key: KeyId,
    pub(crate) signatures: Vec<(Method, Vec<u8>)>,
}

impl Read {
    pub(crate) fn of(text: Vec<u8>, key: &KeyId) -> Result<Self, SignError> {
        let text = String::from_utf8(text).map_err(|_| refused("it is no text"))?;
        let (entries, chain) = transcript::read(&text).map_err(|error| refused(&error.to_string()))?;
        let begun = entries.first().filter(|entry| entry.kind == "begun");
        let begun = begun.ok_or_else(|| refused("its first entry is not `begun`"))?;
        if text_of::<KeyId>(&begun.fields, "key") != Some(*key) {
            return Err(refused("it was begun for another key to seal it"));
        }
        if entries.iter().any(|entry| entry.kind == "sealed") {
            return Err(refused("it is sealed already"));
        }
        let title = begun.fields.get("title").and_then(Value::as_str).unwrap_or_default();
        let plan = text_of(&begun.fields, "plan").ok_or_else(|| refused("`begun` names no plan"))?;
        let signed = entries.iter().filter(|entry| entry.kind == "signed").map(Signed::of);
        let signed = signed.collect::<Result<Vec<_>, _>>()?;
        if !signed.iter().any(|signed| signed.key == *key) {
            return Err(refused("the key signed nothing in it"));
        }
        Ok(Self { chain, title: title.chars().take(TITLE).collect(), plan, signed })
    }
}

impl Signed {
    fn of(entry: &Entry) -> Result<Self, SignError> {
        let fields = &entry.fields;
        let read = || {
            let version = fields.get("version")?.as_u64()?;
            let slot = Slot {
                gun: text_of(fields, "repository")?,
                role: text_of(fields, "role")?,
                version: Version::try_from(version).ok()?,
            };
            let signatures = fields.get("signatures")?.as_array()?.iter().map(signature);
            Some(Self {
                entry: entry.seq,
                slot,
                digest: text_of(fields, "digest")?,
                key: text_of(fields, "key")?,
                signatures: signatures.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?,
            })
        };
        let signed = read().filter(|signed| signed.slot.role == RoleName::Root);
        signed.ok_or_else(|| refused(&format!("entry {} does not say what was signed", entry.seq)))
    }

    /// Sees that the daemon gave that out, where it has the key; where it still has the document, that the signatures
    /// are the key's.
    fn was_given_out(&self, view: &View<'_>) -> Result<(), SignError> {
        let Some(key) = view.key(&self.key)? else { return Ok(()) };
        let refused = |why: &str| {
            let Slot { gun, role, version } = &self.slot;
            let (entry, gun) = (self.entry, shown(gun.as_str()).to_string());
            let why = format!("entry {entry} of the transcript: {why} {role} version {version} of {gun}");
            Err(SignError::PolicyRefused { why })
        };
        if view.given_out(&self.slot)? != Some(self.digest) {
            return refused("this daemon gave out no such signature of");
        }
        let kept = view.kept_at(&self.slot.gun, &self.slot.role, self.slot.version)?;
        match kept.filter(|kept| kept.digest == self.digest) {
            Some(kept) if !self.verify(&key.public, &kept.signed) => {
                refused("a signature does not verify, of")
            }
            _ => Ok(()),
        }
    }

    fn verify(&self, key: &PublicKey, document: &[u8]) -> bool {
        let mut each = self.signatures.iter();
        each.all(|(method, bytes)| touchmark_tuf::Ring.check(key, *method, document, bytes))
    }
}

fn signature(written: &Value) -> Option<(Method, Vec<u8>)> {
    use base64::Engine as _;
    let method = Method::from_word(written.get("method")?.as_str()?)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(written.get("sig")?.as_str()?).ok()?;
    Some((method, bytes))
}

fn text_of<T: std::str::FromStr>(fields: &Map<String, Value>, name: &str) -> Option<T> {
    fields.get(name)?.as_str()?.parse().ok()
}

fn refused(why: &str) -> SignError {
    SignError::Field { field: "transcript", why: why.to_owned() }
}

fn no_root(key: &KeyRecord) -> SignError {
    SignError::Field { field: "key_id", why: format!("key {} is no root key on a token", key.id) }
}

fn hex(bytes: &[u8; 32]) -> String {
    Sha256Digest::from_bytes(*bytes).to_string()
}
