//! What the daemon has of a repository, whole: a document whose signatures a crash took has its version for good, so it
//! is signed again as it is before anything is built upon it.
use touchmark_tuf::{Document, KeyId, RoleName, Root, Targets, Unverified, exact};

use super::Publisher;
use super::roles::Keyring;
use super::send::Files;
use crate::daemon::{DocumentToSign, LastDocument, SignJob};
use crate::error::Error;

impl Publisher<'_> {
    /// Every document of the repository that the daemon knows, with its signatures.
    ///
    /// # Errors
    /// The daemon's refusal: `VAULT_LOCKED` for one, where something has to be signed again.
    pub(super) async fn last(&self) -> Result<Vec<LastDocument>, Error> {
        let gun = self.image.gun();
        let last = self.daemon.last(gun).await?;
        if !last.iter().any(|last| last.unsigned) {
            return Ok(last);
        }
        let ring = Keyring::of(gun, &self.daemon.key_list().await?);
        let documents: Vec<DocumentToSign> = last
            .iter()
            .filter(|one| one.unsigned)
            .map(|one| {
                let keys = signers(&one.role, &last, &ring);
                DocumentToSign { role: one.role.clone(), keys, bytes: one.file.clone() }
            })
            .collect();
        let job =
            SignJob { gun: gun.clone(), documents, bases: Files::new(), accept_root: None, seen: Vec::new() };
        self.daemon.sign(&job).await?;
        Ok(self.daemon.last(gun).await?.into_iter().filter(|last| !last.unsigned).collect())
    }
}

/// The keys that a role is signed with, by what the daemon's own documents list; none that is held: the daemon says so.
fn signers(role: &RoleName, last: &[LastDocument], ring: &Keyring) -> Vec<KeyId> {
    let signing = match role {
        RoleName::Delegation(_) => {
            let targets = document::<Targets>(&RoleName::Targets, last);
            targets.and_then(|targets| ring.delegations(&targets).into_iter().find(|one| one.role == *role))
        }
        _ => document::<Root>(&RoleName::Root, last).and_then(|root| ring.base_role(role, &root)),
    };
    signing.map(|signing| signing.with).unwrap_or_default()
}

/// One of the daemon's own documents.
fn document<D: Document + Clone>(role: &RoleName, last: &[LastDocument]) -> Option<D> {
    let one = last.iter().find(|one| one.role == *role)?;
    if one.unsigned {
        return exact(&one.file).ok();
    }
    Unverified::<D>::parse(&one.file).ok().map(|file| file.document_unverified().clone())
}
