//! A complete root goes to the trust server, with what has to go along: the targets document under another tagging key,
//! and the snapshot where its key is in the vault.
mod along;
mod refusal;

use std::collections::BTreeMap;

use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Pin, RoleName, Root, RootSource, Trusted, Unverified, Verified, Version, exact};

use super::roles::Keyring;
use super::send::{self, Files, Sent};
use super::{Attempt, Publisher, Report, refuse_rehearsal, server};
use crate::context::Ctx;
use crate::daemon::{Daemon, LastDocument};
use crate::error::Error;
use crate::image::Image;
use crate::reader::View;
use crate::trust_dir;

pub(super) use along::{Along, Fitting};
use refusal::{displaced, invalid, lost, outdated, unbelievable};

/// A root that everybody has signed who had to, and what it follows.
#[derive(Clone, Copy, Debug)]
pub struct NewRoot<'a> {
    /// Its file, with all signatures.
    pub file: &'a [u8],
    /// The file of the root before it. `None`: it is the first one of its repository.
    pub base: Option<&'a [u8]>,
}

/// What became of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootReport {
    /// Its version.
    pub version: Version,
    /// The version of the targets document that went with it, if one had to.
    pub targets: Option<Version>,
    /// The roles that were sent; none: the server had this root already.
    pub published: Vec<RoleName>,
    /// What the daemon signed besides, in its words.
    pub differences: Vec<String>,
    /// The last audit row of that and its hash in hex.
    pub audit: Option<(u64, String)>,
}

/// What server and daemon have of a repository whose root is to change.
#[derive(Debug)]
pub struct Standing {
    /// The server's documents; they may have expired. `None`: it has none.
    pub view: Option<View>,
    pub(super) last: Vec<LastDocument>,
    /// The daemon's keys.
    pub keys: Vec<v1::Key>,
    pub(super) given: BTreeMap<RoleName, server::Given>,
    /// The root whose version was given out here, and which lacks signatures: a crash took them, or others have still
    /// to sign.
    begun: Option<LastDocument>,
}

/// Publishes a root, reads it back and verifies it as this machine's reader does. Safe to call again: a root that the
/// server has already is only read back. The daemon is needed where a targets document has to go along (the root is the
/// first one, or has another tagging key) and where the vault holds the snapshot key: it signs those here.
///
/// # Errors
/// `REHEARSAL_ONLY`. `PLAN_OUTDATED`: the server's root is neither the one before nor this one. `SIGNATURE_INVALID`, `EXPIRED`: nobody
/// would believe this root. `DAEMON_UNREACHABLE`, `KEY_UNKNOWN`: what has to go along cannot be signed. The daemon's or
/// the server's refusal. What was signed is kept by the daemon.
pub async fn publish_root(
    ctx: &Ctx,
    daemon: Option<&Daemon>,
    image: &Image,
    new: &NewRoot<'_>,
) -> Result<RootReport, Error> {
    refuse_rehearsal(image)?;
    let file = Unverified::<Root>::parse(new.file)
        .map_err(|cause| invalid(image, &format!("it cannot be read: {cause}")))?;
    let version = file.document_unverified().version;
    let mut report = Report::default();
    let Some(daemon) = daemon else {
        alone(ctx, image, new, file.signed_bytes(), &mut report).await?;
        return Ok(told(version, report));
    };
    let publisher = Publisher::new(ctx, daemon, image).await?;
    let standing = publisher.stand().await?;
    if is_there(standing.view.as_ref(), file.signed_bytes()) {
        return Ok(told(version, report));
    }
    let root = follows(ctx, image, standing.view.as_ref(), new)?;
    let done = publisher.deliver(&standing, &root, Files::new(), &mut report).await;
    done.map_err(|error| send::unfinished(image, report.fate, error))?;
    Ok(told(version, report))
}

/// The same without a daemon: only the root has to go out.
async fn alone(
    ctx: &Ctx,
    image: &Image,
    new: &NewRoot<'_>,
    signed: &[u8],
    report: &mut Report,
) -> Result<(), Error> {
    let view = server::current_or_expired(ctx, image).await?;
    if is_there(view.as_ref(), signed) {
        return Ok(());
    }
    let root = follows(ctx, image, view.as_ref(), new)?;
    if needs_targets(view.as_ref(), &root) {
        let gun = image.gun();
        let message =
            format!("a targets document of {gun} has to go with this root, and touchmarkd signs it");
        let hint = "start the touchmarkd whose vault has its tagging key";
        return Err(Error::new(Reason::DaemonUnreachable, message).hint(hint));
    }
    let files = vec![(RoleName::Root, new.file.to_vec())];
    if send::send(&ctx.notary(image)?, files.clone(), &mut report.fate).await? == Sent::Conflict {
        return Err(lost(image));
    }
    is_read_back(ctx, image, &files).await?;
    report.sent([RoleName::Root]);
    Ok(())
}

impl Publisher<'_> {
    /// Looks at what there is, for somebody who changes the root.
    ///
    /// # Errors
    /// Why server or daemon do not say, or are not to be believed.
    pub async fn stand(&self) -> Result<Standing, Error> {
        // Whatever the daemon gave out until now must be in its ledger.
        let last = self.last().await?;
        let (keys, given, roots) =
            futures_util::join!(self.daemon.key_list(), self.given(), self.daemon.roots(self.image.gun()));
        let view = server::current_or_expired(self.ctx, self.image).await?;
        let begun = roots?.into_iter().find(|root| root.incomplete);
        Ok(Standing { view, last, keys: keys?, given: given?, begun })
    }

    /// The root that was signed here, with all signatures, and never published, if it is what follows the server's.
    ///
    /// # Errors
    /// `PUBLISH_CONFLICT` where somebody else has published another one under its version.
    pub(super) fn waiting_root(
        &self,
        view: &View,
        last: &[LastDocument],
    ) -> Result<Option<Verified<Root>>, Error> {
        let Some(own) = last.iter().find(|one| one.role == RoleName::Root && one.unpublished) else {
            return Ok(None);
        };
        let server = view.trusted.root();
        if own.version > server.version.get() {
            let mut trusted = view.trusted.clone();
            // Further roots than the next one were never to be had.
            return Ok(trusted.advance_root(&own.file).is_ok().then(|| trusted.root().clone()));
        }
        let is_the_servers = is_root(&own.file, server.signed_bytes());
        if own.version < server.version.get() || is_the_servers {
            return Ok(None);
        }
        Err(displaced(self.image, own.version))
    }

    /// Sends the root that waits, before anything else is done in the repository: the daemon goes by it already.
    pub(super) async fn send_waiting_root(
        &self,
        view: &View,
        last: &[LastDocument],
        report: &mut Report,
    ) -> Result<Option<Attempt>, Error> {
        if self.waiting_root(view, last)?.is_none() {
            return Ok(None);
        }
        let standing = self.stand().await?;
        let Some(view) = &standing.view else { return Ok(Some(Attempt::Lost)) };
        let Some(root) = self.waiting_root(view, &standing.last)? else {
            return Ok(Some(Attempt::Begun));
        };
        match self.deliver(&standing, &root, Files::new(), report).await {
            Ok(()) => Ok(Some(Attempt::Begun)),
            Err(error) if error.reason == Reason::PublishConflict => Ok(Some(Attempt::Lost)),
            Err(error) => Err(error),
        }
    }

    /// Has signed what goes along with a root, sends all of it and reads it back. `files`: what was signed already.
    ///
    /// # Errors
    /// `PUBLISH_CONFLICT`: somebody else was first. The daemon's or the server's refusal.
    pub(super) async fn deliver(
        &self,
        standing: &Standing,
        root: &Verified<Root>,
        mut files: Files,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (view, last) = (standing.view.as_ref(), standing.last.as_slice());
        files.insert(0, (RoleName::Root, root.file().to_vec()));
        let is_signed = files.iter().any(|(role, _)| *role == RoleName::Targets);
        if Along::of(view, root) == Along::Targets && !is_signed {
            let targets = self.targets_under(standing, root, report).await?;
            files.push((RoleName::Targets, targets));
        }
        // With keys that were just made.
        let ring = Keyring::of(self.image.gun(), &self.daemon.key_list().await?);
        let trusted = view.map(|view| &view.trusted);
        self.add_snapshot(&ring, trusted, last, &mut files, root, report).await?;
        if self.send(&files, report.audit.as_ref(), &mut report.fate).await? == Sent::Conflict {
            return Err(lost(self.image));
        }
        if view.is_none() {
            trust(self.ctx, self.image, root.file());
        }
        is_read_back(self.ctx, self.image, &files).await?;
        report.sent(files.iter().map(|(role, _)| role.clone()));
        report.targets = files
            .iter()
            .find(|(role, _)| *role == RoleName::Targets)
            .and_then(|(_, file)| server::own(file.clone()).ok())
            .map(|own| own.document.version);
        Ok(())
    }
}

impl Standing {
    /// The root that was begun here under the next version: its number is taken, so it is this one or none.
    #[must_use]
    pub fn begun_root(&self) -> Option<Root> {
        let begun = self.begun.as_ref()?;
        let current = &self.view.as_ref()?.trusted;
        if current.root().version.next().map(Version::get) != Some(begun.version) {
            return None;
        }
        match Unverified::<Root>::parse(&begun.file) {
            Ok(file) => Some(file.document_unverified().clone()),
            Err(_) => exact(&begun.file).ok(),
        }
    }
}

/// Whether a targets document has to go along with a root.
#[must_use]
pub fn needs_targets(view: Option<&View>, root: &Root) -> bool {
    Along::of(view, root) == Along::Targets
}

/// What is told of it.
pub(super) fn told(version: Version, report: Report) -> RootReport {
    let Report { published, differences, audit, targets, .. } = report;
    RootReport { version, targets, published, differences, audit }
}

/// The root, verified as what follows the server's.
fn follows(
    ctx: &Ctx,
    image: &Image,
    view: Option<&View>,
    new: &NewRoot<'_>,
) -> Result<Verified<Root>, Error> {
    let trusted = match (view, new.base) {
        (None, None) => {
            let first = RootSource::First { file: new.file, pin: &Pin::FirstUse };
            Trusted::start(image.gun(), first, std::sync::Arc::<crate::checked::Checked>::clone(&ctx.checked))
        }
        (Some(view), Some(base)) if is_root(base, view.trusted.root().signed_bytes()) => {
            let mut trusted = view.trusted.clone();
            trusted.advance_root(new.file).map(|()| trusted)
        }
        (view, _) => return Err(outdated(image, view, new)),
    };
    let trusted = trusted.map_err(|cause| unbelievable(image, &cause))?;
    trusted.check_root(ctx.now).map_err(|cause| unbelievable(image, &cause))?;
    if !trusted.root().is_go_form() {
        return Err(invalid(image, "the trust server would write it differently"));
    }
    Ok(trusted.root().clone())
}

fn is_there(view: Option<&View>, signed: &[u8]) -> bool {
    view.is_some_and(|view| view.trusted.root().signed_bytes() == signed)
}

fn is_root(file: &[u8], signed: &[u8]) -> bool {
    Unverified::<Root>::parse(file).is_ok_and(|file| file.signed_bytes() == signed)
}

/// Reads the repository back as any reader would. What has expired beside the root is another matter.
async fn is_read_back(ctx: &Ctx, image: &Image, files: &Files) -> Result<(), Error> {
    let view = server::current_or_expired(ctx, image).await?;
    let is_there = |(role, file): &(RoleName, Vec<u8>)| {
        let Some(view) = &view else { return false };
        match role {
            RoleName::Root => view.trusted.root().file() == file,
            RoleName::Targets => server::held(&view.trusted, role).is_some_and(|held| {
                let ours = server::own(file.clone()).map(|own| own.document.version);
                held.file == *file || ours.is_ok_and(|ours| ours < held.document.version)
            }),
            _ => true,
        }
    };
    if files.iter().all(is_there) { Ok(()) } else { Err(lost(image)) }
}

/// The first root of a repository is trusted here because its people made it, not because the server shows it.
fn trust(ctx: &Ctx, image: &Image, file: &[u8]) {
    let mut root = trust_dir::Files::default();
    root.insert(RoleName::Root, file.to_vec());
    // Where it cannot be kept, reading back says so.
    drop(ctx.trust_dir.commit(image.gun(), &trust_dir::Files::default(), &root));
}
