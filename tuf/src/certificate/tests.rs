use der::Encode as _;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

use super::*;
use crate::testing::{DAY, Key, NOW, gun};
use crate::{KeyType, Root, Unverified};

const ROOT: &[u8] = include_bytes!("../../tests/data/notary/root.json");

/// The certificate that Docker made.
fn docker() -> String {
    let root = Unverified::<Root>::parse(ROOT).unwrap();
    let root = root.document_unverified();
    String::from_utf8(root.keys[&root.roles.root.key_ids[0]].public().to_vec()).unwrap()
}

fn at(days: i64) -> Instant {
    Instant::from_unix(NOW + days * DAY)
}

fn made(gun: &Gun) -> RootCertificate {
    RootCertificate::from_pem(Key::certified(1, gun, 7, -1, 3650).public.public()).unwrap()
}

#[test]
fn dockers_certificate_reads() {
    let certificate = RootCertificate::from_pem(docker().as_bytes()).unwrap();
    assert_eq!(certificate.common_name(), "localhost:5000/ntry/a");
    assert!(certificate.matches(&"localhost:5000/ntry/a".parse().unwrap()));
    assert!(!certificate.matches(&"localhost:5000/ntry/ab".parse().unwrap()));
    assert_eq!(certificate.not_before().to_string(), "2026-11-22T13:46:27Z");
    assert_eq!(certificate.not_after().to_string(), "2036-11-19T13:46:27Z");
    assert_eq!(certificate.public_key().key_type(), KeyType::EcdsaX509);
    assert_eq!(certificate.pem(), docker());
}

#[test]
fn the_template_is_dockers_to_the_byte() {
    // Built from the values of Docker's certificate, the part to be signed must be Docker's.
    let der = blocks(&docker()).unwrap().remove(0);
    let theirs = Certificate::from_der(&der).unwrap();
    let serial = theirs.tbs_certificate().serial_number().as_bytes().try_into().unwrap();
    let read = RootCertificate::from_pem(docker().as_bytes()).unwrap();
    let point = read.public_key().p256_point().unwrap();
    let gun = read.common_name().parse().unwrap();
    let ours = to_be_signed(&gun, &point, serial, read.not_before(), read.not_after()).unwrap();
    assert_eq!(ours.bytes(), theirs.tbs_certificate().to_der().unwrap());

    let signature = EcdsaSignature::from_der(theirs.signature().as_bytes().unwrap()).unwrap();
    assert_eq!(ours.finish(&signature).unwrap(), read);
}

#[test]
fn a_certificate_says_what_notary_wants() {
    let certificate = made(&gun());
    let der = blocks(certificate.pem()).unwrap().remove(0);
    let parsed = Certificate::from_der(&der).unwrap();
    let part = parsed.tbs_certificate();
    let (critical, usage) = part.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(critical);
    assert_eq!(usage, KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment));
    let (critical, extended) = part.get_extension::<ExtendedKeyUsage>().unwrap().unwrap();
    assert!(!critical);
    assert_eq!(extended.0, [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3")]);
    let (critical, basic) = part.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert!(critical && !basic.ca);
    assert_eq!(part.issuer(), part.subject());
    let point = certificate.public_key().p256_point().unwrap();
    let signature = EcdsaSignature::from_der(parsed.signature().as_bytes().unwrap()).unwrap();
    assert!(crate::verify_p256(&point, &part.to_der().unwrap(), &signature));
}

#[test]
fn names_of_any_length_and_script_go_through() {
    for name in ["a", &"x".repeat(64), &"x".repeat(255), "registry.example.com/team/with_underscore", "é/ü"]
    {
        let gun: Gun = name.parse().unwrap();
        assert_eq!(made(&gun).common_name(), name);
        assert!(made(&gun).matches(&gun));
    }
}

#[test]
fn a_star_matches_everything_that_begins_so() {
    let mut certificate = made(&gun());
    certificate.common_name = "registry.example.com/team/*".into();
    assert!(certificate.matches(&gun()));
    assert!(certificate.matches(&"registry.example.com/team/a/b".parse().unwrap()));
    assert!(!certificate.matches(&"registry.example.com/other".parse().unwrap()));
}

#[test]
fn only_gos_pem_form_is_taken() {
    let good = docker();
    let forms = [
        good.trim_end().to_owned(),
        good.replace('\n', "\r\n"),
        format!("{good}\n"),
        format!(" {good}"),
        good.replacen('\n', "\n\n", 1),
        format!("comment\n{good}"),
    ];
    for text in forms {
        assert_eq!(RootCertificate::from_pem(text.as_bytes()), Err(CertificateError::PemForm), "{text}");
    }
    let wide = format!("{PEM_HEAD}{}\n{PEM_TAIL}", STANDARD.encode(&blocks(&good).unwrap()[0]));
    assert_eq!(RootCertificate::from_pem(wide.as_bytes()), Err(CertificateError::PemForm));
    for text in
        ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----"]
    {
        assert_eq!(
            RootCertificate::from_pem(text.as_bytes()),
            Err(CertificateError::NotACertificate),
            "{text}"
        );
    }
    assert_eq!(RootCertificate::from_pem(&[0xff]), Err(CertificateError::PemForm));
}

#[test]
fn a_bundle_has_one_end_certificate() {
    let twice = format!("{}{}", docker(), docker());
    assert_eq!(RootCertificate::from_pem(twice.as_bytes()), Err(CertificateError::Bundle));
}

#[test]
fn serial_numbers_are_positive_and_short() {
    assert_eq!(serial_number([0xff; 16])[..3], [INTEGER, 16, 0x7f]);
    assert_eq!(serial_number([0; 16]), [INTEGER, 1, 0]);
    let mut small = [0; 16];
    small[15] = 0x80;
    assert_eq!(serial_number(small), [INTEGER, 2, 0, 0x80]);
}

#[test]
fn dates_are_in_order_and_within_what_x509_writes() {
    let point = Key::plain(1).public.p256_point().unwrap();
    let build = |from, until| to_be_signed(&gun(), &point, [1; 16], from, until).map(drop);
    assert_eq!(build(at(1), at(0)), Err(CertificateError::Dates));
    assert_eq!(build(Instant::from_unix(-1), at(0)), Err(CertificateError::Dates));
    let far = "2050-01-01T00:00:00Z".parse().unwrap();
    let key = Key::plain(1);
    let unsigned = to_be_signed(&gun(), &point, [1; 16], at(0), far).unwrap();
    let signature = key.raw(unsigned.bytes());
    assert_eq!(unsigned.finish(&signature).unwrap().not_after(), far);
    let mut compressed = point;
    compressed[0] = 2;
    let refused = to_be_signed(&gun(), &compressed, [1; 16], at(0), at(1)).map(drop);
    assert_eq!(refused, Err(CertificateError::Key(crate::KeyError::NotAPoint)));
}

#[test]
fn a_ca_certificate_may_follow_and_not_lead() {
    let leaf = made(&gun());
    let authority = authority();
    let bundle = format!("{}{authority}", leaf.pem());
    let read = RootCertificate::from_pem(bundle.as_bytes()).unwrap();
    assert_eq!((read.common_name(), read.pem()), (leaf.common_name(), bundle.as_str()));
    assert_ne!(read.public_key().id(), leaf.public_key().id());
    assert_eq!(read.public_key().canonical_id(), leaf.public_key().canonical_id());
    for text in [authority.clone(), format!("{authority}{}", leaf.pem())] {
        assert_eq!(RootCertificate::from_pem(text.as_bytes()), Err(CertificateError::Bundle));
    }
}

/// The certificate of an authority: nothing in it but what makes it one.
fn authority() -> String {
    let key = Key::plain(3);
    let yes = element(SEQUENCE, &element(BOOLEAN, &[0xff]));
    let extensions = constructed(SEQUENCE, &[&critical(&BASIC_CONSTRAINTS, &yes)]);
    let name = name("authority");
    let validity = constructed(SEQUENCE, &[&time(at(-1)).unwrap(), &time(at(9)).unwrap()]);
    let version = element(0xa0, &element(INTEGER, &[2]));
    let spki = key.public.spki().unwrap();
    let serial = serial_number([5; 16]);
    let extensions = element(0xa3, &extensions);
    let part = constructed(
        SEQUENCE,
        &[&version, &serial, &ECDSA_SHA256, &name, &validity, &name, &spki, &extensions],
    );
    let signature = [&[0], key.raw(&part).to_der().as_slice()].concat();
    pem_form(&constructed(SEQUENCE, &[&part, &ECDSA_SHA256, &element(BIT_STRING, &signature)]))
}
