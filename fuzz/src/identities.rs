//! Keys, certificates, signatures, times and names: what is read is written again to the byte, and an independent
//! reader agrees.
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use touchmark_tuf::{
    DelegationName, EcdsaSignature, Expires, Gun, Instant, KeyId, PublicKey, RoleName, RootCertificate,
    Sha256Digest, TargetName, shown,
};

use crate::Input;

/// The first byte says as what the rest is read.
pub fn identities(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let rest = input.rest();
    match kind % 7 {
        0 => certificate(rest),
        1 => certificate(pem(rest).as_bytes()),
        2 => public_key(rest),
        3 => der_signature(rest),
        4 => raw_signature(rest),
        5 => drop(std::str::from_utf8(rest).map(time)),
        _ => drop(std::str::from_utf8(rest).map(names)),
    }
}

/// The form that Go writes, so that the fuzzer need not know base64.
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

fn certificate(pem: &[u8]) {
    let key = PublicKey::from_certificate_pem(pem);
    let Ok(certificate) = RootCertificate::from_pem(pem) else { return };
    assert_eq!(certificate.pem().as_bytes(), pem);
    let listed = certificate.public_key();
    assert_eq!(key.as_ref(), Ok(&listed));
    assert_eq!(listed.public(), pem);
    let plain = PublicKey::from_spki(certificate.spki()).expect("the key of a certificate is a key");
    assert_eq!(listed.canonical_id(), plain.id(), "one key, in a certificate or out of it");
    assert_eq!(listed.p256_point(), plain.p256_point());
    if let Ok(gun) = certificate.common_name().parse::<Gun>() {
        assert!(certificate.matches(&gun));
    }
}

fn public_key(spki: &[u8]) {
    let Ok(key) = PublicKey::from_spki(spki) else { return };
    assert_eq!(key.spki().as_deref(), Ok(spki));
    assert_eq!(key.id(), key.canonical_id());
    if let Some(point) = key.p256_point() {
        assert_eq!(PublicKey::from_p256_point(&point), key, "a P-256 key has one form");
    }
}

fn der_signature(der: &[u8]) {
    let theirs = p256::ecdsa::Signature::from_der(der).map(|signature| signature.to_bytes());
    match (EcdsaSignature::from_der(der), theirs) {
        (Ok(ours), theirs) => {
            assert_eq!(ours.to_der(), der);
            if p256::ecdsa::Signature::from_slice(ours.as_bytes()).is_ok() {
                assert_eq!(theirs.unwrap().as_slice(), ours.as_bytes());
            }
        }
        (Err(error), Ok(_)) => panic!("p256 reads it, and we do not: {error}"),
        (Err(_), Err(_)) => {}
    }
}

fn raw_signature(bytes: &[u8]) {
    let Ok(raw) = <[u8; 64]>::try_from(bytes) else { return };
    let signature = EcdsaSignature::from_raw(raw);
    let der = signature.to_der();
    assert!((8..=72).contains(&der.len()));
    if raw[..32] != [0; 32] && raw[32..] != [0; 32] {
        assert_eq!(EcdsaSignature::from_der(&der), Ok(signature));
    }
}

fn time(text: &str) {
    let Ok(expires) = text.parse::<Expires>() else {
        assert!(text.parse::<Instant>().is_err());
        return;
    };
    let instant: Instant = text.parse().unwrap();
    assert_eq!((expires.text(), expires.instant()), (text, instant));
    let theirs = OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339");
    assert_eq!((theirs.unix_timestamp(), theirs.nanosecond()), (instant.unix(), instant.subsec_nanos()));
    let written = Expires::at(instant);
    assert!(written.is_go_form());
    assert_eq!(written.text().parse(), Ok(Instant::from_unix(instant.unix())));
    assert!(!expires.has_passed(instant));
}

fn names(text: &str) {
    let line = shown(text).to_string();
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    if let Ok(gun) = text.parse::<Gun>() {
        assert_eq!(gun.to_string(), text);
        let path = Path::new(gun.as_str());
        assert!(
            path.components().all(|part| matches!(part, Component::Normal(_))),
            "{gun} leaves its folder"
        );
        assert_eq!(path.components().collect::<std::path::PathBuf>(), path);
    }
    if let Ok(name) = text.parse::<DelegationName>() {
        assert_eq!(name.to_string(), text);
        let mut role = RoleName::Delegation(name);
        let mut steps = 0;
        while let RoleName::Delegation(name) = role {
            role = name.parent();
            steps += 1;
        }
        assert_eq!(role, RoleName::Targets);
        assert_eq!(steps, text.matches('/').count());
    }
    if let Ok(role) = text.parse::<RoleName>() {
        assert_eq!(role.to_string(), text);
    }
    if let Ok(tag) = text.parse::<TargetName>() {
        assert_eq!(tag.to_string(), text);
    }
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
    }
    if let Ok(digest) = Sha256Digest::from_oci(text) {
        assert_eq!(digest.to_oci(), text);
    }
}
