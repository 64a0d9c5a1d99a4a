//! A complete root goes to the trust server, with what has to go along: the targets document under another tagging key,
//! and the snapshot where its key is in the vault.
use touchmark_tuf::{RoleName, Version};

use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;

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

/// Publishes a root, reads it back and verifies it as this machine's reader does. Safe to call again: a root that the
/// server has already is only read back. The daemon is needed where a targets document has to go along (the root is the
/// first one, or has another tagging key) and where the vault holds the snapshot key: it signs those here.
///
/// # Errors
/// `PLAN_OUTDATED`: the server's root is neither the one before nor this one. `SIGNATURE_INVALID`, `EXPIRED`: nobody
/// would believe this root. `DAEMON_UNREACHABLE`, `KEY_UNKNOWN`: what has to go along cannot be signed. The daemon's or
/// the server's refusal. What was signed is kept by the daemon.
pub async fn publish_root(
    _ctx: &Ctx,
    _daemon: Option<&Daemon>,
    _image: &Image,
    _new: &NewRoot<'_>,
) -> Result<RootReport, Error> {
    Err(Error::internal("publishing a root: not there yet"))
}
