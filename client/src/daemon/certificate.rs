//! `Keys.IssueRootCertificate`: the certificate by which a repository's root document lists a root key.
use touchmark_proto::v1;
use touchmark_tuf::{Gun, KeyId, PublicKey};

use super::{Daemon, failure};
use crate::error::Error;

/// Which certificate of a root key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// The one that the daemon keeps; a first one where there is none.
    Kept,
    /// A new one, which the daemon keeps from then on.
    Renewed,
}

impl Daemon {
    /// The certificate of a root key for a repository. Where one is made, the key's token signs it.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn root_certificate(
        &self,
        key: &KeyId,
        gun: &Gun,
        which: Certificate,
    ) -> Result<PublicKey, Error> {
        let request = v1::IssueRootCertificateRequest {
            key_id: key.to_string(),
            gun: gun.to_string(),
            renew: which == Certificate::Renewed,
        };
        let certificate = self
            .until_right(async || {
                let events = self.keys().issue_root_certificate(request.clone()).await.map_err(failure)?;
                self.drive(events.into_inner()).await
            })
            .await?;
        let certificate = PublicKey::from_certificate_pem(certificate.pem.as_bytes()).map_err(|cause| {
            Error::internal(format!("the certificate that touchmarkd made cannot be read: {cause}"))
        })?;
        if certificate.canonical_id() == *key {
            Ok(certificate)
        } else {
            Err(Error::internal(format!("touchmarkd gave a certificate of another key than {key}")))
        }
    }
}
