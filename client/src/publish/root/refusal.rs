//! Why a root is not published, and what to type next.
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Root, Sha256Digest, TrustError, Unverified};

use super::NewRoot;
use crate::error::Error;
use crate::image::Image;
use crate::reader::View;

pub(super) fn outdated(image: &Image, view: Option<&View>, new: &NewRoot<'_>) -> Error {
    let version = |file: &[u8]| {
        Unverified::<Root>::parse(file).map(|file| file.document_unverified().version.to_string())
    };
    let base = new.base.map_or_else(|| "none".to_owned(), |base| version(base).unwrap_or_default());
    let has = match view {
        None => "none".to_owned(),
        Some(view) => {
            let root = view.trusted.root();
            format!("version {}, sha256:{}", root.version, Sha256Digest::of(root.signed_bytes()))
        }
    };
    let gun = image.gun();
    let message =
        format!("the trust server has moved on: the root of {gun} is {has}; this one follows {base}");
    Error::new(Reason::PlanOutdated, message).hint(format!("touchmark inspect {}", image.familiar()))
}

pub(super) fn displaced(image: &Image, version: u64) -> Error {
    let gun = image.gun();
    let message = format!(
        "somebody else has published another root version {version} of {gun} than the one that was signed here"
    );
    let hint = format!(
        "touchmark inspect {name} shows it; if it is right, touchmark ledger release {name} --role root --version {version} --reason TEXT, \
         then the same command again",
        name = image.familiar()
    );
    Error::new(Reason::PublishConflict, message).hint(hint)
}

pub(super) fn lost(image: &Image) -> Error {
    let message = format!("somebody else has published {} at the same moment", image.gun());
    Error::new(Reason::PublishConflict, message).hint("the same command again goes on from there")
}

pub(super) fn unbelievable(image: &Image, cause: &TrustError) -> Error {
    let reason = match cause {
        TrustError::Expired { .. } | TrustError::CertificateDates { .. } => Reason::Expired,
        _ => Reason::SignatureInvalid,
    };
    let message = format!("no reader would believe the new root of {}: {cause}", image.gun());
    Error::new(reason, message)
}

pub(super) fn invalid(image: &Image, why: &str) -> Error {
    Error::new(
        Reason::TrustDataInvalid,
        format!("the new root of {} is not to be published: {why}", image.gun()),
    )
}
