//! What a request would do, worked out before anything is written: documents read to the last byte, each against its
//! base, each difference as an action, each key as a signer that somebody listed. Decides nothing.
use std::sync::Arc;
use std::time::Duration;

use touchmark_tuf::{
    Difference, Gun, Instant, KeyId, PublicKey, RoleName, Root, Sha256Digest, Trusted, Version,
};

use super::base::{Base, Known, News, Standing};
use super::remembered::Remembered;
use super::{Seen, SignError, SignRequest};
use crate::document::{Body, Exact, NewExpiry, needs};
use crate::policy::{Action, Caller, Decision, MaxExpiry, Need, Policy};
use crate::store::keys::{KeyRecord, Place};
use crate::token::KeyRef;
use crate::vault::KeyRole;

/// The most differences that are named; the others are counted.
const NAMED: usize = 50;

/// What a request would do.
pub(super) struct Plan {
    pub(super) gun: Gun,
    pub(super) documents: Vec<Planned>,
    pub(super) news: Vec<News>,
    pub(super) seen: Vec<Seen>,
    pub(super) new_expiry: NewExpiry,
    /// The root that is trusted before this request's documents.
    pub(super) root: Option<Arc<Trusted>>,
}

/// One document of it.
pub(super) struct Planned {
    pub(super) exact: Exact,
    /// Version and digest of the document it follows.
    pub(super) base: Option<(Version, Sha256Digest)>,
    pub(super) differences: Vec<String>,
    pub(super) more_differences: usize,
    pub(super) signers: Vec<Signer>,
    /// Signatures of the same bytes that were made before.
    pub(super) earlier: Vec<touchmark_tuf::Signature>,
    needs: Vec<Need>,
}

/// A key that signs, under the ids by which the role lists it.
pub(super) struct Signer {
    pub(super) key: Arc<KeyRecord>,
    pub(super) listed_as: Vec<KeyId>,
}

/// The limits of the moment.
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) max_expiry: MaxExpiry,
}

impl Plan {
    /// Works it out. Takes as long as reading the documents does.
    ///
    /// # Errors
    /// For the first thing that nobody may do.
    pub(super) fn make(
        request: SignRequest,
        known: Known,
        remembered: &Remembered,
        keys: &[Arc<KeyRecord>],
        moment: &Moment,
    ) -> Result<Self, SignError> {
        let mut read = Vec::with_capacity(request.documents.len());
        for document in request.documents {
            if read.iter().any(|(other, _): &(Exact, _)| other.role == document.role) {
                return Err(SignError::Field {
                    field: "documents",
                    why: format!("{} stands twice", document.role),
                });
            }
            read.push((Exact::read(document.role, document.bytes)?, document.key_ids));
        }
        let wanted: Vec<RoleName> = read.iter().map(|(exact, _)| exact.role.clone()).collect();
        let accept = request.accept_root.as_ref();
        let standing =
            Standing::establish(request.gun.clone(), known, remembered, request.bases, accept, &wanted)?;
        let listing = Listing::new(&standing, &read);
        let mut new_expiry = NewExpiry::No;
        let mut documents = Vec::with_capacity(read.len());
        for (exact, key_ids) in &read {
            let (planned, expiry) = plan(&request.gun, exact, key_ids, &standing, &listing, keys, moment)?;
            if expiry == NewExpiry::Yes {
                new_expiry = NewExpiry::Yes;
            }
            documents.push(planned);
        }
        let (root, news) = standing.into_news();
        Ok(Self { gun: request.gun, documents, news, seen: request.seen, new_expiry, root })
    }

    /// What the policy says: every need, in the repository and in every other one that a key signs for.
    pub(super) fn decide(&self, policy: &Policy, caller: &Caller) -> Decision {
        let mut decision = Decision::Allowed;
        for document in &self.documents {
            let mut guns = vec![&self.gun];
            guns.extend(document.signers.iter().flat_map(|signer| &signer.key.guns));
            guns.sort_unstable();
            guns.dedup();
            for gun in guns {
                decision = decision.and(policy.decide_any(caller, gun)).and(policy.decide(
                    caller,
                    gun,
                    &document.needs,
                ));
            }
        }
        decision
    }

    /// The names of the tokens that it needs, each once.
    pub(super) fn tokens(&self) -> Vec<&str> {
        let signers = self.documents.iter().flat_map(|document| &document.signers);
        let mut names: Vec<_> = signers.filter_map(|signer| signer.token()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The keys on that token that it needs.
    pub(super) fn keys_on<'p>(&'p self, token: &'p str) -> impl Iterator<Item = &'p KeyRef> {
        let signers = self.documents.iter().flat_map(|document| &document.signers);
        signers.filter(move |signer| signer.token() == Some(token)).filter_map(Signer::on_token)
    }

    /// Whether a key of the vault is needed.
    pub(super) fn needs_vault(&self) -> bool {
        let mut signers = self.documents.iter().flat_map(|document| &document.signers);
        signers.any(|signer| signer.token().is_none())
    }

    /// What it does, in words, for the person who is asked: `sign root v3 of GUN (adds key ...)`.
    pub(super) fn intent(&self) -> String {
        let gun = touchmark_tuf::shown(self.gun.as_str());
        let documents = self.documents.iter().enumerate().map(|(nth, document)| {
            let named = document.differences.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
            let more = (document.differences.len() + document.more_differences).saturating_sub(3);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let what = if named.is_empty() { "nothing changes".to_owned() } else { named };
            let of = if nth == 0 { format!(" of {gun}") } else { String::new() };
            format!("{} v{}{of} ({what}{more})", document.exact.role, document.exact.version())
        });
        format!("sign {}", documents.collect::<Vec<_>>().join(", "))
    }

    /// Bytes of all documents.
    pub(super) fn size(&self) -> usize {
        self.documents.iter().map(|document| document.exact.bytes.len()).sum()
    }
}

impl Signer {
    /// The token that the key is on; `None`: in the vault.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.key.place {
            Place::Token { token, .. } => Some(token),
            Place::Vault { .. } => None,
        }
    }

    /// What to find the key by on its token; `None`: in the vault.
    pub(super) fn on_token(&self) -> Option<&KeyRef> {
        match &self.key.place {
            Place::Token { key, .. } => Some(key),
            Place::Vault { .. } => None,
        }
    }
}

fn plan(
    gun: &Gun,
    exact: &Exact,
    key_ids: &[KeyId],
    standing: &Standing<'_>,
    listing: &Listing<'_>,
    keys: &[Arc<KeyRecord>],
    moment: &Moment,
) -> Result<(Planned, NewExpiry), SignError> {
    let base = standing.base(&exact.role)?;
    let again =
        base.as_ref().is_some_and(|base| base.version == exact.version() && base.digest == exact.digest);
    // A root that lacks signatures of other keys is no base yet: each further key decides on all of it.
    let (differences, needs, expiry) = if again {
        (Vec::new(), Vec::new(), NewExpiry::No)
    } else {
        follows(gun, exact, base.as_ref())?;
        let body = base.as_ref().map(|base| &*base.body);
        let differences = exact.differences(body);
        let mut needs = needs(&exact.role, &differences)?;
        if base.as_ref().is_some_and(|base| base.from_root.is_some()) {
            // What the keys before signed is vouched for by the new one: that is part of their change.
            needs.push(Need::of(Action::Rotate));
        }
        let files = if exact.role == RoleName::Snapshot { standing.files() } else { Vec::new() };
        exact.check(gun, body, &files)?;
        let ahead: Duration = moment.max_expiry.of(&exact.role);
        (differences, needs, exact.check_expiry(body, moment.now, ahead)?)
    };
    let taken_over = base.as_ref().and_then(|base| Some((base.version, base.from_root?)));
    let taken_over = taken_over.map(|(version, root)| {
        let role = &exact.role;
        format!("all of {role} version {version}, signed by the keys of root version {root}, is taken over")
    });
    let named = differences.iter().take(NAMED).map(Difference::to_string);
    let named = taken_over.into_iter().chain(named).collect();
    let planned = Planned {
        base: base.map(|base| (base.version, base.digest)),
        differences: named,
        more_differences: differences.len().saturating_sub(NAMED),
        signers: listing.signers(gun, exact, key_ids, keys)?,
        earlier: standing.signatures(&exact.role, exact.version(), &exact.digest).to_vec(),
        needs,
        exact: exact.clone(),
    };
    Ok((planned, expiry))
}

/// A new document has the version right after its base; the first one is version 1.
fn follows(gun: &Gun, exact: &Exact, base: Option<&Base>) -> Result<(), SignError> {
    let (role, version) = (exact.role.clone(), exact.version());
    let Some(base) = base else {
        if version == Version::FIRST {
            return Ok(());
        }
        return Err(SignError::BaseUnknown { role, why: format!("version {version} is not the first one") });
    };
    if version < base.version {
        Err(SignError::VersionRegression { role, version, have: base.version })
    } else if version == base.version {
        Err(SignError::VersionReused { gun: gun.clone(), role, version })
    } else if base.version.next() == Some(version) {
        Ok(())
    } else {
        let why =
            format!("version {version} does not follow version {}, the last one known here", base.version);
        Err(SignError::BaseUnknown { role, why })
    }
}

/// Who lists the keys of a role: documents of this request before those that are known.
struct Listing<'a> {
    standing: &'a Standing<'a>,
    read: &'a [(Exact, Vec<KeyId>)],
}

impl<'a> Listing<'a> {
    const fn new(standing: &'a Standing<'a>, read: &'a [(Exact, Vec<KeyId>)]) -> Self {
        Self { standing, read }
    }

    fn signers(
        &self,
        gun: &Gun,
        exact: &Exact,
        key_ids: &[KeyId],
        keys: &[Arc<KeyRecord>],
    ) -> Result<Vec<Signer>, SignError> {
        if key_ids.is_empty() {
            return Err(SignError::Field { field: "key_ids", why: format!("no key for {}", exact.role) });
        }
        let mut signers: Vec<Signer> = Vec::with_capacity(key_ids.len());
        for id in key_ids {
            let key = keys.iter().find(|key| key.id == *id).ok_or(SignError::KeyUnknown { key: *id })?;
            let unfit =
                |why| SignError::KeyUnfit { key: *id, role: exact.role.clone(), gun: gun.clone(), why };
            if signers.iter().any(|signer| signer.key.id == *id) {
                return Err(SignError::Field { field: "key_ids", why: format!("key {id} stands twice") });
            }
            if !fits(&key.role, &exact.role) {
                return Err(unfit("it was made for another role"));
            }
            if key.role != KeyRole::Root && !key.guns.contains(gun) {
                return Err(unfit("it was made for another repository"));
            }
            let listed_as = self.listed_as(&exact.role, id)?;
            if listed_as.is_empty() {
                return Err(unfit("it is not listed there"));
            }
            signers.push(Signer { key: Arc::clone(key), listed_as });
        }
        Ok(signers)
    }

    /// The ids under which a key is listed for a role.
    fn listed_as(&self, role: &RoleName, id: &KeyId) -> Result<Vec<KeyId>, SignError> {
        let mut listed = match role {
            RoleName::Delegation(name) => {
                let parent = self.document(&name.parent())?;
                let Body::Targets(parent) = &*parent else { return Err(no_parent(name.parent())) };
                let keys = parent.delegation(name).map(|role| role.key_ids.clone()).unwrap_or_default();
                of_key(keys.iter().filter_map(|key_id| parent.delegations.keys.get(key_id)), id)
            }
            RoleName::Root => {
                // A new root is signed by the old keys and the new ones; a key with a new certificate is both.
                let old = self.standing.root().into_iter();
                let roots = self.new_root().into_iter().chain(old);
                roots.flat_map(|root| of_key(root.keys_of(role), id)).collect()
            }
            _ => {
                let root = self.new_root().or_else(|| self.standing.root()).ok_or_else(|| {
                    SignError::BaseUnknown {
                        role: RoleName::Root,
                        why: "this repository is not known here yet".to_owned(),
                    }
                })?;
                of_key(root.keys_of(role), id)
            }
        };
        listed.sort_unstable();
        listed.dedup();
        Ok(listed)
    }

    fn new_root(&self) -> Option<&Root> {
        self.read.iter().find_map(|(exact, _)| match &*exact.body {
            Body::Root(root) => Some(root),
            _ => None,
        })
    }

    fn document(&self, role: &RoleName) -> Result<Arc<Body>, SignError> {
        if let Some((exact, _)) = self.read.iter().find(|(exact, _)| exact.role == *role) {
            return Ok(Arc::clone(&exact.body));
        }
        self.standing.base(role)?.map(|base| base.body).ok_or_else(|| no_parent(role.clone()))
    }
}

fn no_parent(role: RoleName) -> SignError {
    SignError::BaseUnknown { role, why: "it lists who may sign".to_owned() }
}

fn fits(key: &KeyRole, role: &RoleName) -> bool {
    matches!(
        (key, role),
        (KeyRole::Root, RoleName::Root)
            | (KeyRole::Targets, RoleName::Targets)
            | (KeyRole::Snapshot, RoleName::Snapshot)
            // A signer's key signs for `targets/NAME` and for `targets/releases`: the parent lists it where it may.
            | (KeyRole::Delegation(_), RoleName::Delegation(_))
    )
}

fn of_key<'k>(keys: impl Iterator<Item = &'k PublicKey>, id: &KeyId) -> Vec<KeyId> {
    keys.filter(|key| key.canonical_id() == *id).map(PublicKey::id).collect()
}
