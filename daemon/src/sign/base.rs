//! What the daemon believes about a repository: its root, moved only along the chain, and the last document of each
//! role. What a client brings counts only when it verifies, and never takes a role back.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use touchmark_tuf::{
    Document, Gun, KeyId, Pin, Ring, RoleKeys, RoleName, Root, RootSource, Sha256Digest, Signature, Snapshot,
    Targets, TrustError, Trusted, Unverified, Verified, Version, threshold,
};

use super::remembered::Remembered;
use super::{AcceptRoot, SignError};
use crate::document::{Body, KnownFile};
use crate::store::documents::{Kept, Source};
use crate::store::roots::TrustedRoot;

/// What the store knows of the repository.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) root: Option<TrustedRoot>,
    /// The root that was trusted before that one; looked up only where the client brings files.
    pub(super) root_before: Option<TrustedRoot>,
    pub(super) kept: Vec<Kept>,
}

impl Known {
    fn kept(&self, role: &RoleName) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.role == *role)
    }
}

/// Which roles' documents a request has to do with.
pub(super) enum Needed {
    /// All: a snapshot lists every file.
    All,
    /// These: the ones that are signed, and those that list their keys.
    These(BTreeSet<RoleName>),
}

/// What has to be known to sign documents of those roles.
pub(super) fn needed<'r>(wanted: impl Iterator<Item = &'r RoleName>) -> Needed {
    let mut roles = BTreeSet::new();
    for role in wanted {
        if *role == RoleName::Snapshot {
            return Needed::All;
        }
        let mut role = role.clone();
        while let RoleName::Delegation(name) = &role {
            let parent = name.parent();
            roles.insert(role);
            role = parent;
        }
        roles.insert(role);
    }
    Needed::These(roles)
}

/// The document that a new one follows.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) version: Version,
    pub(super) digest: Sha256Digest,
    pub(super) body: Arc<Body>,
    /// The version of the earlier root whose keys signed it, where the trusted root lists others by now: what it says
    /// is taken over by the new key.
    pub(super) from_root: Option<Version>,
}

/// What the request taught; it is written together with the reservation, or not at all.
#[derive(Debug)]
pub(super) enum News {
    /// The first root of a repository of other people.
    FirstRoot { root: TrustedRoot, root_keys: Vec<KeyId>, pinned: bool },
    /// The next root of the chain.
    NextRoot { root: TrustedRoot, digest: Sha256Digest },
    /// The server's document is newer than ours.
    Accepted(Kept),
    /// The server has the document that we know.
    Published { role: RoleName, version: Version },
    /// The server's document is older than ours: ours still counts, and is not in doubt any more.
    Confirmed { role: RoleName, version: Version },
}

/// What is believed now.
pub(super) struct Standing<'s> {
    gun: Gun,
    known: Known,
    remembered: &'s Remembered,
    trusted: Option<Arc<Trusted>>,
    /// The roots that the trusted one followed in this request, newest first.
    earlier: Vec<Arc<Trusted>>,
    accepted: BTreeMap<RoleName, Base>,
    settled: Vec<RoleName>,
    files: Vec<KnownFile>,
    news: Vec<News>,
}

impl<'s> Standing<'s> {
    /// Takes what the store knows and what the client brought: files as the server has them, root chain first. Only
    /// what has to do with the `wanted` roles is looked at.
    ///
    /// # Errors
    /// `SignError::BaseRefused` for a file that does not verify, `BaseUnknown` where a first root came without
    /// consent, `Conflict` where the server has another document under a version that we know as published.
    pub(super) fn establish(
        gun: Gun,
        known: Known,
        remembered: &'s Remembered,
        mut supplied: Vec<(RoleName, Vec<u8>)>,
        accept: Option<&AcceptRoot>,
        wanted: &[RoleName],
    ) -> Result<Self, SignError> {
        let mut standing = Self {
            gun,
            known,
            remembered,
            trusted: None,
            earlier: Vec::new(),
            accepted: BTreeMap::new(),
            settled: Vec::new(),
            files: Vec::new(),
            news: Vec::new(),
        };
        let roots: Vec<_> =
            supplied.extract_if(.., |(role, _)| *role == RoleName::Root).map(|(_, file)| file).collect();
        standing.take_roots(&roots, accept)?;
        // A parent before its delegations: its name is shorter.
        supplied.sort_by_key(|(role, _)| (matches!(role, RoleName::Delegation(_)), role.as_str().len()));
        for (role, file) in supplied.iter().filter(|(role, _)| concerns(role, wanted)) {
            standing.take(role, file)?;
        }
        Ok(standing)
    }

    /// The root that is trusted now.
    pub(super) fn root(&self) -> Option<&Root> {
        self.trusted.as_ref().map(|trusted| &**trusted.root())
    }

    /// The root that is trusted before this request's documents, and what the request taught.
    pub(super) fn into_news(self) -> (Option<Arc<Trusted>>, Vec<News>) {
        (self.trusted, self.news)
    }

    /// Its file.
    fn root_file(&self) -> Option<&[u8]> {
        self.trusted.as_ref().map(|trusted| trusted.root().file())
    }

    /// The document that a new one of this role follows. `None`: there is none.
    ///
    /// # Errors
    /// `SignError::BaseUnknown` where there is one, and it is in doubt since the state was moved or restored.
    pub(super) fn base(&self, role: &RoleName) -> Result<Option<Base>, SignError> {
        let kept = self.known.kept(role);
        if kept.is_some_and(|kept| !kept.confirmed) && !self.settled.contains(role) {
            let why = "the daemon's state was moved or restored, so the server's current document is needed";
            return Err(SignError::BaseUnknown { role: role.clone(), why: why.to_owned() });
        }
        if *role == RoleName::Root {
            return Ok(self.trusted.as_ref().map(|trusted| {
                let root = trusted.root();
                Base {
                    version: root.version(),
                    digest: Sha256Digest::of(root.signed_bytes()),
                    body: Arc::new(Body::Root((**root).clone())),
                    from_root: None,
                }
            }));
        }
        if let Some(base) = self.accepted.get(role) {
            return Ok(Some(base.clone()));
        }
        kept.map(|kept| self.base_of(kept)).transpose()
    }

    /// The signatures that a kept document has already.
    pub(super) fn signatures(
        &self,
        role: &RoleName,
        version: Version,
        digest: &Sha256Digest,
    ) -> &[Signature] {
        let kept = self.known.kept(role).filter(|kept| kept.version == version && kept.digest == *digest);
        kept.map(|kept| kept.signatures.as_slice()).unwrap_or_default()
    }

    /// The current files, for a snapshot to list.
    pub(super) fn files(&self) -> Vec<KnownFile> {
        // A root that still lacks signatures is no file that anybody has.
        let whole = |kept: &&Kept| {
            let root = self.trusted.as_ref().map(|trusted| trusted.root().signed_bytes());
            kept.role != RoleName::Root || root == Some(&kept.signed[..])
        };
        let kept = self.known.kept.iter().filter(whole);
        let kept = kept.filter_map(|kept| Some(KnownFile::new(kept.role.clone(), &kept.file()?)));
        let root = self.root_file().map(|file| KnownFile::new(RoleName::Root, file));
        self.files.iter().cloned().chain(kept).chain(root).collect()
    }

    fn take_roots(&mut self, chain: &[Vec<u8>], accept: Option<&AcceptRoot>) -> Result<(), SignError> {
        let mut chain = chain.iter();
        let not_verified = |error| refused(RoleName::Root, &error);
        let mut trusted = match &self.known.root {
            Some(root) => self.remembered.root(&self.gun, &root.file).map_err(not_verified)?,
            None if chain.len() == 0 => return Ok(()),
            None => {
                let Some(accept) = accept else {
                    let why = "this repository is new here: accept its root on first use, or pin it";
                    return Err(SignError::BaseUnknown { role: RoleName::Root, why: why.to_owned() });
                };
                let pin = match accept {
                    AcceptRoot::FirstUse => Pin::FirstUse,
                    AcceptRoot::Pinned(key_ids) => Pin::KeyIds(key_ids.clone()),
                };
                let trusted = self.first_root(&mut chain, &pin)?;
                let root =
                    TrustedRoot { version: trusted.root().version(), file: trusted.root().file().to_vec() };
                let root_keys = trusted.root().roles.root.key_ids.clone();
                self.news.push(News::FirstRoot { root, root_keys, pinned: pin != Pin::FirstUse });
                self.accept(RoleName::Root, trusted.root());
                Arc::new(trusted)
            }
        };
        for file in chain {
            let (before, earlier) = (trusted.root().version(), Arc::clone(&trusted));
            match Arc::make_mut(&mut trusted).advance_root(file) {
                Ok(()) if trusted.root().version() == before => self.published_root(file, before),
                Ok(()) => {
                    let root = TrustedRoot { version: trusted.root().version(), file: file.clone() };
                    let digest = Sha256Digest::of(trusted.root().signed_bytes());
                    self.news.push(News::NextRoot { root, digest });
                    self.accept(RoleName::Root, trusted.root());
                    self.earlier.insert(0, earlier);
                }
                // Older links of the chain, which we have behind us. Nobody checked them: they settle nothing.
                Err(TrustError::Rollback { .. }) => {}
                Err(TrustError::RootReplaced { version }) if is_signed(trusted.root(), file) => {
                    self.published_root(file, version);
                }
                Err(TrustError::RootReplaced { version }) => {
                    return Err(SignError::Conflict {
                        why: format!("the server has another root version {version} than the one known here"),
                    });
                }
                Err(error) => return Err(refused(RoleName::Root, &error)),
            }
        }
        self.trusted = Some(trusted);
        Ok(())
    }

    /// The first root of a chain that the pin is met by. Those before it are other people's history: with a pin on the
    /// keys of today nobody has to believe the keys of the beginning.
    fn first_root<'c>(
        &self,
        chain: &mut impl Iterator<Item = &'c Vec<u8>>,
        pin: &Pin,
    ) -> Result<Trusted, SignError> {
        let mut unmet = None;
        for file in chain {
            let first = RootSource::First { file, pin };
            match Trusted::start(&self.gun, first, self.remembered.checker()) {
                Err(error @ TrustError::PinMismatch { .. }) => unmet = Some(error),
                other => return other.map_err(|error| refused(RoleName::Root, &error)),
            }
        }
        Err(unmet.map_or_else(
            || SignError::Internal("a chain of no roots".to_owned()),
            |error| refused(RoleName::Root, &error),
        ))
    }

    /// The server has the root that is trusted here, maybe with its signatures in another order.
    fn published_root(&mut self, file: &[u8], version: Version) {
        self.files.push(KnownFile::new(RoleName::Root, file));
        self.news.push(News::Published { role: RoleName::Root, version });
        self.settled.push(RoleName::Root);
    }

    fn take(&mut self, role: &RoleName, file: &[u8]) -> Result<(), SignError> {
        match role {
            RoleName::Root | RoleName::Timestamp => {}
            RoleName::Snapshot => {
                let (verified, from_root) = self.verify::<Snapshot>(role, file)?;
                let body = Body::Snapshot((*verified).clone());
                self.compare(role, body, &verified, from_root)?;
            }
            RoleName::Targets | RoleName::Delegation(_) => {
                let (verified, from_root) = self.verify::<Targets>(role, file)?;
                let body = Body::Targets((*verified).clone());
                self.compare(role, body, &verified, from_root)?;
            }
        }
        Ok(())
    }

    /// Verifies a file under the keys that its role has now. Where the root has just given the role other keys and
    /// nothing is known yet that they signed, the server still has what the keys before them signed: then under the
    /// root before, whose version is given too.
    fn verify<D: Document>(
        &self,
        role: &RoleName,
        file: &[u8],
    ) -> Result<(Verified<D>, Option<Version>), SignError> {
        let refused =
            |why: &dyn std::fmt::Display| SignError::BaseRefused { role: role.clone(), why: why.to_string() };
        let parse = || Unverified::<D>::parse(file).map_err(|error| refused(&error));
        if let RoleName::Delegation(name) = role {
            let parent = self.base(&name.parent())?;
            let Some(Body::Targets(parent)) = parent.as_ref().map(|base| &*base.body) else {
                return Err(refused(&format!("{} is not known", name.parent())));
            };
            let listed = parent.delegation(name).map(touchmark_tuf::DelegatedRole::role_keys);
            let keys: RoleKeys = listed.ok_or_else(|| refused(&"it is not delegated"))?;
            let verified = parse()?.verify(&keys, &parent.delegations.keys, &Ring);
            return verified.map(|verified| (verified, None)).map_err(|error| refused(&error));
        }
        let under = |root: &Root| {
            let keys = root.role(role).ok_or_else(|| refused(&"it is not delegated"))?;
            let verified = parse()?.verify(keys, &root.keys, &Ring);
            verified.map_err(|error| refused(&error))
        };
        let root = self.root().ok_or_else(|| refused(&"the root of the repository is not known"))?;
        let now = under(root).map(|verified| (verified, None));
        if now.is_ok() || self.has_moved(role, root) {
            return now;
        }
        let before = self.earlier.iter().map(Arc::clone).chain(self.root_before());
        let before = before.map(|before| (under(before.root()), before.root().version()));
        let mut good = before.filter_map(|(verified, version)| Some((verified.ok()?, Some(version))));
        good.next().map_or(now, Ok)
    }

    /// The root that was trusted before this request and the one before that: it may have come without the documents
    /// that follow it.
    fn root_before(&self) -> Option<Arc<Trusted>> {
        let source = RootSource::Cached(&self.known.root_before.as_ref()?.file);
        Trusted::start(&self.gun, source, self.remembered.checker()).ok().map(Arc::new)
    }

    /// Whether a document of the role is known that the keys of this root signed: then there is no way back to what
    /// earlier keys say.
    fn has_moved(&self, role: &RoleName, root: &Root) -> bool {
        let (Some(kept), Some(keys)) = (self.known.kept(role), root.role(role)) else { return false };
        threshold(keys, &root.keys, &kept.signed, &kept.signatures, &Ring).is_ok()
    }

    fn compare<D: Document>(
        &mut self,
        role: &RoleName,
        body: Body,
        verified: &Verified<D>,
        from_root: Option<Version>,
    ) -> Result<(), SignError> {
        let digest = Sha256Digest::of(verified.signed_bytes());
        let version = verified.version();
        self.files.push(KnownFile::new(role.clone(), verified.file()));
        self.settled.push(role.clone());
        if let Some(kept) = self.known.kept(role) {
            let (have, known) = (kept.version, kept.digest);
            if version < have {
                self.news.push(News::Confirmed { role: role.clone(), version: have });
                return Ok(());
            }
            if version == have && digest == known {
                self.news.push(News::Published { role: role.clone(), version });
                return Ok(());
            }
            // Ours was never published, so the server's is the one that readers have.
            if version == have && (kept.published || kept.source == Source::Accepted) {
                return Err(SignError::Conflict {
                    why: format!(
                        "the server has another {role} version {version} than the one that was published"
                    ),
                });
            }
        }
        self.accept(role.clone(), verified);
        self.accepted.insert(role.clone(), Base { version, digest, body: Arc::new(body), from_root });
        Ok(())
    }

    fn base_of(&self, kept: &Kept) -> Result<Base, SignError> {
        let body = self.remembered.body(kept);
        let body = body.map_err(|error| SignError::Internal(format!("the kept document: {error}")))?;
        Ok(Base { version: kept.version, digest: kept.digest, body, from_root: None })
    }

    fn accept<D: Document>(&mut self, role: RoleName, verified: &Verified<D>) {
        self.settled.push(role.clone());
        self.news.push(News::Accepted(Kept {
            role,
            version: verified.version(),
            digest: Sha256Digest::of(verified.signed_bytes()),
            signed: verified.signed_bytes().to_vec(),
            signatures: verified.signatures().to_vec(),
            source: Source::Accepted,
            published: true,
            confirmed: true,
        }));
    }
}

/// Whether a document given for `role` says anything about the wanted ones: it is one of them, it lists the keys of
/// one, or a snapshot has to list it. Nobody here signs a timestamp.
fn concerns(role: &RoleName, wanted: &[RoleName]) -> bool {
    let lists = |below: &RoleName| {
        let rest = below.as_str().strip_prefix(role.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    *role != RoleName::Timestamp && (wanted.contains(&RoleName::Snapshot) || wanted.iter().any(lists))
}

/// Whether a file carries the signed part of that root.
fn is_signed(root: &Verified<Root>, file: &[u8]) -> bool {
    Unverified::<Root>::parse(file).is_ok_and(|other| other.signed_bytes() == root.signed_bytes())
}

fn refused(role: RoleName, error: &TrustError) -> SignError {
    SignError::BaseRefused { role, why: error.to_string() }
}
