//! One repository of a plan, checked from its documents: the published roots as a chain, the new root as exactly what
//! follows them, for this repository and no other. What stands beside the documents in the plan is not looked at.
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{
    CheckSignature, Difference, KeyId, Pin, PublicKey, RoleName, Root, RootCertificate, RootSource,
    Sha256Digest, Trusted, Version, diff, exact, shown,
};

use super::plan::{Occasion, Repository};
use super::quorum::Quorum;
use crate::error::Error;

/// Every repository of a rehearsal is below this name, which nobody can publish under (RFC 2606).
pub const REHEARSAL: &str = "rehearsal.invalid/";

/// A repository of a plan whose documents fit.
#[derive(Clone, Debug)]
pub struct Item<'p> {
    /// As it stands in the plan.
    pub repository: &'p Repository,
    /// What is trusted before the ceremony; `None`: the repository is new.
    pub base: Option<Trusted>,
    /// The new root.
    pub root: Root,
    /// SHA-256 of its canonical bytes.
    pub digest: Sha256Digest,
    /// What it changes.
    pub differences: Vec<Difference>,
    /// Who has to sign it.
    pub quorum: Quorum,
}

impl<'p> Item<'p> {
    /// Reads and checks the documents of one repository.
    ///
    /// # Errors
    /// `CEREMONY_INVALID`, naming the repository and the first thing that is wrong; `REHEARSAL_ONLY` where a rehearsal
    /// is about a repository of the world, or the other way round.
    pub fn check(
        repository: &'p Repository,
        occasion: Occasion,
        checker: &Arc<dyn CheckSignature + Send + Sync>,
    ) -> Result<Self, Error> {
        let gun = &repository.gun;
        let wrong = |why: String| {
            let message = format!("the plan for {gun} is not to be signed: {why}");
            Error::new(Reason::CeremonyInvalid, message).hint("touchmark ceremony plan makes a new one")
        };
        is_of_the_occasion(repository, occasion)?;
        let base = base(repository, checker).map_err(|why| wrong(format!("its published roots: {why}")))?;
        let root: Root = exact(&repository.root).map_err(|why| wrong(format!("its new root: {why}")))?;
        let before = base.as_ref().map(|trusted| &**trusted.root());
        let expected = before.map_or(Some(Version::FIRST), |before| before.version.next());
        if expected != Some(root.version) {
            let after =
                before.map_or_else(|| "nothing".to_owned(), |before| format!("version {}", before.version));
            return Err(wrong(format!("version {} does not follow {after}", root.version)));
        }
        certificates(repository, &root).map_err(wrong)?;
        let differences = diff::root(before, &root);
        if let Some(Difference::Other { what }) =
            differences.iter().find(|difference| matches!(difference, Difference::Other { .. }))
        {
            return Err(wrong(what.clone()));
        }
        let quorum = Quorum::of(before, &root);
        let digest = Sha256Digest::of(&repository.root);
        Ok(Self { repository, base, root, digest, differences, quorum })
    }

    /// Ids under which a key (canonical id) is listed in the old root and the new one: it signs once for each.
    #[must_use]
    pub fn listed_as(&self, key: &KeyId) -> Vec<KeyId> {
        let of_key = self.root_keys().filter(|listed| listed.canonical_id() == *key);
        let mut ids: Vec<KeyId> = of_key.map(PublicKey::id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A root key as the old root or the new one lists it: a certificate.
    #[must_use]
    pub fn listed(&self, id: &KeyId) -> Option<&PublicKey> {
        self.root_keys().find(|listed| listed.id() == *id)
    }

    /// A root key of the old root or the new one, by its canonical id.
    #[must_use]
    pub fn public(&self, key: &KeyId) -> Option<&PublicKey> {
        self.root_keys().find(|listed| listed.canonical_id() == *key)
    }

    /// Whether a root key (canonical id) comes in with the new root.
    #[must_use]
    pub fn is_new_key(&self, key: &KeyId) -> bool {
        let lists = |root: &Root| root.keys_of(&RoleName::Root).any(|listed| listed.canonical_id() == *key);
        lists(&self.root) && !self.base.as_ref().is_some_and(|trusted| lists(trusted.root()))
    }

    fn root_keys(&self) -> impl Iterator<Item = &PublicKey> {
        let roots = self.base.iter().map(|trusted| &**trusted.root()).chain([&self.root]);
        roots.flat_map(|root| root.keys_of(&RoleName::Root))
    }
}

fn is_of_the_occasion(repository: &Repository, occasion: Occasion) -> Result<(), Error> {
    let made_up = repository.gun.as_str().starts_with(REHEARSAL);
    let message = match occasion {
        Occasion::Rehearsal if !made_up => {
            format!("this is a rehearsal, and {} is a repository of the world", repository.gun)
        }
        Occasion::Earnest if made_up => {
            format!("{} is made up for rehearsals, and this is none", repository.gun)
        }
        _ => return Ok(()),
    };
    Err(Error::new(Reason::RehearsalOnly, message)
        .hint(format!("a rehearsal is about repositories below {REHEARSAL}")))
}

fn base(
    repository: &Repository,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Option<Trusted>, touchmark_tuf::TrustError> {
    let mut roots = repository.roots.iter();
    let Some(first) = roots.next() else { return Ok(None) };
    let source = RootSource::First { file: first, pin: &Pin::FirstUse };
    let mut trusted = Trusted::start(&repository.gun, source, Arc::clone(checker))?;
    for file in roots {
        trusted.advance_root(file)?;
    }
    Ok(Some(trusted))
}

/// Each root key stands in a certificate for this very repository: the document does not name it otherwise.
fn certificates(repository: &Repository, root: &Root) -> Result<(), String> {
    let gun = repository.gun.as_str();
    for key in root.keys_of(&RoleName::Root) {
        let certificate = key.key_type().is_certificate().then(|| RootCertificate::from_pem(key.public()));
        let Some(Ok(certificate)) = certificate else {
            return Err(format!("the root key {} has no certificate that can be read", key.id()));
        };
        if certificate.common_name() != gun {
            let of = shown(certificate.common_name()).to_string();
            return Err(format!("the certificate of the root key {} is for {of}", key.canonical_id()));
        }
    }
    Ok(())
}
