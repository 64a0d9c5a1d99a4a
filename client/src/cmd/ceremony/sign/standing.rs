//! How touchmarkd stands to one repository of a plan before it signs: what it knows, and what it has signed already.
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature as _, KeyId, Ring, RoleName, Root, Signature, Unverified};

use crate::ceremony::item::Item;
use crate::daemon::{Daemon, LastDocument};
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
        let roots = daemon.roots(gun).await?;
        let (incomplete, trusted): (Vec<LastDocument>, Vec<LastDocument>) =
            roots.into_iter().partition(|root| root.incomplete);
        let (incomplete, trusted) = (incomplete.first(), trusted.first());
        let version = item.root.version.get();
        let outdated = |knows: String| {
            let message = format!("the plan is an old one: touchmarkd here knows {knows}");
            Err(Error::new(Reason::PlanOutdated, message).hint("touchmark ceremony plan makes a new one"))
        };
        match trusted {
            Some(trusted) if trusted.version > version => {
                return outdated(format!(
                    "version {} of the root of {gun}, and the plan has version {version}",
                    trusted.version
                ));
            }
            Some(trusted) if trusted.version == version => {
                return match same(trusted, item) {
                    Some(signatures) => Ok(Self::Signed(signatures)),
                    None if trusted.unpublished => Err(reused(item, None)),
                    None => outdated(format!(
                        "another version {version} of the root of {gun}, which is published"
                    )),
                };
            }
            _ => {}
        }
        if let Some(incomplete) = incomplete.filter(|incomplete| incomplete.version >= version) {
            return same(incomplete, item).map(Self::Signed).ok_or_else(|| reused(item, None));
        }
        if trusted.is_some() {
            return Ok(Self::Follows);
        }
        let base = item.base.as_ref().map(|trusted| &trusted.root().roles.root.key_ids);
        let pinned = base.into_iter().flatten().map(ToString::to_string).collect();
        Ok(Self::New { pinned })
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

    /// Whether a published root is to be trusted here for the first time.
    pub(super) fn is_first_contact(&self) -> bool {
        matches!(self, Self::New { pinned } if !pinned.is_empty())
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

/// The signatures of a root, if it is the document of the plan.
fn same(root: &LastDocument, item: &Item<'_>) -> Option<Vec<Signature>> {
    if root.unsigned {
        return (root.file == item.repository.root).then(Vec::new);
    }
    let parsed = Unverified::<Root>::parse(&root.file).ok()?;
    (parsed.signed_bytes() == item.repository.root.as_slice()).then(|| parsed.signatures().to_vec())
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
