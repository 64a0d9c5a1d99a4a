//! From signatures to a published repository: put files together, check them as every reader will, send them, read
//! them back.
use std::time::Duration;

use touchmark_tuf::{
    Document, Expires, RoleName, Signature, Snapshot, Trusted, Unverified, assemble, next_snapshot,
};

use super::plan::{Goal, State};
use super::roles::Signing;
use super::server;
use crate::checked::Checked;
use crate::context::Ctx;
use crate::daemon::{DocumentToSign, LastDocument, SignJob};
use crate::error::Error;
use crate::image::Image;
use crate::notary::Notary;

/// The shortest and the longest pause before another attempt.
const PAUSE: std::ops::Range<u64> = 50..400;

/// Files as they are sent, the root first.
pub(super) type Files = Vec<(RoleName, Vec<u8>)>;

/// Puts a signed document into its file and verifies that file as a reader would.
///
/// # Errors
/// `INTERNAL`: the daemon signed something else than it was given. Nothing was sent.
pub(super) fn file<D: Document>(
    checked: &Checked,
    signing: &Signing,
    signed: &[u8],
    signatures: &[Signature],
) -> Result<Vec<u8>, Error> {
    let broken = |cause: &dyn std::fmt::Display| {
        Error::internal(format!("what touchmarkd signed for {} does not verify: {cause}", signing.role))
    };
    let file = assemble(signed, signatures).map_err(|cause| broken(&cause))?;
    check::<D>(checked, signing, &file).map_err(|cause| broken(&cause))?;
    Ok(file)
}

/// Verifies a file under its role's keys.
pub(super) fn check<D: Document>(checked: &Checked, signing: &Signing, file: &[u8]) -> Result<(), String> {
    let parsed = Unverified::<D>::parse(file).map_err(|cause| cause.to_string())?;
    let verified =
        parsed.verify(&signing.role_keys, &signing.keys, checked).map_err(|cause| cause.to_string())?;
    if !verified.is_go_form() {
        return Err("the trust server would write it differently".to_owned());
    }
    Ok(())
}

/// The snapshot for a repository whose snapshot key the vault holds: lists the files that are about to be sent.
pub(super) fn snapshot_job(
    signing: &Signing,
    trusted: Option<&Trusted>,
    last: Option<&LastDocument>,
    files: &Files,
    root: &[u8],
    expires: Expires,
) -> Result<(Vec<u8>, DocumentToSign, Files), Error> {
    let server = trusted.and_then(Trusted::snapshot_doc);
    let own = last
        .map(|last| Unverified::<Snapshot>::parse(&last.file))
        .transpose()
        .map_err(|cause| Error::internal(format!("touchmarkd's last snapshot cannot be read: {cause}")))?;
    let own = own.as_ref().map(Unverified::document_unverified);
    // The server's list, on the higher of the two versions.
    let base = match (server, own) {
        (Some(server), Some(own)) => {
            Some(Snapshot { version: server.version.max(own.version), ..(**server).clone() })
        }
        (server, own) => server.map(|server| (**server).clone()).or_else(|| own.cloned()),
    };
    let listed: Vec<(RoleName, &[u8])> = std::iter::once((RoleName::Root, root))
        .chain(files.iter().map(|(role, file)| (role.clone(), file.as_slice())))
        .collect();
    let bytes = next_snapshot(base.as_ref(), &listed, expires)
        .map_err(|cause| Error::internal(format!("the next snapshot: {cause}")))?
        .write();
    let is_newer = |server: &Snapshot| own.is_none_or(|own| own.version() < server.version());
    let bases = server
        .filter(|document| is_newer(document))
        .map(|document| (RoleName::Snapshot, document.file().to_vec()))
        .into_iter()
        .collect();
    let document =
        DocumentToSign { role: RoleName::Snapshot, keys: signing.with.clone(), bytes: bytes.clone() };
    Ok((bytes, document, bases))
}

/// A job of one document.
pub(super) fn job(image: &Image, document: DocumentToSign, bases: Files) -> SignJob {
    SignJob {
        gun: image.gun().clone(),
        documents: vec![document],
        bases,
        accept_root: None,
        seen: Vec::new(),
    }
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The server took it.
    Taken,
    /// Somebody else was first.
    Conflict,
}

/// How far a signature has come, as far as is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// There is none.
    #[default]
    Unsigned,
    /// The daemon has it.
    Signed,
    /// It was sent, or somebody else may have sent it.
    Sent,
}

/// Sends files, and notes how far they have come. What was signed stays with the daemon, so every failure can be mended
/// by `publish`.
///
/// # Errors
/// The server's refusal.
pub(super) async fn send(notary: &Notary, files: Files, fate: &mut Fate) -> Result<Sent, Error> {
    *fate = (*fate).max(Fate::Signed);
    let sent = notary.publish(files).await;
    if !matches!(&sent, Err(cause) if !cause.is_conflict() && !cause.may_have_arrived()) {
        *fate = Fate::Sent;
    }
    match sent {
        Ok(()) => Ok(Sent::Taken),
        Err(cause) if cause.is_conflict() => Ok(Sent::Conflict),
        Err(cause) => Err(cause.into()),
    }
}

/// The same error, saying where the signatures are and how to go on.
pub(super) fn unfinished(image: &Image, fate: Fate, error: Error) -> Error {
    let what = match fate {
        Fate::Unsigned => return error,
        Fate::Signed => "signed, but not published",
        Fate::Sent => "signed, but not seen published",
    };
    let hint = format!("touchmark publish {}", image.familiar());
    let hint = match &error.hint {
        Some(first) => format!("{first}; then {hint}"),
        None => hint,
    };
    let message = format!("{what}: {}", error.message);
    Error { message, ..error }.hint(hint)
}

/// What reading back found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadBack {
    /// The very bytes, or a newer document that keeps what was wanted.
    There,
    /// Something else: somebody published over it.
    Missing,
}

/// Reads the repository back as any reader would, and looks for what was sent.
///
/// # Errors
/// Why it cannot be read.
pub(super) async fn read_back(
    ctx: &Ctx,
    image: &Image,
    sent: &Files,
    goal: &Goal,
) -> Result<ReadBack, Error> {
    let Some(view) = server::current(ctx, image, ctx.now).await? else { return Ok(ReadBack::Missing) };
    let is_there = |(role, file): &(RoleName, Vec<u8>)| match role {
        RoleName::Targets | RoleName::Delegation(_) => holds(&view.trusted, role, file, goal),
        RoleName::Root => view.trusted.root().file() == file,
        RoleName::Snapshot | RoleName::Timestamp => true,
    };
    Ok(if sent.iter().all(is_there) { ReadBack::There } else { ReadBack::Missing })
}

fn holds(trusted: &Trusted, role: &RoleName, file: &[u8], goal: &Goal) -> bool {
    let Some(server) = server::held(trusted, role) else { return false };
    if server.file == file {
        return true;
    }
    let Ok(sent) = server::own(file.to_vec()) else { return false };
    let goal = match goal {
        Goal::Apply(_) => goal,
        Goal::Refresh(_) | Goal::Publish => &Goal::Publish,
    };
    let state = State { role: role.clone(), server: Some(server.clone()), daemon: None };
    // Somebody published on top of it at once: our changes must still be in there.
    server.document.version() > sent.document.version()
        && super::plan::next(&state, goal, sent.document.expires()) == Ok(super::plan::Next::Nothing)
}

/// Waits a little, at random, so that those who raced do not race again.
pub(super) async fn pause(attempt: u32) {
    let span = (PAUSE.end - PAUSE.start) << attempt.min(3);
    let random = u64::from(getrandom::u32().unwrap_or_default());
    tokio::time::sleep(Duration::from_millis(PAUSE.start + random % span)).await;
}
