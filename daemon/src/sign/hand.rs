//! Makes the signatures: vault keys on locked stacks, token keys through their helper, with the person where one is
//! needed. Each is verified with the public key before anybody sees it.
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use touchmark_tuf::{
    CheckSignature as _, EcdsaSignature, KeyId, Method, PublicKey, Ring, RoleName, Sha256Digest, Signature,
    verify_p256,
};

use super::person::{Person, Purpose, Question, SecretKind, Waiting};
use super::plan::{Plan, Planned, Signer};
use super::seat::{Finger, Held};
use super::{Road, SignError};
use crate::audit::Event;
use crate::policy::{Caller, Decision};
use crate::store::StoreError;
use crate::store::keys::{KeyRecord, Place};
use crate::store::ways::WayRecord;
use crate::token::TokenError;
use crate::vault::{Vault, VaultError, WayAsk};

/// Signing more than this at once is left to a thread that may block.
const INLINE_BYTES: usize = 64 * 1024;
/// And so are more signatures than this: each takes some 90 microseconds.
const INLINE_SIGNATURES: usize = 4;

/// The tokens that a request has.
pub(super) struct Hands<'r> {
    tokens: BTreeMap<String, Held<'r>>,
}

/// Takes every token that the plan needs, or none; and sees that the vault is open where it is needed.
pub(super) async fn hold<'r>(
    road: &'r Road,
    plan: &Plan,
    decision: &Decision,
) -> Result<Hands<'r>, SignError> {
    if plan.needs_vault() {
        vault_open(road).await?;
    }
    let mut tokens = BTreeMap::new();
    for name in plan.tokens() {
        let (seat, intent) = (road.seat(name)?, plan.intent());
        let nobody = *decision == Decision::Allowed && seat.needs_nobody(plan.keys_on(name));
        let held = if nobody { seat.join(&intent)? } else { seat.take(&intent).await? };
        tokens.insert(name.to_owned(), held);
    }
    Ok(Hands { tokens })
}

/// Sees that the vault is open.
pub(super) async fn vault_open(road: &Road) -> Result<(), SignError> {
    if road.vault.is_open() {
        return Ok(());
    }
    let ways = road.store.read(|view| view.way_count()).await?;
    Err(if ways == 0 { SignError::VaultMissing } else { SignError::VaultLocked })
}

impl Hands<'_> {
    /// Whether a person may have to be there.
    pub(super) fn take_time(&self, decision: &Decision) -> bool {
        self.tokens.values().any(Held::is_alone) || *decision == Decision::NeedsPin
    }

    /// How long each signature by a token may wait for a finger. Asked of all before the first, so that the person hears
    /// how many touches there will be.
    async fn touches<'p>(
        &self,
        plan: &'p Plan,
    ) -> Result<BTreeMap<(&'p RoleName, KeyId), Option<Duration>>, SignError> {
        let mut touches = BTreeMap::new();
        for document in &plan.documents {
            for signer in &document.signers {
                if let (Some(name), Some(key)) = (signer.token(), signer.on_token()) {
                    let held = self.tokens.get(name).ok_or_else(|| unheld(name))?;
                    let wait = held.touch_wait(key).await;
                    let wait = wait.map_err(|error| SignError::of_token(name, error))?;
                    touches.insert((&document.exact.role, signer.key.id), wait);
                }
            }
        }
        Ok(touches)
    }

    /// Makes the signatures of every document, in order.
    pub(super) async fn sign(
        &mut self,
        road: &Road,
        caller: &Caller,
        plan: &Arc<Plan>,
        decision: &Decision,
        person: &dyn Person,
    ) -> Result<Vec<Vec<Signature>>, SignError> {
        let mut purpose = if *decision == Decision::NeedsPin { Purpose::Presence } else { Purpose::Login };
        for held in self.tokens.values_mut() {
            ready(road, caller, held, purpose, person).await?;
            // One answer proves that somebody is there.
            purpose = Purpose::Login;
        }
        if purpose == Purpose::Presence {
            presence(road, caller, &plan.intent(), person).await?;
        }
        let touches = self.touches(plan).await?;
        let of = u32::try_from(touches.values().flatten().count()).unwrap_or(u32::MAX);
        let mut touch = 0;
        let mut signatures: Vec<Vec<Signature>> = vec![Vec::new(); plan.documents.len()];
        for (document, made) in plan.documents.iter().zip(&mut signatures) {
            for signer in &document.signers {
                if let Some(name) = signer.token() {
                    let held = self.tokens.get_mut(name).ok_or_else(|| unheld(name))?;
                    let wait = touches.get(&(&document.exact.role, signer.key.id)).copied().flatten();
                    touch += u32::from(wait.is_some());
                    let touch = wait.map(|wait| Touch { wait, touch, of });
                    let by = TokenKey { key: &signer.key, touch };
                    let signature = on_token(road, caller, held, by, &document.exact.bytes, person).await?;
                    made.extend(listed(signer, &signature));
                }
            }
        }
        if plan.needs_vault() {
            let in_vault = in_vault(&road.vault, plan).await?;
            signatures.iter_mut().zip(in_vault).for_each(|(made, more)| made.extend(more));
        }
        Ok(signatures)
    }
}

/// A key on a token, and what its use asks of a finger.
#[derive(Clone, Copy)]
pub(super) struct TokenKey<'k> {
    pub(super) key: &'k KeyRecord,
    pub(super) touch: Option<Touch>,
}

/// A touch that a signature may wait for.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    /// How long.
    pub(super) wait: Duration,
    /// Which one of the request, from 1 on, and of how many.
    pub(super) touch: u32,
    pub(super) of: u32,
}

/// Waits for a token and unlocks it.
pub(super) async fn ready(
    road: &Road,
    caller: &Caller,
    held: &mut Held<'_>,
    purpose: Purpose,
    person: &dyn Person,
) -> Result<(), SignError> {
    held.alone_if_needed()?;
    let state = held.present(person, road.token_wait).await?;
    let Some(answer) = held.unlock(&state, purpose, person).await? else { return Ok(()) };
    let (uid, token, serial) = (caller.uid, held.name().to_owned(), answer.serial);
    let accepted = answer.result.is_ok();
    let event = match &answer.result {
        Ok(()) => Event::TokenUnlocked { uid, token: token.clone(), serial: serial.clone() },
        Err(TokenError::WrongPin { tries_left }) => {
            Event::PinRefused { uid, token: token.clone(), serial: serial.clone(), tries_left: *tries_left }
        }
        Err(error) => return Err(SignError::of_token(&token, error.clone())),
    };
    road.store.write_behind::<StoreError, _>("a token's answer to a PIN", move |tx| {
        if accepted {
            tx.pin_accepted(&serial, None)?;
        }
        tx.append(&event).map(drop)
    });
    answer.result.map_err(|error| SignError::of_token(&token, error))
}

/// One signature by a token, verified.
pub(super) async fn on_token(
    road: &Road,
    caller: &Caller,
    held: &mut Held<'_>,
    TokenKey { key, touch }: TokenKey<'_>,
    message: &[u8],
    person: &dyn Person,
) -> Result<EcdsaSignature, SignError> {
    let Place::Token { key: reference, .. } = &key.place else {
        return Err(SignError::Internal(format!("key {} is on no token", key.id)));
    };
    let once = async |held: &Held<'_>| {
        let finger = touch.map(|touch| Finger {
            deadline_unix_ms: until(road, touch.wait),
            wait: touch.wait,
            touch: touch.touch,
            of: touch.of,
        });
        let _blinking = finger.map(|finger| held.wants(finger, person));
        held.sign(reference, Sha256Digest::of(message)).await
    };
    let signature = match once(held).await {
        // The session was lost since we looked, and its login with it. One more question, one more try.
        Err(TokenError::NotLoggedIn) => {
            ready(road, caller, held, Purpose::Again, person).await?;
            once(held).await
        }
        other => other,
    };
    let signature = signature.map_err(|error| SignError::of_token(held.name(), error))?;
    if !road.remembered.checker().check(&key.public, Method::Ecdsa, message, signature.as_bytes()) {
        return Err(SignError::of_token(held.name(), TokenError::WrongSignature));
    }
    Ok(signature)
}

/// The wall-clock time after `wait`, for people to see.
fn until(road: &Road, wait: Duration) -> i64 {
    road.clock.unix_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// The signatures of the vault's keys, each verified.
async fn in_vault(vault: &Arc<Vault>, plan: &Arc<Plan>) -> Result<Vec<Vec<Signature>>, SignError> {
    let count: usize = plan.documents.iter().map(|document| document.signers.len()).sum();
    if plan.size() <= INLINE_BYTES && count <= INLINE_SIGNATURES {
        return all_in_vault(vault, &plan.documents);
    }
    // As many at once as there are locked stacks.
    let hands = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = plan.documents.len().div_ceil(hands);
    let tasks: Vec<_> = (0..hands)
        .map(|hand| {
            let (vault, plan) = (Arc::clone(vault), Arc::clone(plan));
            tokio::task::spawn_blocking(move || {
                all_in_vault(&vault, plan.documents.chunks(share).nth(hand).unwrap_or_default())
            })
        })
        .collect();
    let mut signatures = Vec::with_capacity(plan.documents.len());
    for task in tasks {
        signatures.extend(task.await.map_err(|error| SignError::Internal(error.to_string()))??);
    }
    Ok(signatures)
}

fn all_in_vault(vault: &Vault, documents: &[Planned]) -> Result<Vec<Vec<Signature>>, SignError> {
    let each = documents.iter().map(|document| {
        let mut made = Vec::with_capacity(document.signers.len());
        for signer in document.signers.iter().filter(|signer| signer.token().is_none()) {
            match made_before(document, signer) {
                Some(before) => made.extend(before),
                None => {
                    made.extend(listed(signer, &one_in_vault(vault, &signer.key, &document.exact.bytes)?))
                }
            }
        }
        Ok(made)
    });
    each.collect()
}

/// The signatures that this key gave to the same bytes. They are given out again: a snapshot lists the file that they
/// are in.
fn made_before(document: &Planned, signer: &Signer) -> Option<Vec<Signature>> {
    let of = |id: &KeyId| document.earlier.iter().find(|signature| signature.key_id == *id);
    let before: Vec<Signature> = signer.listed_as.iter().map(|id| of(id).cloned()).collect::<Option<_>>()?;
    let verify =
        |made: &Signature| Ring.check(&signer.key.public, made.method, &document.exact.bytes, &made.bytes);
    before.iter().all(verify).then_some(before)
}

fn one_in_vault(vault: &Vault, key: &KeyRecord, message: &[u8]) -> Result<EcdsaSignature, SignError> {
    let signature = match (vault.sign(&key.id, message), &key.place) {
        (Err(VaultError::KeyUnknown(_)), Place::Vault { sealed }) => vault
            .load(key.id, &key.binding(), &key.public, sealed)
            .and_then(|()| vault.sign(&key.id, message)),
        (signed, _) => signed,
    };
    let signature = signature.map_err(SignError::of_vault)?;
    if !verifies(&key.public, message, &signature) {
        return Err(SignError::Internal(format!("a signature by key {} does not verify", key.id)));
    }
    Ok(signature)
}

/// Asks for proof that a person is there, by a token that opens the vault, or by its passphrase.
async fn presence(road: &Road, caller: &Caller, intent: &str, person: &dyn Person) -> Result<(), SignError> {
    let ways = road.store.read(|view| view.ways()).await?;
    let token =
        ways.iter().filter_map(|way| way.token.as_ref()).find(|token| road.tokens.contains_key(&token.name));
    if let Some(token) = token {
        let mut held = road.seat(&token.name)?.take(intent).await?;
        return ready(road, caller, &mut held, Purpose::Presence, person).await;
    }
    match ways.into_iter().find(|way| way.way.ask() == WayAsk::Passphrase) {
        Some(way) => passphrase(road, way, intent, person).await,
        None => Err(SignError::VaultMissing),
    }
}

async fn passphrase(road: &Road, way: WayRecord, intent: &str, person: &dyn Person) -> Result<(), SignError> {
    let question = Question {
        kind: SecretKind::Passphrase,
        purpose: Purpose::Presence,
        token: String::new(),
        serial: String::new(),
        tries_left: None,
        intent: intent.to_owned(),
        max_length: 255,
    };
    let what = "the vault".to_owned();
    let answer = person.ask(question).await.map_err(|why| SignError::PinRequired { what, why })?;
    person.tell(Waiting::Working { what: intent.to_owned() });
    vault_open(road).await?;
    let vault = Arc::clone(&road.vault);
    tokio::task::spawn_blocking(move || vault.open(&way.way, &answer))
        .await
        .map_err(|error| SignError::Internal(error.to_string()))?
        .map_err(SignError::of_vault)
}

/// One signature under every id by which the role lists the key.
fn listed(signer: &Signer, signature: &EcdsaSignature) -> Vec<Signature> {
    signer.listed_as.iter().map(|id| Signature::ecdsa(*id, signature)).collect()
}

fn verifies(public: &PublicKey, message: &[u8], signature: &EcdsaSignature) -> bool {
    public.p256_point().is_some_and(|point| verify_p256(&point, message, signature))
}

fn unheld(token: &str) -> SignError {
    SignError::Internal(format!("the token {token} is not held"))
}
