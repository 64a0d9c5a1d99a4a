//! What others see of a published root: whoever has nothing but its keys, and whoever has nothing but the root before.
//! Each reads with a trust directory of its own, which goes when it is done.
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{Document as _, RoleName, Root, Unverified, limits};

use crate::ceremony::item::Item;
use crate::ceremony::record::Published;
use crate::context::Ctx;
use crate::error::Error;
use crate::http::{Deadline, TOTAL};
use crate::notary::{Notary, NotaryError, Which};
use crate::reader::pins::Pins;
use crate::reader::{Reader, View};
use crate::trust_dir::{Files, TrustDir};

/// Whether the server has the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It is the current one.
    Current,
    /// It was, and another one has followed it: this version.
    Earlier(u64),
    /// It does not have it.
    No,
}

/// Asks the server whether it has the root.
///
/// # Errors
/// Why it does not say.
pub(super) async fn held(notary: &Notary, item: &Item<'_>) -> Result<Held, Error> {
    let get = async |which| match notary
        .file(&RoleName::Root, which, limits::ROOT_BYTES, Deadline::after(TOTAL))
        .await
    {
        Ok(file) => Ok(Some(file)),
        Err(NotaryError::NoTrustData { .. } | NotaryError::NotFound { .. }) => Ok(None),
        Err(cause) => Err(Error::from(cause)),
    };
    let is_it = |file: &Unverified<Root>| file.signed_bytes() == item.repository.root;
    let Some(current) = get(Which::Current).await? else { return Ok(Held::No) };
    // What cannot be read is told by whoever publishes.
    let Ok(current) = Unverified::<Root>::parse(&current) else { return Ok(Held::No) };
    if is_it(&current) {
        return Ok(Held::Current);
    }
    let version = current.document_unverified().version();
    if version <= item.root.version {
        return Ok(Held::No);
    }
    let ours = get(Which::Version(item.root.version)).await?;
    let same = ours.and_then(|file| Unverified::<Root>::parse(&file).ok()).is_some_and(|file| is_it(&file));
    Ok(if same { Held::Earlier(version.get()) } else { Held::No })
}

/// Reads as both of them.
///
/// # Errors
/// Why one of them refuses what is published.
pub(super) async fn read(
    ctx: &Ctx,
    notary: &Notary,
    item: &Item<'_>,
    held: Held,
) -> Result<Published, Error> {
    let repository = &item.repository;
    let refused = |who: &str, cause: Error| {
        let message = format!("published, but {who} refuses it: {}", cause.message);
        Error { message, ..cause }
    };
    let mut targets = None;
    let mut look = |view: &View| {
        targets = view.trusted.document(&RoleName::Targets).map(|document| document.version().get());
        let root = view.trusted.root().version;
        format!("root {root}, targets {}", targets.unwrap_or_default())
    };
    let fresh_client = match held {
        // Its keys may have left since.
        Held::Earlier(version) => format!("not read: the server is at root {version} by now"),
        Held::Current | Held::No => {
            let pins = Pins::of_one(&repository.gun, item.root.roles.root.key_ids.clone());
            let view = as_client(ctx, notary, &pins, None).await;
            let view = view.map_err(|cause| refused("a client with the new root keys", cause))?;
            is_ours(item, &view).map_err(|cause| refused("a client with the new root keys", cause))?;
            look(&view)
        }
    };
    let old_client = match repository.roots.last() {
        None => "none: the repository is new".to_owned(),
        Some(old) => {
            let view = as_client(ctx, notary, &Pins::default(), Some(old)).await;
            let view = view.map_err(|cause| refused("a client with the old root", cause))?;
            is_ours(item, &view).map_err(|cause| refused("a client with the old root", cause))?;
            look(&view)
        }
    };
    Ok(Published {
        repository: repository.gun.clone(),
        version: item.root.version.get(),
        server: repository.server.clone(),
        fresh_client,
        old_client,
        targets: targets.unwrap_or_default(),
    })
}

/// Reads everything with a trust directory that holds this root, or nothing.
async fn as_client(ctx: &Ctx, notary: &Notary, pins: &Pins, kept: Option<&[u8]>) -> Result<View, Error> {
    let folder = tempfile::tempdir()
        .map_err(|cause| Error::usage(format!("a temporary folder cannot be made: {cause}")))?;
    let trust_dir = TrustDir::new(folder.path().to_owned());
    if let Some(root) = kept {
        let mut files = Files::default();
        files.insert(RoleName::Root, root.to_vec());
        trust_dir.commit(notary.gun(), &Files::default(), &files)?;
    }
    let checked = Arc::clone(&ctx.checked);
    let reader =
        Reader { notary, trust_dir: &trust_dir, pins, now: ctx.now, checked: &checked, out: &ctx.out };
    // The folder is still there: reading puts into it what it has found.
    let view = reader.read().await;
    drop(folder);
    view
}

/// Whether what was read is the root of the ceremony, or one that follows it.
fn is_ours(item: &Item<'_>, view: &View) -> Result<(), Error> {
    let (root, ours) = (view.trusted.root(), item.root.version);
    if root.version > ours || root.signed_bytes() == item.repository.root {
        return Ok(());
    }
    let message = format!("it still sees root version {}, and version {ours} was published", root.version);
    Err(Error::new(Reason::PublishConflict, message).hint("a cache between? the same command again, later"))
}
