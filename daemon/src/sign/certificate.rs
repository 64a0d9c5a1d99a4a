//! The certificate by which a root document lists a root key. The daemon builds it itself from a repository's name, and
//! signs no certificate that comes from outside. One per key and repository, kept and returned again until it is renewed.
use std::time::Duration;

use touchmark_tuf::{Gun, KeyId, RootCertificate, Sha256Digest, ToBeSigned, to_be_signed};

use super::hand::{TokenKey, Touch};
use super::person::{Person, Purpose};
use super::promise::Promise;
use super::{Road, SignError, hand};
use crate::audit::{Event, RequestId};
use crate::policy::{Action, Caller, Decision};
use crate::store::keys::{KeyRecord, Place};
use crate::store::{StoreError, Tx};
use crate::vault::KeyRole;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As Notary's: 3650 days.
const LIFE: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Which certificate is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one that is kept; a first one where there is none.
    Kept,
    /// A new one in any case, kept from then on.
    Renewed,
}

/// The certificate of a root key for a repository; made, with the token, where there is none yet or a new one is wanted.
///
/// # Errors
/// As signing; the caller needs the action `init` or `rotate`. Either will do: a certificate says nothing until a root
/// lists it, and the signature of that root needs the one of the two that fits.
pub async fn issue_root_certificate(
    road: &Road,
    caller: &Caller,
    request: RequestId,
    key_id: &KeyId,
    gun: &Gun,
    wanted: Wanted,
    person: &dyn Person,
) -> Result<RootCertificate, SignError> {
    let issued = issue(road, caller, request, key_id, gun, wanted, person).await;
    if let Err(error) = &issued {
        road.count_refusal(caller, error);
    }
    issued
}

async fn issue(
    road: &Road,
    caller: &Caller,
    request: RequestId,
    key_id: &KeyId,
    gun: &Gun,
    wanted: Wanted,
    person: &dyn Person,
) -> Result<RootCertificate, SignError> {
    let decision = road.policy.decide_either(caller, gun, [Action::Init, Action::Rotate]);
    if let Decision::Refused(why) = decision {
        return Err(why.into());
    }
    let (id, name) = (*key_id, gun.clone());
    let (key, known) = road
        .store
        .read(move |view| Ok::<_, StoreError>((view.key(&id)?, view.certificate(&id, &name)?)))
        .await?;
    let key = key.ok_or(SignError::KeyUnknown { key: *key_id })?;
    let replaces = match (known, wanted) {
        (Some(certificate), Wanted::Kept) => return Ok(certificate),
        (Some(old), Wanted::Renewed) => Some(old.public_key().id()),
        (None, _) => None,
    };
    let Place::Token { token, key: on_token, .. } = &key.place else { return Err(no_root(&key)) };
    if key.role != KeyRole::Root {
        return Err(no_root(&key));
    }
    let a_new = if replaces.is_some() { "a new root certificate" } else { "the root certificate" };
    let intent = format!("make {a_new} of {}", touchmark_tuf::shown(gun.as_str()));
    let mut held = road.seat(token)?.take(&intent).await?;
    let template = template(road, &key, gun)?;
    let intent = Event::CertificateIntent {
        request: request.to_string(),
        uid: caller.uid,
        gun: gun.to_string(),
        key: key.id.to_string(),
        tbs_digest: Sha256Digest::of(template.bytes()).to_string(),
    };
    road.store.write(move |tx| tx.append(&intent)).await?;
    let (uid, repository, key_text) = (caller.uid, gun.to_string(), key.id.to_string());
    let promise = Promise::new(&road.store, "a certificate that was not made", move |why| {
        let (request, gun, key) = (request.to_string(), repository.clone(), key_text.clone());
        Event::CertificateFailed { request, uid, gun, key, why }
    });
    let purpose = if decision == Decision::NeedsPin { Purpose::Presence } else { Purpose::Login };
    let signed = async {
        hand::ready(road, caller, &mut held, purpose, person).await?;
        let wait = held.touch_wait(on_token).await.map_err(|error| SignError::of_token(token, error))?;
        let touch = wait.map(|wait| Touch { wait, touch: 1, of: 1 });
        let by = TokenKey { key: &key, touch };
        hand::on_token(road, caller, &mut held, by, template.bytes(), person).await
    };
    let signed = signed.await.and_then(|signature| {
        template.finish(&signature).map_err(|error| SignError::Internal(error.to_string()))
    });
    match signed {
        Ok(certificate) => {
            let (id, gun) = (key.id, gun.clone());
            promise.kept(move |tx| keep(tx, request, uid, &id, &gun, &certificate, replaces)).await
        }
        Err(error) => {
            promise.broken(&error.to_string());
            Err(error)
        }
    }
}

fn template(road: &Road, key: &KeyRecord, gun: &Gun) -> Result<ToBeSigned, SignError> {
    let internal = |error: &dyn std::fmt::Display| SignError::Internal(error.to_string());
    let mut serial = [0_u8; 16];
    getrandom::fill(&mut serial).map_err(|error| internal(&error))?;
    // The first bit is cleared; what is left must not be zero.
    if let Some(last) = serial.last_mut() {
        *last |= 1;
    }
    let point = key.public.p256_point().ok_or_else(|| no_root(key))?;
    let now = road.clock.now();
    to_be_signed(gun, &point, serial, now.minus(DAY), now.plus(LIFE)).map_err(|error| internal(&error))
}

/// Keeps a certificate, instead of the one that it `replaces`.
fn keep(
    tx: &Tx<'_>,
    request: RequestId,
    uid: u32,
    key: &KeyId,
    gun: &Gun,
    certificate: &RootCertificate,
    replaces: Option<KeyId>,
) -> Result<RootCertificate, SignError> {
    if replaces.is_some() {
        tx.forget_certificate(key, gun)?;
    }
    let certificate = tx.keep_certificate(key, gun, certificate)?;
    tx.key_used(key)?;
    tx.append(&Event::Certificate {
        request: request.to_string(),
        uid,
        gun: gun.to_string(),
        key: key.to_string(),
        listed_as: certificate.public_key().id().to_string(),
        replaces: replaces.map(|old| old.to_string()),
    })?;
    Ok(certificate)
}

fn no_root(key: &KeyRecord) -> SignError {
    SignError::Field { field: "key_id", why: format!("key {} is no P-256 root key on a token", key.id) }
}
