use rustls::pki_types::pem::PemObject as _;

use super::*;

/// A CA of nobody else, and a certificate of it for `localhost`; both until 2126.
const CA: &str = include_str!("tests/ca.pem");
const SERVER: &str = include_str!("tests/server.pem");

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn verified(authorities: &Authorities) -> Result<ServerCertVerified, Error> {
    let name = ServerName::try_from("localhost").unwrap();
    authorities.verify_server_cert(&certificate(SERVER), &[], &name, &[], UnixTime::now())
}

fn authorities(own: &[&str]) -> Authorities {
    let own = own.iter().map(|pem| certificate(pem)).collect();
    Authorities::new(own, &Arc::new(ring::default_provider())).unwrap()
}

#[test]
fn a_server_of_its_own_folders_ca_is_believed_without_reading_the_systems() {
    let authorities = authorities(&[CA]);
    assert!(verified(&authorities).is_ok());
    assert!(authorities.by_all.get().is_none());
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused_after_asking_the_system() {
    for own in [&[][..], &[SERVER]] {
        let authorities = authorities(own);
        let refused = verified(&authorities).unwrap_err();
        assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused:?}");
        assert!(authorities.by_all.get().is_some());
    }
}
