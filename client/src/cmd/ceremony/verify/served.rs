//! The roots that trust servers have now, for a record whose reader has none at hand.
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use touchmark_proto::reason::Reason;
use touchmark_tuf::{CheckSignature, RoleName, Version, limits};

use crate::ceremony::anchors::Anchors;
use crate::ceremony::plan::Repository;
use crate::ceremony::record::Record;
use crate::config::ServerUrl;
use crate::context::Ctx;
use crate::error::Error;
use crate::http::{Deadline, TOTAL};
use crate::notary::{Notary, NotaryError, Which};

/// Repositories that are asked for at the same time.
const AT_ONCE: usize = 8;

/// Asks for each repository's current root, and for the one that the record is about.
///
/// # Errors
/// The server's. `SIGNATURE_INVALID`: what it serves is no root.
pub(super) async fn roots(
    ctx: &Ctx,
    record: &Record,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<Anchors, Error> {
    let completed = record.completed().map(|(_, one)| (&one.repository, one.version));
    let versions: std::collections::BTreeMap<_, _> = completed.collect();
    let asked = record.plan.repositories.iter().map(|one| {
        let version = versions.get(&one.gun).and_then(|version| Version::try_from(*version).ok());
        fetch(ctx, one, version)
    });
    let files: Vec<Vec<Vec<u8>>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let mut anchors = Anchors::default();
    for (file, repository) in files.iter().zip(&record.plan.repositories) {
        for root in file {
            anchors.insert(root, checker).map_err(|why| {
                let message =
                    format!("what {} serves for {} is no root: {why}", repository.server, repository.gun);
                Error::new(Reason::SignatureInvalid, message).hint("ask its operator; or --root with a copy")
            })?;
        }
    }
    Ok(anchors)
}

async fn fetch(ctx: &Ctx, repository: &Repository, version: Option<Version>) -> Result<Vec<Vec<u8>>, Error> {
    let server: ServerUrl = repository.server.parse().map_err(|cause| {
        Error::usage(format!("the trust server in the record: {cause}")).hint("--root FILE")
    })?;
    let notary = Notary::new(ctx.http.clone(), server, repository.gun.clone());
    let get =
        async |which| notary.file(&RoleName::Root, which, limits::ROOT_BYTES, Deadline::after(TOTAL)).await;
    let mut files = match get(Which::Current).await {
        Ok(file) => vec![file],
        // A new repository that is not published yet, or one that is gone.
        Err(NotaryError::NoTrustData { .. }) => return Ok(Vec::new()),
        Err(cause) => return Err(Error::from(cause).hint("try again; or --root with copies of the roots")),
    };
    if let Some(version) = version {
        match get(Which::Version(version)).await {
            Ok(file) => files.push(file),
            Err(NotaryError::NotFound { .. } | NotaryError::NoTrustData { .. }) => {}
            Err(cause) => {
                return Err(Error::from(cause).hint("try again; or --root with copies of the roots"));
            }
        }
    }
    Ok(files)
}
