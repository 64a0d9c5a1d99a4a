//! Words: why a document is not believed, and what the cache keeps of a root.
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{Expires, Gun, KeyId, Pin, Ring, RoleName, RootSource, TrustError, Trusted, Version};

use super::pins::Pins;
use crate::error::Error;
use crate::notary::Notary;
use crate::trust_dir::{Files, TrustDir};

/// What comes next where the server's documents are not what anybody signed.
const TAMPERED: &str =
    "somebody may be changing it on the way: touchmark doctor IMAGE; if it stays, ask the publisher";

/// A root that is kept in the trust directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSummary {
    /// Ids of its root keys as it lists them.
    pub key_ids: Vec<KeyId>,
    /// Its version.
    pub version: Version,
    /// Its expiry.
    pub expires: Expires,
}

/// The kept root of a repository.
///
/// # Errors
/// There is none, or it is damaged.
pub fn kept_root(gun: &Gun, files: &Files) -> Result<RootSummary, Error> {
    let file = files
        .get(&RoleName::Root)
        .ok_or_else(|| Error::new(Reason::NoTrustData, format!("no root of {gun} is kept")))?;
    let source = RootSource::First { file, pin: &Pin::FirstUse };
    let trusted = Trusted::start(gun, source, Arc::new(Ring))
        .map_err(|cause| Error::new(Reason::TrustDataInvalid, cause.to_string()))?;
    let root = trusted.root();
    Ok(RootSummary {
        key_ids: root.roles.root.key_ids.clone(),
        version: root.version,
        expires: root.expires.clone(),
    })
}

/// A refusal for a person.
pub(super) fn refusal(cause: &TrustError, notary: &Notary, dir: &TrustDir, pins: &Pins) -> Error {
    let gun = notary.gun();
    let say = |reason, what: &str| Error::new(reason, format!("{what} of {gun}: {cause}"));
    match cause {
        TrustError::Expired { .. } => say(Reason::Expired, "the trust data")
            .hint("its publisher has to sign it again: touchmark refresh; or check this machine's clock"),
        TrustError::CertificateDates { .. } => say(Reason::Expired, "the root certificate")
            .hint("its publisher has to rotate the root; or check this machine's clock"),
        TrustError::Rollback { .. } => say(Reason::Rollback, "older trust data than was seen before")
            .hint("somebody may be replaying old data: ask the publisher"),
        TrustError::RootChanged { .. } | TrustError::RootReplaced { .. } | TrustError::RootGap { .. } => {
            say(Reason::RootChanged, "the root of trust has changed: the new root").hint(format!(
                "somebody may be impersonating the publisher: ask them; if they confirm it, touchmark trust forget {gun}"
            ))
        }
        TrustError::PinMismatch { .. } => say(Reason::PinMismatch, "the root")
            .hint(format!("the pin is in {}; ask the publisher before changing it", pins.file().display())),
        TrustError::SignatureInvalid { .. } => say(Reason::SignatureInvalid, "the trust data").hint(TAMPERED),
        TrustError::HashMismatch { .. } | TrustError::RootOutdated { .. } => {
            say(Reason::HashMismatch, "the trust data").hint(TAMPERED)
        }
        TrustError::Invalid { role: RoleName::Root, .. } => say(Reason::TrustDataInvalid, "the trust data").hint(
            format!("is {} a trust server? a damaged cache is in {}", notary.server(), dir.base().display()),
        ),
        _ => say(Reason::TrustDataInvalid, "the trust data").hint(TAMPERED),
    }
}
