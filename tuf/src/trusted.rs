//! What a reader believes, step by step: root, timestamp, snapshot, targets, delegations. No input or output: the
//! caller fetches what `wanted` names and says what time it is.
//!
//! Held against rollback (versions never below what was remembered), freezing (every role expires), mixing (hashes and
//! lengths all the way down from the timestamp), another root (old and new keys sign each step, pins on the first one),
//! and delegations beyond their paths.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::RootCertificate;
use crate::digest::Sha256Digest;
use crate::document::{Document, FileMeta, RoleKeys};
use crate::envelope::{Unverified, Verified};
use crate::error::TrustError;
use crate::ids::{Gun, KeyId, RoleName, TargetName, Version};
use crate::instant::Instant;
use crate::key::PublicKey;
use crate::limits;
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::targets::{Target, Targets};
use crate::timestamp::Timestamp;
use crate::verify::CheckSignature;

mod walk;

/// A root certificate may begin this much in the future: clocks differ, and Notary allows as much.
const EARLY_CERTIFICATE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the first root comes from.
#[derive(Clone, Copy, Debug)]
pub enum RootSource<'a> {
    /// A root file that this reader already trusted.
    Cached(&'a [u8]),
    /// A root file from the server, for a repository that this reader sees for the first time.
    First {
        /// The file as served.
        file: &'a [u8],
        /// What it must fit.
        pin: &'a Pin,
    },
}

/// What makes the first root of a repository trustworthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Nothing: whatever is served first is believed.
    FirstUse,
    /// One of these root keys must have signed it: ids as in documents, or canonical ones.
    KeyIds(Vec<KeyId>),
}

/// A file to fetch next, addressed by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The role.
    pub role: RoleName,
    /// SHA-256 of the file.
    pub sha256: Sha256Digest,
    /// Length of the file in bytes as listed. Read no more than `limits::file_bytes` of the role in any case.
    pub length: u64,
}

/// What a tag stands for, and whose word that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The role that decides: `targets/releases`, else `targets`.
    pub role: RoleName,
    /// What the tag stands for.
    pub target: &'a Target,
}

/// A tag with everybody who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The tag.
    pub tag: &'a TargetName,
    /// What each role says that it stands for, in the order of the walk.
    pub by: Vec<(RoleName, &'a Target)>,
}

/// The state of one reader for one repository.
#[derive(Clone)]
pub struct Trusted {
    gun: Gun,
    checker: Arc<dyn CheckSignature + Send + Sync>,
    root: Verified<Root>,
    timestamp: Option<Verified<Timestamp>>,
    snapshot: Option<Verified<Snapshot>>,
    targets: BTreeMap<RoleName, Verified<Targets>>,
    /// What the cache had.
    remembered: BTreeMap<RoleName, Vec<u8>>,
    /// The highest versions taken since the root last changed.
    seen: BTreeMap<RoleName, Version>,
}

impl fmt::Debug for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trusted")
            .field("gun", &self.gun)
            .field("root", &self.root.version())
            .finish_non_exhaustive()
    }
}

impl Trusted {
    /// Begins with a root: one trusted before, or the first one of this repository. Expired ones are taken here, since
    /// they may lead to a newer one; `check_root` decides in the end.
    ///
    /// # Errors
    /// If the root is no valid document, its certificates are for other repositories, too few of its own keys signed
    /// it, or none of the pinned ones.
    pub fn start(
        gun: &Gun,
        root: RootSource<'_>,
        checker: Arc<dyn CheckSignature + Send + Sync>,
    ) -> Result<Self, TrustError> {
        let (file, pin) = match root {
            RootSource::Cached(file) => (file, &Pin::FirstUse),
            RootSource::First { file, pin } => (file, pin),
        };
        let root = self_signed(gun, parse::<Root>(&RoleName::Root, file)?, &*checker)?;
        check_pin(&root, pin)?;
        Ok(Self {
            gun: gun.clone(),
            checker,
            root,
            timestamp: None,
            snapshot: None,
            targets: BTreeMap::new(),
            remembered: BTreeMap::new(),
            seen: BTreeMap::new(),
        })
    }

    /// The repository.
    #[must_use]
    pub const fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The newest root so far.
    #[must_use]
    pub const fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// Takes the root that follows: version one higher, signed by the old and by the new keys; either may be expired.
    /// The very file that is trusted already is fine too. After a step everything below the root is to be read again.
    ///
    /// # Errors
    /// `RootGap` if there is one between, `RootChanged` if the old keys did not sign, `SignatureInvalid` if the new
    /// ones did not.
    pub fn advance_root(&mut self, file: &[u8]) -> Result<(), TrustError> {
        if file == self.root.file() {
            return Ok(());
        }
        let new = parse::<Root>(&RoleName::Root, file)?;
        let (have, got) = (self.root.version(), new.document_unverified().version());
        if got < have {
            return Err(TrustError::Rollback { role: RoleName::Root, have, got });
        }
        if got == have {
            return Err(TrustError::RootReplaced { version: have });
        }
        if have.next() != Some(got) {
            return Err(TrustError::RootGap { have, got });
        }
        let old = new.clone().verify(&self.root.roles.root, &self.root.keys, &*self.checker);
        old.map_err(|cause| TrustError::RootChanged { cause })?;
        self.root = self_signed(&self.gun, new, &*self.checker)?;
        self.timestamp = None;
        self.snapshot = None;
        self.targets.clear();
        self.seen.clear();
        Ok(())
    }

    /// Checks the newest root against the time: its expiry, and that enough signatures are by keys whose certificates
    /// for this repository are valid now.
    ///
    /// # Errors
    /// `Expired`, `CertificateDates`, `CertificateName` or `SignatureInvalid`.
    pub fn check_root(&self, now: Instant) -> Result<(), TrustError> {
        check_expiry(&RoleName::Root, &*self.root, now)?;
        let certificates = certificates(&self.gun, &self.root)?;
        let valid = |certificate: &RootCertificate| {
            certificate.not_before() <= now.plus(EARLY_CERTIFICATE) && certificate.not_after() >= now
        };
        let until = certificates.iter().map(|(_, certificate)| certificate.not_after()).max();
        let key_ids: Vec<KeyId> =
            certificates.iter().filter(|(_, certificate)| valid(certificate)).map(|(id, _)| *id).collect();
        if key_ids.is_empty() {
            return Err(TrustError::CertificateDates { now, until });
        }
        let role = RoleKeys { key_ids, threshold: self.root.roles.root.threshold };
        let (signed, signatures) = (self.root.signed_bytes(), self.root.signatures());
        match crate::verify::threshold(&role, &self.root.keys, signed, signatures, &*self.checker) {
            Ok(_) => Ok(()),
            Err(cause) => Err(TrustError::SignatureInvalid { role: RoleName::Root, cause }),
        }
    }

    /// What the cache had for a role: nothing older is believed from now on. A file that does not verify under the keys
    /// of today is no witness and is passed over, so that a repository can start anew after a key rotation.
    pub fn remember(&mut self, role: &RoleName, cached_file: &[u8]) {
        self.remembered.insert(role.clone(), cached_file.to_vec());
    }

    /// Takes the timestamp, under a root that `check_root` accepts.
    ///
    /// # Errors
    /// Those of `check_root`; and if it is invalid, not signed by the timestamp keys, older than one seen before, or
    /// expired.
    pub fn timestamp(&mut self, file: &[u8], now: Instant) -> Result<(), TrustError> {
        self.check_root(now)?;
        let role = RoleName::Timestamp;
        let new = self.accept::<Timestamp>(&role, file, &self.root.roles.timestamp, &self.root.keys, now)?;
        if self.timestamp.as_ref().is_none_or(|old| old.snapshot != new.snapshot) {
            self.snapshot = None;
            self.targets.clear();
        }
        self.seen.insert(role, new.version());
        self.timestamp = Some(new);
        Ok(())
    }

    /// Takes the snapshot that the timestamp lists.
    ///
    /// # Errors
    /// If it is another file, invalid, not signed by the snapshot keys, older than one seen before, or expired.
    /// `RootOutdated` if it lists another root than the trusted one: fetch that root, then start again.
    pub fn snapshot(&mut self, file: &[u8], now: Instant) -> Result<(), TrustError> {
        let role = RoleName::Snapshot;
        let timestamp = self.timestamp.as_ref().ok_or(TrustError::NotRead { role: RoleName::Timestamp })?;
        check_file(&role, file, &timestamp.snapshot, RoleName::Timestamp)?;
        let new = self.accept::<Snapshot>(&role, file, &self.root.roles.snapshot, &self.root.keys, now)?;
        if !new.meta.get(&RoleName::Root).is_some_and(|meta| meta.describes(self.root.file())) {
            return Err(TrustError::RootOutdated { have: self.root.version() });
        }
        self.targets.clear();
        self.seen.insert(role, new.version());
        self.snapshot = Some(new);
        Ok(())
    }

    /// Takes `targets` or a delegation that a trusted parent lists; parents first.
    ///
    /// # Errors
    /// If it is another file than the snapshot lists, invalid, not signed by the role's keys, older than one seen
    /// before, or expired. `MissingDelegation` if its parent was not read or does not list it.
    pub fn targets(&mut self, role: &RoleName, file: &[u8], now: Instant) -> Result<(), TrustError> {
        let snapshot = self.snapshot.as_ref().ok_or(TrustError::NotRead { role: RoleName::Snapshot })?;
        let (role_keys, keys) = match role {
            RoleName::Targets => (self.root.roles.targets.clone(), &self.root.keys),
            RoleName::Delegation(name) => {
                let missing = || TrustError::MissingDelegation { role: role.clone() };
                let parent = self.targets.get(&name.parent()).ok_or_else(missing)?;
                let delegated = parent.delegation(name).ok_or_else(missing)?;
                (delegated.role_keys(), &parent.delegations.keys)
            }
            RoleName::Root | RoleName::Snapshot | RoleName::Timestamp => {
                return Err(TrustError::MissingDelegation { role: role.clone() });
            }
        };
        let meta = snapshot.meta.get(role).ok_or_else(|| TrustError::NotInSnapshot { role: role.clone() })?;
        check_file(role, file, meta, RoleName::Snapshot)?;
        let new = self.accept::<Targets>(role, file, &role_keys, keys, now)?;
        self.check_vanished(&new)?;
        self.seen.insert(role.clone(), new.version());
        self.targets.insert(role.clone(), new);
        Ok(())
    }

    /// The files to fetch next: the snapshot after the timestamp, `targets` after the snapshot, then every delegation
    /// that a trusted parent lists and the snapshot has. Delegations without keys are left out: nobody can sign them.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        let Some(timestamp) = &self.timestamp else { return Vec::new() };
        let wanted =
            |role: RoleName, meta: &FileMeta| Wanted { role, sha256: meta.sha256, length: meta.length };
        let Some(snapshot) = &self.snapshot else {
            return vec![wanted(RoleName::Snapshot, &timestamp.snapshot)];
        };
        let listed = std::iter::once(RoleName::Targets)
            .chain(self.delegated().into_iter().filter(|role| self.can_sign(role)).map(RoleName::Delegation));
        listed
            .filter(|role| !self.targets.contains_key(role))
            .filter_map(|role| snapshot.meta.get(&role).map(|meta| wanted(role.clone(), meta)))
            .collect()
    }

    /// What the timestamp or the snapshot says about the file of a role; `None` if nothing, or not read yet.
    #[must_use]
    pub fn file_meta(&self, role: &RoleName) -> Option<&FileMeta> {
        match role {
            RoleName::Timestamp => None,
            RoleName::Snapshot => self.timestamp.as_ref().map(|timestamp| &timestamp.snapshot),
            listed => self.snapshot.as_ref().and_then(|snapshot| snapshot.meta.get(listed)),
        }
    }

    /// The document of `targets` or a delegation, once taken.
    #[must_use]
    pub fn document(&self, role: &RoleName) -> Option<&Verified<Targets>> {
        self.targets.get(role)
    }

    /// The snapshot, once taken.
    #[must_use]
    pub const fn snapshot_doc(&self) -> Option<&Verified<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// The timestamp, once taken.
    #[must_use]
    pub const fn timestamp_doc(&self) -> Option<&Verified<Timestamp>> {
        self.timestamp.as_ref()
    }

    /// Parses, verifies and dates a file below the root. What it may be is for the caller to check before and after.
    fn accept<D: Document>(
        &self,
        role: &RoleName,
        file: &[u8],
        role_keys: &RoleKeys,
        keys: &BTreeMap<KeyId, PublicKey>,
        now: Instant,
    ) -> Result<Verified<D>, TrustError> {
        let new = parse::<D>(role, file)?.verify(role_keys, keys, &*self.checker);
        let new = new.map_err(|cause| TrustError::SignatureInvalid { role: role.clone(), cause })?;
        let same = self.remembered.get(role).is_some_and(|remembered| remembered == file);
        let remembered = if same { None } else { self.recall::<D>(role, role_keys, keys) };
        let floor = remembered.map(|old| old.version()).max(self.seen.get(role).copied());
        if let Some(have) = floor.filter(|have| new.version() < *have) {
            return Err(TrustError::Rollback { role: role.clone(), have, got: new.version() });
        }
        check_expiry(role, &*new, now)?;
        Ok(new)
    }

    /// The remembered document of a role, where it verifies under these keys.
    fn recall<D: Document>(
        &self,
        role: &RoleName,
        role_keys: &RoleKeys,
        keys: &BTreeMap<KeyId, PublicKey>,
    ) -> Option<Verified<D>> {
        let file = self.remembered.get(role)?;
        Unverified::parse(file).ok()?.verify(role_keys, keys, &*self.checker).ok()
    }

    /// Nobody may hide a delegation by leaving it out of the snapshot: what the last snapshot listed and the parent
    /// still lists must be in this one (TUF section 5.5).
    fn check_vanished(&self, parent: &Targets) -> Result<(), TrustError> {
        let Some(new) = &self.snapshot else { return Ok(()) };
        let Some(old) =
            self.recall::<Snapshot>(&RoleName::Snapshot, &self.root.roles.snapshot, &self.root.keys)
        else {
            return Ok(());
        };
        let roles =
            parent.delegations.roles.iter().map(|delegated| RoleName::Delegation(delegated.name.clone()));
        for role in roles {
            if old.meta.contains_key(&role) && !new.meta.contains_key(&role) {
                return Err(TrustError::Vanished { role });
            }
        }
        Ok(())
    }
}

fn parse<D: Document>(role: &RoleName, file: &[u8]) -> Result<Unverified<D>, TrustError> {
    let limit = limits::file_bytes(role);
    if file.len() > limit {
        return Err(TrustError::TooLarge { role: role.clone(), size: file.len(), limit });
    }
    Unverified::parse(file).map_err(|cause| TrustError::Invalid { role: role.clone(), cause })
}

/// A root that enough of its own keys signed, counting those alone whose certificate is for this repository.
fn self_signed(
    gun: &Gun,
    root: Unverified<Root>,
    checker: &dyn CheckSignature,
) -> Result<Verified<Root>, TrustError> {
    let document = root.document_unverified();
    let key_ids = certificates(gun, document)?.into_iter().map(|(key_id, _)| key_id).collect();
    let role = RoleKeys { key_ids, threshold: document.roles.root.threshold };
    let keys = document.keys.clone();
    root.verify(&role, &keys, checker)
        .map_err(|cause| TrustError::SignatureInvalid { role: RoleName::Root, cause })
}

/// The certificates of the root role that are for this repository.
fn certificates(gun: &Gun, root: &Root) -> Result<Vec<(KeyId, RootCertificate)>, TrustError> {
    let all = root.keys_of(&RoleName::Root).filter(|key| key.key_type().is_certificate());
    let all = all.filter_map(|key| Some((key.id(), RootCertificate::from_pem(key.public()).ok()?)));
    let (own, other): (Vec<_>, Vec<_>) = all.partition(|(_, certificate)| certificate.matches(gun));
    if own.is_empty() {
        let found = other.iter().map(|(_, certificate)| certificate.common_name().to_owned()).collect();
        return Err(TrustError::CertificateName { found });
    }
    Ok(own)
}

fn check_pin(root: &Verified<Root>, pin: &Pin) -> Result<(), TrustError> {
    let Pin::KeyIds(pinned) = pin else { return Ok(()) };
    let signers = root.signers().iter().filter_map(|key_id| root.keys.get(key_id));
    let mut ids = signers.flat_map(|key| [key.id(), key.canonical_id()]);
    if ids.any(|key_id| pinned.contains(&key_id)) {
        return Ok(());
    }
    Err(TrustError::PinMismatch { found: root.roles.root.key_ids.clone() })
}

fn check_file(role: &RoleName, file: &[u8], meta: &FileMeta, listed_by: RoleName) -> Result<(), TrustError> {
    let limit = limits::file_bytes(role);
    if file.len() > limit {
        return Err(TrustError::TooLarge { role: role.clone(), size: file.len(), limit });
    }
    if meta.describes(file) {
        Ok(())
    } else {
        Err(TrustError::HashMismatch { role: role.clone(), listed_by })
    }
}

fn check_expiry(role: &RoleName, document: &impl Document, now: Instant) -> Result<(), TrustError> {
    let at = document.expires();
    if at.has_passed(now) { Err(TrustError::Expired { role: role.clone(), at: at.clone() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
