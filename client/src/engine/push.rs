//! The engine pushes by itself; what it says about the result is compared with what the registry has.
use std::collections::HashMap;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{ListImagesOptionsBuilder, PushImageOptionsBuilder};
use futures_util::StreamExt as _;
use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{TargetName, shown};

use super::{Engine, failed};
use crate::error::Error;
use crate::image::Image;
use crate::output::Output;

impl Engine {
    /// Pushes one tag and returns the digest of the manifest that the engine wrote for the registry. That need not be
    /// a digest the engine knew before: it serialises an image anew (an OCI image goes out as Docker's schema 2).
    ///
    /// # Errors
    /// The engine has no such image, the registry does not take it, or the engine does not say what it pushed.
    pub async fn push(
        &self,
        out: &Output,
        image: &Image,
        tag: &TargetName,
        credentials: Option<DockerCredentials>,
    ) -> Result<Sha256Digest, Error> {
        let what = format!("{}:{tag}", image.familiar());
        let options = PushImageOptionsBuilder::new().tag(tag.as_str()).build();
        let mut events = self.docker().push_image(image.gun().as_str(), Some(options), credentials);
        let mut pushed = None;
        while let Some(event) = events.next().await {
            let event = event.map_err(|cause| match cause {
                bollard::errors::Error::DockerStreamError { error } => refused(&what, &error, image),
                other => failed(&format!("pushing {what}"), &other),
            })?;
            if let Some(detail) = event.error_detail {
                let why = detail.message.unwrap_or_default();
                return Err(refused(&what, &why, image));
            }
            let Some(status) = event.status else { continue };
            pushed = pushed_digest(&status, tag).or(pushed);
            if event.progress_detail.is_none_or(|progress| progress.total.is_none()) {
                out.detail(&shown(&status).to_string());
            }
        }
        pushed.ok_or_else(|| {
            let message = format!("the engine pushed {what} and does not say under which digest");
            Error::new(Reason::EngineUnreachable, message).hint(format!("touchmark sign {what}"))
        })
    }

    /// The tags under which the engine has `image`'s repository, sorted.
    ///
    /// # Errors
    /// The engine says no.
    pub async fn tags(&self, image: &Image) -> Result<Vec<TargetName>, Error> {
        let filters = HashMap::from([("reference", vec![image.gun().as_str().to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker().list_images(Some(options)).await;
        let listed = listed.map_err(|cause| failed(&format!("listing {}", image.familiar()), &cause))?;
        let mut tags: Vec<_> = listed
            .iter()
            .flat_map(|summary| &summary.repo_tags)
            .filter_map(|name| name.parse::<Image>().ok())
            .filter(|found| found.gun() == image.gun())
            .filter_map(|found| found.tag().cloned())
            .collect();
        tags.sort();
        tags.dedup();
        Ok(tags)
    }
}

fn refused(what: &str, why: &str, image: &Image) -> Error {
    let message = format!("the engine could not push {what}: {}", shown(why));
    if why.contains("does not exist") {
        return Error::new(Reason::TagNotFound, message).hint(format!("docker tag IMAGE {what}"));
    }
    if why.contains("denied") || why.contains("unauthorized") || why.contains("authentication required") {
        let server = if image.host().is_hub() { String::new() } else { format!(" {}", image.host()) };
        return Error::new(Reason::Unauthorized, message).hint(format!("docker login{server}"));
    }
    Error::new(Reason::RegistryUnreachable, message)
}

/// The engine's last word, `TAG: digest: sha256:HEX size: N`. Its own field for that (`aux`) is not in the library.
fn pushed_digest(status: &str, tag: &TargetName) -> Option<Sha256Digest> {
    let rest = status.strip_prefix(tag.as_str())?.strip_prefix(": digest: ")?;
    Sha256Digest::from_oci(rest.split_whitespace().next()?).ok()
}

#[cfg(test)]
mod tests;
