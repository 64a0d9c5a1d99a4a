//! The one road to a signature, on one screen. Whatever is signed has come this way: read to the last byte, compared
//! with the document before it, allowed, written down, signed, verified, written down again.
mod base;
pub mod certificate;
mod error;
mod hand;
pub mod person;
mod plan;
mod promise;
mod record;
pub mod remembered;
pub mod seal;
pub mod seat;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use touchmark_tuf::{Gun, KeyId, RoleName, Sha256Digest, Signature, Version};

use crate::audit::{Receipt, RequestId};
use crate::clock::Clock;
use crate::policy::{Caller, Decision, Policy};
use crate::store::keys::KeyRecord;
use crate::store::roots::TrustedRoot;
use crate::store::{Store, StoreError};
use crate::vault::Vault;
use base::{Known, Needed};
pub use error::SignError;
use person::Person;
use plan::{Moment, Plan};
use record::{Durable, Reservation};
use remembered::Remembered;
use seat::Seat;

/// Documents above this are read off the async workers.
const INLINE_BYTES: usize = 64 * 1024;

/// Everything that the road passes.
pub struct Road {
    /// The database.
    pub store: Store,
    /// The keys in locked memory.
    pub vault: Arc<Vault>,
    /// The tokens, by their names in the configuration.
    pub tokens: BTreeMap<String, Seat>,
    /// Who may do what.
    pub policy: Policy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What was read before.
    pub remembered: Arc<Remembered>,
    /// How long a request waits for a token to be plugged in.
    pub token_wait: Duration,
}

/// What a client wants signed.
#[derive(Debug)]
pub struct SignRequest {
    /// Names it in the audit.
    pub id: RequestId,
    /// The repository.
    pub gun: Gun,
    /// The documents, each role at most once. All are signed or none is.
    pub documents: Vec<DocumentToSign>,
    /// The server's current files where they are newer than the daemon's: root chain first.
    pub bases: Vec<(RoleName, Vec<u8>)>,
    /// Whether the root of a repository that is new here may be believed.
    pub accept_root: Option<AcceptRoot>,
    /// What the client was shown as the last document of a role when it made the new ones.
    pub seen: Vec<Seen>,
}

/// The last document of a role, as a client was shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The role.
    pub role: RoleName,
    /// The digest of its canonical bytes. `None`: there was none.
    pub digest: Option<Sha256Digest>,
}

/// One document to sign.
#[derive(Debug)]
pub struct DocumentToSign {
    /// Its role.
    pub role: RoleName,
    /// Canonical ids of the keys to sign with.
    pub key_ids: Vec<KeyId>,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// How the first root of a repository becomes trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptRoot {
    /// As it is.
    FirstUse,
    /// If one of these root keys signed it: ids as in the document, or canonical ones.
    Pinned(Vec<KeyId>),
}

/// What was signed.
#[derive(Debug)]
pub struct SignedAll {
    /// In the order of the request.
    pub documents: Vec<SignedDocument>,
    /// The audit row of the last intent.
    pub receipt: Receipt,
    /// What the daemon understood, in words, escaped.
    pub differences: Vec<String>,
}

/// The signatures of one document.
#[derive(Debug, PartialEq, Eq)]
pub struct SignedDocument {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// One for each id under which a key is listed.
    pub signatures: Vec<Signature>,
}

/// Signs the documents of a request, all or none.
///
/// # Errors
/// Nothing was signed; `SignError` says why, and whether a retry helps. Dropping the future gives up the request: its
/// versions are free again.
pub async fn sign(
    road: &Road,
    caller: &Caller,
    request: SignRequest,
    person: &dyn Person,
) -> Result<SignedAll, SignError> {
    let signed = walk(road, caller, request, person).await;
    if let Err(error) = &signed {
        road.count_refusal(caller, error);
    }
    signed
}

async fn walk(
    road: &Road,
    caller: &Caller,
    request: SignRequest,
    person: &dyn Person,
) -> Result<SignedAll, SignError> {
    let id = request.id;
    let plan = Arc::new(road.read(caller, request).await?); // exactly; against the base; every difference an action
    let decision = plan.decide(&road.policy, caller);
    if let Decision::Refused(why) = decision {
        return Err(why.into());
    }
    let mut hands = hand::hold(road, &plan, &decision).await?;
    let reservation = Reservation::new(&road.store, id, caller, &plan);
    let (written, signed, durable) = if hands.take_time(&decision) {
        // A touch is worth more than a sync: the write comes first.
        let written = reservation.write().await?;
        (Ok(written), made(road, &mut hands, caller, &plan, &decision, person).await, Durable::Now)
    } else {
        // The write goes out, the keys sign beside it, and nothing leaves before both are done.
        let made = made(road, &mut hands, caller, &plan, &decision, person);
        let (written, signed) = tokio::join!(reservation.write(), made);
        (written, signed, Durable::WithTheNext)
    };
    let receipt = written?;
    let (signatures, root) = match signed {
        Ok(made) => made,
        Err(error) => {
            reservation.void(&error);
            return Err(error);
        }
    };
    plan.documents.iter().for_each(|document| road.remembered.keep(&document.exact));
    reservation.release(signatures.clone(), root, durable).await?;
    Ok(answer(&plan, signatures, receipt))
}

/// The signatures, and the root that they complete.
async fn made(
    road: &Road,
    hands: &mut hand::Hands<'_>,
    caller: &Caller,
    plan: &Arc<Plan>,
    decision: &Decision,
    person: &dyn Person,
) -> Result<(Vec<Vec<Signature>>, Option<TrustedRoot>), SignError> {
    let signatures = hands.sign(road, caller, plan, decision, person).await?;
    let root = record::complete_root(plan, &signatures, &road.remembered);
    Ok((signatures, root))
}

fn answer(plan: &Plan, signatures: Vec<Vec<Signature>>, receipt: Receipt) -> SignedAll {
    let documents = plan.documents.iter().zip(signatures).map(|(document, signatures)| SignedDocument {
        role: document.exact.role.clone(),
        version: document.exact.version(),
        signatures,
    });
    let differences = plan.documents.iter().flat_map(|document| document.differences.iter().cloned());
    SignedAll { documents: documents.collect(), receipt, differences: differences.collect() }
}

impl Road {
    /// Works out what a request would do.
    async fn read(&self, caller: &Caller, request: SignRequest) -> Result<Plan, SignError> {
        let (known, keys) = self.known(caller, &request).await?;
        let moment = Moment { now: self.clock.now(), max_expiry: self.policy.max_expiry() };
        let size = request.documents.iter().map(|document| &document.bytes);
        let size: usize = size.chain(request.bases.iter().map(|(_, file)| file)).map(Vec::len).sum();
        let kept: usize = known.kept.iter().map(|kept| kept.signed.len()).sum();
        if size + kept <= INLINE_BYTES {
            return Plan::make(request, known, &self.remembered, &keys, &moment);
        }
        let remembered = Arc::clone(&self.remembered);
        tokio::task::spawn_blocking(move || Plan::make(request, known, &remembered, &keys, &moment))
            .await
            .map_err(|error| SignError::Internal(error.to_string()))?
    }

    /// What the store knows of the repository and of the keys, as far as the caller may know of them.
    async fn known(
        &self,
        caller: &Caller,
        request: &SignRequest,
    ) -> Result<(Known, Vec<Arc<KeyRecord>>), SignError> {
        let gun = request.gun.clone();
        let ids: BTreeSet<KeyId> =
            request.documents.iter().flat_map(|document| &document.key_ids).copied().collect();
        let roles = base::needed(request.documents.iter().map(|document| &document.role));
        let brings_files = !request.bases.is_empty();
        let (known, mut keys) = self
            .store
            .read(move |view| {
                let keys = ids.iter().map(|id| view.key(id)).collect::<Result<Vec<_>, _>>()?;
                let kept = match roles {
                    Needed::All => view.kept_roles(&gun)?,
                    Needed::These(roles) => view.kept_of(&gun, &roles)?,
                };
                let root = view.trusted_root(&gun)?;
                let root_before = match &root {
                    Some(root) if brings_files => view.trusted_root_before(&gun, root.version)?,
                    _ => None,
                };
                let known = Known { root, root_before, kept };
                let keys = keys.into_iter().flatten().map(Arc::new);
                Ok::<_, StoreError>((known, keys.collect::<Vec<_>>()))
            })
            .await?;
        keys.retain(|key| key.guns.is_empty() || key.guns.iter().any(|gun| self.policy.sees(caller, gun)));
        Ok((known, keys))
    }

    /// The seat at a token.
    ///
    /// # Errors
    /// `SignError::TokenUnknown`
    pub fn seat(&self, name: &str) -> Result<&Seat, SignError> {
        self.tokens.get(name).ok_or_else(|| SignError::TokenUnknown { token: name.to_owned() })
    }

    /// Counts a refusal of the road. Faults of our own and of tokens are no refusals.
    fn count_refusal(&self, caller: &Caller, error: &SignError) {
        use touchmark_proto::reason::Reason;
        let reason = error.reason();
        let refused = matches!(
            reason,
            Reason::InvalidDocument
                | Reason::KeyUnknown
                | Reason::NotAllowed
                | Reason::PolicyRefused
                | Reason::VersionRegression
                | Reason::VersionReused
                | Reason::BaseUnknown
        );
        if refused {
            self.store.refused(caller.uid, reason.as_str(), &error.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
