//! What the trust server has of a repository: its verified current documents, and earlier ones by version to find
//! out what of the daemon's was ever published.
use std::collections::BTreeMap;
use std::time::Duration;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{
    Document as _, Instant, Ring, RoleName, Root, RootCertificate, Sha256Digest, Snapshot, Targets, Trusted,
    Unverified, Version, limits,
};

use super::plan::{self, Held, Lineage};
use super::roles::Signing;
use crate::context::Ctx;
use crate::daemon::LastDocument;
use crate::error::Error;
use crate::http::{Deadline, TOTAL};
use crate::image::Image;
use crate::notary::{Notary, NotaryError, Which};
use crate::reader::{self, Freshness, View};

/// How many versions back the last published one is looked for. Each is one that was signed here and never sent.
const LOOK_BACK: u64 = 64;

/// Versions that the daemon has given out for one role, and the digests of what it signed under them.
pub(super) type Given = BTreeMap<u64, Sha256Digest>;

/// Reads what the server has of an image's repository, for `Publisher::look_with`.
///
/// # Errors
/// As `Publisher::run`.
pub async fn glance(ctx: &Ctx, image: &Image) -> Result<Option<View>, Error> {
    current(ctx, image, ctx.now).await
}

/// Whether what was read of the server is as good as if it had been read after `last`: it has everything that the daemon
/// may know to be published. What has expired can be read in another way.
pub(super) fn is_enough(early: &Result<Option<View>, Error>, last: &[LastDocument]) -> bool {
    match early {
        Ok(Some(view)) => last.iter().all(|last| match last.role {
            RoleName::Root => last.version <= view.trusted.root().version().get(),
            RoleName::Targets | RoleName::Delegation(_) => view
                .trusted
                .document(&last.role)
                .is_some_and(|document| last.version <= document.version().get()),
            RoleName::Snapshot | RoleName::Timestamp => true,
        }),
        Ok(None) => last.is_empty(),
        Err(cause) => cause.reason != Reason::Expired,
    }
}

/// The server's current documents, verified as every reader does at the time `now`; `None` if it has none of this
/// repository. What only the cache knows is no ground to sign on.
pub(super) async fn current(ctx: &Ctx, image: &Image, now: Instant) -> Result<Option<View>, Error> {
    let view = match reader::read_at(ctx, image, now).await {
        Ok(view) => view,
        Err(error) if error.reason == Reason::NoTrustData => return Ok(None),
        Err(error) => return Err(error),
    };
    let Freshness::Cache(why) = &view.freshness else { return Ok(Some(view)) };
    let (notary, cap) = (ctx.notary(image)?, limits::file_bytes(&RoleName::Root));
    match notary.file(&RoleName::Root, Which::Current, cap, Deadline::after(TOTAL)).await {
        Err(NotaryError::NoTrustData { .. }) => Ok(None),
        _ => Err(Error::new(
            Reason::TrustServerUnreachable,
            format!("{} is not there: {why}", notary.server()),
        )
        .hint("touchmark doctor")),
    }
}

/// The same for whoever replaces what has expired: read as it was before it did.
pub(super) async fn current_or_expired(ctx: &Ctx, image: &Image) -> Result<Option<View>, Error> {
    match current(ctx, image, ctx.now).await {
        Err(error) if error.reason == Reason::Expired => match first_end(ctx, image).await? {
            Some(end) if end < ctx.now => current(ctx, image, end.minus(Duration::from_secs(1))).await,
            _ => Err(error),
        },
        other => other,
    }
}

/// When the first of the server's documents, or of its root certificates, ends. Nothing of it is believed: reading at
/// that time believes nothing more than reading now.
async fn first_end(ctx: &Ctx, image: &Image) -> Result<Option<Instant>, Error> {
    let notary = ctx.notary(image)?;
    let mut ends = Vec::new();
    for role in [RoleName::Root, RoleName::Targets, RoleName::Snapshot] {
        let cap = limits::file_bytes(&role);
        let file = match notary.file(&role, Which::Current, cap, Deadline::after(TOTAL)).await {
            Ok(file) => file,
            Err(NotaryError::NotFound { .. }) => continue,
            Err(cause) => return Err(cause.into()),
        };
        match role {
            RoleName::Root => {
                let root = Unverified::<Root>::parse(&file).ok();
                let root = root.as_ref().map(Unverified::document_unverified);
                ends.extend(root.map(|root| root.expires.instant()));
                let keys = root.into_iter().flat_map(|root| root.keys_of(&RoleName::Root));
                let certificates = keys.filter_map(|key| RootCertificate::from_pem(key.public()).ok());
                ends.extend(certificates.map(|certificate| certificate.not_after()));
            }
            RoleName::Snapshot => ends.extend(
                Unverified::<Snapshot>::parse(&file)
                    .ok()
                    .map(|file| file.document_unverified().expires.instant()),
            ),
            _ => ends.extend(own(file).ok().map(|own| own.document.expires.instant())),
        }
    }
    Ok(ends.into_iter().min())
}

/// An earlier root, as it was served.
pub(super) async fn root_of(notary: &Notary, version: Version) -> Result<Vec<u8>, Error> {
    let cap = limits::file_bytes(&RoleName::Root);
    Ok(notary.file(&RoleName::Root, Which::Version(version), cap, Deadline::after(TOTAL)).await?)
}

/// A role's document as the server has it.
pub(super) fn held(trusted: &Trusted, role: &RoleName) -> Option<Held> {
    let verified = trusted.document(role)?;
    Some(Held {
        document: (**verified).clone(),
        signed: verified.signed_bytes().to_vec(),
        file: verified.file().to_vec(),
    })
}

/// Reads a document of the daemon. It checked the signatures itself, and they are checked again before it is sent.
pub(super) fn own(file: Vec<u8>) -> Result<Held, Error> {
    let parsed = Unverified::<Targets>::parse(&file)
        .map_err(|cause| Error::internal(format!("touchmarkd's last document cannot be read: {cause}")))?;
    Ok(Held { document: parsed.document_unverified().clone(), signed: parsed.signed_bytes().to_vec(), file })
}

/// Whether the server ever had the daemon's document, and which was the last one before it that it had.
pub(super) async fn lineage(
    notary: &Notary,
    signing: &Signing,
    server: Option<&Held>,
    daemon: &Held,
    given: &Given,
) -> Result<Lineage, Error> {
    let Some(server) = server else { return Ok(Lineage::Unpublished(None)) };
    if server.signed == daemon.signed {
        return Ok(Lineage::Published);
    }
    let newest = daemon.document.version().get();
    let mut theirs = Vec::new();
    for number in (1..=newest).rev().take(usize::try_from(LOOK_BACK).unwrap_or(usize::MAX)) {
        let Ok(version) = Version::try_from(number) else { continue };
        let found = if server.document.version() == version {
            Some(server.clone())
        } else {
            by_version(notary, signing, version).await?
        };
        let Some(found) = found else { continue };
        let ours = match given.get(&number) {
            Some(digest) => Sha256Digest::of(&found.signed) == *digest,
            // Nobody signed that version here, so the daemon once took it as its base; its last one it did sign.
            None => number < newest || found.signed == daemon.signed,
        };
        match (ours, number == newest) {
            (true, true) => return Ok(Lineage::Published),
            (true, false) => {
                return Ok(Lineage::Unpublished(Some(plan::ancestor(
                    found.document,
                    theirs,
                    &daemon.document,
                ))));
            }
            (false, true) => {}
            (false, false) => theirs.push(found.document),
        }
    }
    Ok(Lineage::Unpublished(None))
}

/// The document that the server published under a version number, if it has one that the role's keys signed.
pub(super) async fn published(
    notary: &Notary,
    signing: &Signing,
    number: u64,
) -> Result<Option<Held>, Error> {
    match Version::try_from(number) {
        Ok(version) => by_version(notary, signing, version).await,
        Err(_) => Ok(None),
    }
}

/// An earlier document, if the server still has it and the role's present keys signed it.
async fn by_version(notary: &Notary, signing: &Signing, version: Version) -> Result<Option<Held>, Error> {
    let cap = limits::file_bytes(&signing.role);
    let file = match notary.file(&signing.role, Which::Version(version), cap, Deadline::after(TOTAL)).await {
        Ok(file) => file,
        Err(NotaryError::NotFound { .. }) => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let verified = Unverified::<Targets>::parse(&file)
        .ok()
        .and_then(|parsed| parsed.verify(&signing.role_keys, &signing.keys, &Ring).ok())
        .filter(|verified| verified.version() == version);
    Ok(verified.map(|verified| Held {
        signed: verified.signed_bytes().to_vec(),
        document: verified.into_document(),
        file,
    }))
}

/// The roots between the daemon's and the server's current one, oldest first, as the daemon has to see them.
pub(super) async fn root_chain(
    notary: &Notary,
    trusted: &Trusted,
    daemon: Option<u64>,
) -> Result<Vec<(RoleName, Vec<u8>)>, Error> {
    let current = trusted.root().version().get();
    let mut chain = Vec::new();
    // A daemon that has none starts from the current one.
    for number in daemon.map_or(current, |number| number + 1)..current {
        let Ok(version) = Version::try_from(number) else { continue };
        chain.push((RoleName::Root, root_of(notary, version).await?));
    }
    if daemon.is_none_or(|number| number < current) {
        chain.push((RoleName::Root, trusted.root().file().to_vec()));
    }
    Ok(chain)
}
