//! TLS with `ring`: the system's CAs and the server's own folder; verified always, loopback too.
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::Verifier;

use super::HttpError;
use crate::config::docker::{TlsFiles, tls_files, tls_folder};

/// The TLS configuration for `authority` (`host[:port]`).
///
/// # Errors
/// The material in the server's folder cannot be used, or there is no CA at all.
pub(super) fn config(docker_dir: &Path, authority: &str) -> Result<ClientConfig, HttpError> {
    let folder = tls_folder(docker_dir, authority);
    let TlsFiles { authorities, client } = tls_files(&folder)?;
    let untrusted = |cause: rustls::Error| HttpError::Untrusted {
        host: authority.to_owned(),
        cause: cause.to_string(),
        folder,
    };
    let provider = Arc::new(ring::default_provider());
    let build = || -> Result<ClientConfig, rustls::Error> {
        let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous() // rustls' name for "a verifier of one's own": it is the system's
            .with_custom_certificate_verifier(Arc::new(verifier));
        match client {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key),
            None => Ok(builder.with_no_client_auth()),
        }
    };
    build().map_err(untrusted)
}
