//! What a trust server has published of a repository's roots: verified as every reader verifies, with every version
//! before the current one, so that whoever signs offline can follow the chain.
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{
    CheckSignature, Gun, Pin, RoleName, Root, RootSource, TrustError, Trusted, Unverified, Version, limits,
};

use crate::context::Ctx;
use crate::error::Error;
use crate::http::{Deadline, TOTAL};
use crate::image::Image;
use crate::notary::{Notary, NotaryError, Which};
use crate::publish::glance;

/// The published root files, oldest first and without gaps, the last one verified; `None`: the server has no trust data
/// of the repository.
///
/// # Errors
/// Why the server's documents are not to be believed, or it was of no use.
pub async fn roots(ctx: &Ctx, image: &Image, notary: &Notary) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let gun = image.gun();
    match glance(ctx, image).await {
        Ok(None) => Ok(None),
        Ok(Some(view)) => {
            let current = view.trusted.root();
            let chain = chain(notary, current.version, current.file().to_vec()).await?;
            verify(ctx, gun, &chain)?;
            Ok(Some(chain))
        }
        // What has ended is what a new root is for: the roots alone are looked at.
        Err(cause) if cause.reason == Reason::Expired => {
            ctx.out
                .warn(&format!("{}: its roots are taken all the same, as far as they verify", cause.message));
            let cap = limits::ROOT_BYTES;
            let file = notary.file(&RoleName::Root, Which::Current, cap, Deadline::after(TOTAL)).await?;
            let parsed = Unverified::<Root>::parse(&file).map_err(|cause| refused(gun, &cause))?;
            let version = parsed.document_unverified().version;
            let chain = chain(notary, version, file).await?;
            verify(ctx, gun, &chain)?;
            Ok(Some(chain))
        }
        Err(cause) => Err(cause),
    }
}

/// Every root before the current one that the server still has, without gaps.
async fn chain(notary: &Notary, current: Version, file: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
    let mut chain = vec![file];
    for number in (1..current.get()).rev() {
        let Ok(version) = Version::try_from(number) else { break };
        let which = Which::Version(version);
        match notary.file(&RoleName::Root, which, limits::ROOT_BYTES, Deadline::after(TOTAL)).await {
            Ok(file) => chain.push(file),
            Err(NotaryError::NotFound { .. }) => break,
            Err(cause) => return Err(cause.into()),
        }
    }
    chain.reverse();
    Ok(chain)
}

/// The chain verifies link by link, holds what this reader knew before, and ends in what is pinned.
fn verify(ctx: &Ctx, gun: &Gun, chain: &[Vec<u8>]) -> Result<(), Error> {
    let kept = ctx.trust_dir.load(gun)?.get(&RoleName::Root).map(|file| file.to_vec());
    let pin = ctx.pins()?.of(gun).map_or(Pin::FirstUse, |ids| Pin::KeyIds(ids.to_vec()));
    let checker =
        || -> Arc<dyn CheckSignature + Send + Sync> { Arc::<crate::checked::Checked>::clone(&ctx.checked) };
    let follow = |first: &[u8], rest: &[Vec<u8>]| {
        let mut trusted = Trusted::start(gun, RootSource::Cached(first), checker())?;
        for file in rest {
            match trusted.advance_root(file) {
                // Older links, which this reader has behind it.
                Err(TrustError::Rollback { .. }) => {}
                other => other?,
            }
        }
        Ok(trusted)
    };
    let wrong = |cause: TrustError| refused(gun, &cause);
    let (Some(oldest), Some(current)) = (chain.first(), chain.last()) else {
        return Err(Error::internal("no root was read"));
    };
    follow(oldest, chain.get(1..).unwrap_or_default()).map_err(wrong)?;
    if let Some(kept) = kept {
        follow(&kept, chain).map_err(wrong)?;
    }
    Trusted::start(gun, RootSource::First { file: current, pin: &pin }, checker()).map_err(wrong)?;
    Ok(())
}

fn refused(gun: &Gun, cause: &dyn std::fmt::Display) -> Error {
    Error::new(Reason::TrustDataInvalid, format!("the published roots of {gun}: {cause}"))
        .hint(format!("touchmark inspect {gun}"))
}
