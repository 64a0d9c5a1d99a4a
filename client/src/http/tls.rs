//! TLS with `ring`: the system's CAs and the server's own folder; verified always, loopback too.
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use super::HttpError;
use crate::config::docker::{TlsFiles, tls_files, tls_folder};

/// The TLS configuration for `authority` (`host[:port]`).
///
/// # Errors
/// The material in the server's folder cannot be used.
pub(super) fn config(docker_dir: &Path, authority: &str) -> Result<ClientConfig, HttpError> {
    let folder = tls_folder(docker_dir, authority);
    let TlsFiles { authorities, client } = tls_files(&folder)?;
    let untrusted =
        |cause: Error| HttpError::Untrusted { host: authority.to_owned(), cause: cause.to_string(), folder };
    let provider = Arc::new(ring::default_provider());
    let build = || -> Result<ClientConfig, Error> {
        let verifier = Authorities::new(authorities, &provider)?;
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

/// Who may vouch for a server: the CAs of its own folder, and the system's. Those are read where the own ones do not
/// suffice and not before: reading some hundred files takes longer than all else that a `verify` does.
#[derive(Debug)]
struct Authorities {
    own: Vec<CertificateDer<'static>>,
    by_own: Option<Arc<WebPkiServerVerifier>>,
    by_all: OnceLock<Result<Verifier, Error>>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    fn new(own: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        own.iter().try_for_each(|authority| roots.add(authority.clone()))?;
        let by_own = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|cause| Error::Other(OtherError(Arc::new(cause))))?,
            ),
        };
        Ok(Self { own, by_own, by_all: OnceLock::new(), provider: Arc::clone(provider) })
    }

    fn by_all(&self) -> Result<&Verifier, Error> {
        let read = || Verifier::new_with_extra_roots(self.own.iter().cloned(), Arc::clone(&self.provider));
        let unreadable = |cause: &Error| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(cause.clone()))))
        };
        self.by_all.get_or_init(read).as_ref().map_err(unreadable)
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |verifier: &dyn ServerCertVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match self.by_own.as_deref().map(|own| verify(own)) {
            Some(Ok(verified)) => Ok(verified),
            _ => verify(self.by_all()?),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
