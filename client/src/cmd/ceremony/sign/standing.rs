//! How touchmarkd stands to one repository of a plan before it signs: what it knows, and what it has signed already.
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature as _, KeyId, Ring, RoleName, Root, Signature, Unverified};

use crate::ceremony::item::Item;
use crate::daemon::Daemon;
use crate::error::Error;

/// What touchmarkd has of a repository.
#[derive(Debug)]
pub(super) enum Standing {
    /// Nothing. It is to trust these keys of the published root, if there is one.
    New { pinned: Vec<String> },
    /// An earlier root, which the plan follows.
    Follows,
    /// The very document, with these signatures.
    Signed(Vec<Signature>),
}

impl Standing {
    /// Asks touchmarkd.
    ///
    /// # Errors
    /// `PLAN_OUTDATED`: it knows a later root. `VERSION_REUSED`: it has signed another one under that version.
    pub(super) async fn of(daemon: &Daemon, item: &Item<'_>) -> Result<Self, Error> {
        let gun = &item.repository.gun;
        let last = daemon.last(gun).await?;
        let Some(root) = last.into_iter().find(|last| last.role == RoleName::Root) else {
            let base = item.base.as_ref().map(|trusted| &trusted.root().roles.root.key_ids);
            let pinned = base.into_iter().flatten().map(ToString::to_string).collect();
            return Ok(Self::New { pinned });
        };
        let version = item.root.version.get();
        if root.version > version {
            let message = format!(
                "the plan is an old one: touchmarkd here knows version {} of the root of {gun}, and the plan has version \
                 {version}",
                root.version
            );
            return Err(
                Error::new(Reason::PlanOutdated, message).hint("touchmark ceremony plan makes a new one")
            );
        }
        if root.version < version {
            return Ok(Self::Follows);
        }
        if root.unsigned && root.file == item.repository.root {
            return Ok(Self::Signed(Vec::new()));
        }
        let parsed = Unverified::<Root>::parse(&root.file).ok();
        match parsed.filter(|parsed| parsed.signed_bytes() == item.repository.root.as_slice()) {
            Some(same) => Ok(Self::Signed(same.signatures().to_vec())),
            None if root.unpublished || root.unsigned => Err(reused(item, None)),
            None => {
                let message = format!(
                    "the plan is an old one: touchmarkd here knows another version {version} of the root of {gun}, which \
                     is published"
                );
                Err(Error::new(Reason::PlanOutdated, message).hint("touchmark ceremony plan makes a new one"))
            }
        }
    }

    /// The signatures of a key that touchmarkd has given before, all that are wanted of it.
    pub(super) fn signed(&self, item: &Item<'_>, key: &KeyId) -> Option<Vec<Signature>> {
        let Self::Signed(signatures) = self else { return None };
        let of = |id: &KeyId| {
            let public = item.listed(id)?;
            let good = |one: &&Signature| {
                one.key_id == *id && Ring.check(public, one.method, &item.repository.root, &one.bytes)
            };
            signatures.iter().find(good).cloned()
        };
        item.listed_as(key).iter().map(of).collect()
    }

    /// The published roots that touchmarkd has to see, and what it is to make of the first one.
    pub(super) fn bases(&self, item: &Item<'_>) -> (Vec<(RoleName, Vec<u8>)>, Option<v1::RootAcceptance>) {
        let base = |file: &Vec<u8>| (RoleName::Root, file.clone());
        let roots = &item.repository.roots;
        match self {
            // It begins with the current one, as the person has agreed.
            Self::New { pinned } if !roots.is_empty() => {
                let accept = v1::RootAcceptance { first_use: false, pinned_key_ids: pinned.clone() };
                (roots.last().map(base).into_iter().collect(), Some(accept))
            }
            Self::New { .. } => (Vec::new(), None),
            // Links that it has behind it are passed over.
            Self::Follows | Self::Signed(_) => (roots.iter().map(base).collect(), None),
        }
    }
}

/// A refusal of touchmarkd, with the way on where a ceremony has its own.
pub(super) fn explained(item: &Item<'_>, cause: Error) -> Error {
    match cause.reason {
        Reason::VersionReused => reused(item, Some(cause)),
        Reason::VersionRegression => {
            let message = format!("the plan is an old one: {}", cause.message);
            Error { reason: Reason::PlanOutdated, message, ..cause }
                .hint("touchmark ceremony plan makes a new one")
        }
        _ => {
            let message = format!("{}: {}", item.repository.gun, cause.message);
            Error { message, ..cause }
        }
    }
}

fn reused(item: &Item<'_>, cause: Option<Error>) -> Error {
    let (gun, version) = (&item.repository.gun, item.root.version);
    let message = format!(
        "touchmarkd here has signed another root of {gun} under version {version}: an earlier plan was signed here, and \
         two roots of one version must never be out in the world"
    );
    let error = Error::new(Reason::VersionReused, message).hint(format!(
        "go on with that plan; or, when you know that what was signed is destroyed everywhere: touchmark ledger release \
         {gun} --role root --version {version} --reason TEXT"
    ));
    Error { request_id: cause.and_then(|cause| cause.request_id), ..error }
}
