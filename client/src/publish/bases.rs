//! What the daemon is shown of the server's documents: those that it does not know yet.
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Document as _, RoleName, Trusted};

use super::send::Files;
use super::{Publisher, server};
use crate::daemon::{LastDocument, SignJob, SignedJob};
use crate::error::Error;
use crate::reader::{Ground, View};

impl Publisher<'_> {
    /// The server's files that the daemon does not know: root chain first, then parents before delegations.
    pub(super) async fn bases(
        &self,
        roles: impl Iterator<Item = &RoleName>,
        trusted: &Trusted,
        last: &[LastDocument],
    ) -> Result<Files, Error> {
        let known = |role: &RoleName| last.iter().find(|last| last.role == *role);
        let mut bases = server::root_chain(&self.notary, trusted, known_root(last)).await?;
        let mut wanted: Vec<&RoleName> = vec![&RoleName::Targets];
        wanted.extend(roles.filter(|role| !matches!(role, RoleName::Targets | RoleName::Root)));
        for role in wanted {
            let Some(held) = server::held(trusted, role) else { continue };
            let version = held.document.version().get();
            // Also the same version: the daemon learns that its own was published, or that another was.
            let is_news = known(role)
                .is_none_or(|last| last.version < version || last.unpublished && last.version == version);
            if is_news {
                bases.push((role.clone(), held.file));
            }
        }
        Ok(bases)
    }

    /// Has a job signed. After a restore the daemon wants to see all of the server's documents before it goes on.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub(super) async fn sign_job(&self, mut job: SignJob, trusted: &Trusted) -> Result<SignedJob, Error> {
        match self.daemon.sign(&job).await {
            Err(error) if error.reason == Reason::BaseUnknown => {
                job.bases = every_base(trusted);
                self.daemon.sign(&job).await
            }
            other => other,
        }
    }
}

/// The version of the root that the daemon goes by for certain. One that it signed and nobody showed it yet may lack
/// signatures of others.
pub(super) fn known_root(last: &[LastDocument]) -> Option<u64> {
    let root = last.iter().find(|last| last.role == RoleName::Root)?;
    Some(if root.unpublished { root.version.saturating_sub(1) } else { root.version })
}

/// The root of a repository that the daemon has not seen: the one that this client goes by, and why.
pub(super) fn accept(view: &View, last: &[LastDocument]) -> Option<v1::RootAcceptance> {
    if known_root(last).is_some_and(|version| version > 0) {
        return None;
    }
    let pinned_key_ids = match view.ground {
        Ground::FirstUse => Vec::new(),
        Ground::Known | Ground::Pinned => view.root_key_ids().iter().map(ToString::to_string).collect(),
    };
    Some(v1::RootAcceptance { first_use: pinned_key_ids.is_empty(), pinned_key_ids })
}

fn every_base(trusted: &Trusted) -> Files {
    let mut bases = vec![(RoleName::Root, trusted.root().file().to_vec())];
    let targets = trusted.document(&RoleName::Targets);
    bases.extend(targets.map(|document| (RoleName::Targets, document.file().to_vec())));
    let delegations = targets.into_iter().flat_map(|document| &document.delegations.roles);
    for name in delegations.map(|role| RoleName::from(role.name.clone())) {
        bases.extend(trusted.document(&name).map(|document| (name.clone(), document.file().to_vec())));
    }
    bases
}
