use super::*;
use crate::Document as _;
use crate::testing::{Key, gun};
use crate::{Root, Unverified};

const ROOT: &[u8] = include_bytes!("../../tests/data/notary/root.json");

fn root() -> Root {
    Unverified::<Root>::parse(ROOT).unwrap().document_unverified().clone()
}

#[test]
fn a_plain_keys_id_is_that_of_its_canonical_description() {
    let spki = STANDARD
        .decode(concat!(
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0755NfOKchUE/GywhOQxbqBirmML5Q9eoS0mG5u8",
            "e2ku/E42Y3SBEifV2teMaXCiht0Jtn8PMVi36kbnftxycg=="
        ))
        .unwrap();
    let key = PublicKey::from_spki(&spki).unwrap();
    let id = "92d99b4aaf2f5ac02d68a2911a8aad1cc2f5f26d8596e8541d8ddfa869a20334";
    assert_eq!(key.id().to_string(), id);
    assert_eq!(key.canonical_id(), key.id());
    assert_eq!(PublicKey::from_p256_point(&key.p256_point().unwrap()), key);
}

#[test]
fn a_root_keys_two_ids_are_those_that_docker_gave_it() {
    let root = root();
    let key = &root.keys[&root.roles.root.key_ids[0]];
    assert_eq!(key.id().to_string(), "c9c3796d7b1c409ca189f530a0cbe1ea50dea9ba3746dc4827351829c84bc89a");
    assert_eq!(
        key.canonical_id().to_string(),
        "0d34a416dcaf4cec74eb7c7296a1923bd7ae5b03fae679c0ab7788e1ab22f2d0"
    );
    assert_eq!(PublicKey::from_certificate_pem(key.public()).unwrap(), *key);
    assert_eq!(root.version().get(), 1);
}

#[test]
fn a_new_certificate_changes_one_id_and_not_the_other() {
    let (first, second) = (Key::certified(1, &gun(), 1, 0, 9), Key::certified(1, &gun(), 2, 0, 9));
    assert_ne!(first.public.id(), second.public.id());
    assert_eq!(first.public.canonical_id(), second.public.canonical_id());
    assert_eq!(first.public.canonical_id(), Key::plain(1).public.id());
    assert_eq!(first.public.material(), second.public.material());
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    assert_eq!(PublicKey::from_spki(b""), Err(KeyError::NotSpki));
    let mut spki = Key::plain(1).public.spki().unwrap();
    spki.push(0);
    assert_eq!(PublicKey::from_spki(&spki), Err(KeyError::NotSpki));
    assert_eq!(PublicKey::from_certificate_pem(b"-----BEGIN"), Err(KeyError::NotACertificate));
    let broken = PublicKey::new(KeyType::EcdsaX509, b"no certificate");
    assert_eq!(broken.canonical_id(), broken.id());
    assert_eq!(broken.spki(), Err(KeyError::NotACertificate));
    assert_eq!(PublicKey::new(KeyType::Ed25519, &[1; 31]).spki(), Err(KeyError::NotSpki));
}

#[test]
fn a_key_is_only_what_its_type_says() {
    let spki = Key::plain(1).public.spki().unwrap();
    assert!(PublicKey::new(KeyType::Ecdsa, &spki).material().is_some());
    assert!(PublicKey::new(KeyType::Rsa, &spki).material().is_none());
    assert_eq!(PublicKey::new(KeyType::Ed25519, &[7; 32]).material(), Some(Material::Ed25519(vec![7; 32])));
    assert_eq!(PublicKey::new(KeyType::Ed25519, &[7; 32]).p256_point(), None);
}

#[test]
fn key_types_have_the_words_of_notary() {
    for key_type in [KeyType::Ecdsa, KeyType::EcdsaX509, KeyType::Rsa, KeyType::RsaX509, KeyType::Ed25519] {
        assert_eq!(KeyType::from_word(key_type.as_str()), Some(key_type));
        assert_eq!(key_type.is_certificate(), key_type.as_str().ends_with("-x509"));
    }
    assert_eq!(KeyType::from_word("ECDSA"), None);
}
