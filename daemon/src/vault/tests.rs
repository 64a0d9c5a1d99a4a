//! The vault's life: made, wrapped, locked, opened, and what each state refuses.
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};

use super::testing::{memory, open_vault, sample, secret, targets_of, turn, unhex, verifies};
use super::{Binding, FormatError, KeyRole, Sealed, Vault, VaultError, Way, WayAsk, WrapTo};

/// A stand-in for a token's key.
fn token_key() -> (SecretKey, [u8; 65]) {
    let key = SecretKey::from_slice(&[0x42; 32]).unwrap();
    let point = key.public_key().to_sec1_point(false);
    (key, point.as_bytes().try_into().unwrap())
}

/// What that token answers.
fn answer(key: &SecretKey, way: &Way) -> Vec<u8> {
    let WayAsk::Ecdh { ephemeral_point } = way.ask() else { panic!("not an ECDH way") };
    let peer = PublicKey::from_sec1_bytes(&ephemeral_point).unwrap();
    p256::ecdh::diffie_hellman(key.to_nonzero_scalar(), peer.as_affine()).raw_secret_bytes().to_vec()
}

#[test]
fn opens_by_ecdh_and_signs_with_what_was_sealed_before() {
    let (key, token_point) = token_key();
    let vault = open_vault();
    let binding = targets_of("docker.io/library/a");
    let (public, sealed) = vault.generate(&binding).unwrap();
    let way = vault.wrap(WrapTo::Ecdh { token_point }).unwrap();
    vault.lock();
    assert!(!vault.is_open());
    vault.open(&way, &secret(vault.memory(), &answer(&key, &way))).unwrap();
    vault.load(public.id(), &binding, &public, &sealed).unwrap();
    assert!(verifies(&public, b"m", &vault.sign(&public.id(), b"m").unwrap()));
}

#[test]
fn opens_by_passphrase_and_stays_within_eight_mebibytes() {
    let _turn = turn();
    let vault = open_vault();
    let passphrase = secret(vault.memory(), b"correct horse battery");
    let way = vault.wrap(WrapTo::Passphrase(&passphrase)).unwrap();
    assert_eq!((way.ask(), way.method()), (WayAsk::Passphrase, "argon2id"));
    vault.lock();
    let before = vault.report().locked_bytes;
    vault.open(&way, &passphrase).unwrap();
    assert!(vault.report().locked_bytes - before <= 16 * 1024, "Argon2's blocks are gone");
    assert!(vault.report().limit <= 8 * 1024 * 1024);
}

#[test]
fn wrong_answers_are_refused_and_leave_it_closed() {
    let _turn = turn();
    let (key, token_point) = token_key();
    let vault = open_vault();
    let ecdh = vault.wrap(WrapTo::Ecdh { token_point }).unwrap();
    let passphrase = vault.wrap(WrapTo::Passphrase(&secret(vault.memory(), b"right"))).unwrap();
    vault.lock();
    let mut wrong = answer(&key, &ecdh);
    wrong[31] ^= 1;
    for (way, answer) in
        [(&ecdh, wrong.as_slice()), (&ecdh, b"short"), (&passphrase, b"wrong"), (&passphrase, b"")]
    {
        let refused = vault.open(way, &secret(vault.memory(), answer)).unwrap_err();
        assert!(matches!(refused, VaultError::Wrong), "{refused}");
        assert!(!vault.is_open());
    }
}

#[test]
fn open_vault_compares_a_second_answer() {
    let (key, token_point) = token_key();
    let (ours, other) = (open_vault(), open_vault());
    let way = ours.wrap(WrapTo::Ecdh { token_point }).unwrap();
    ours.open(&way, &secret(ours.memory(), &answer(&key, &way))).unwrap();
    let foreign = other.wrap(WrapTo::Ecdh { token_point }).unwrap();
    let refused = ours.open(&foreign, &secret(ours.memory(), &answer(&key, &foreign))).unwrap_err();
    assert!(matches!(refused, VaultError::Wrong), "a right answer for another vault's key");
}

#[test]
fn no_field_of_a_stored_way_can_be_changed() {
    let (key, token_point) = token_key();
    let vault = open_vault();
    let way = vault.wrap(WrapTo::Ecdh { token_point }).unwrap();
    vault.lock();
    let (bytes, answer) = (way.to_bytes(), secret(vault.memory(), &answer(&key, &way)));
    for at in 6..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = vault.open(&Way::from_bytes(&changed).unwrap(), &answer).unwrap_err();
        assert!(matches!(refused, VaultError::Wrong), "byte {at}: {refused}");
    }
    vault.open(&way, &answer).unwrap();
}

#[test]
fn closed_vault_refuses_everything_else() {
    let vault = Vault::new(memory());
    let (binding, nothing) = (targets_of("a/b"), secret(vault.memory(), b"x"));
    let id = touchmark_tuf::KeyId::from_bytes([7; 32]);
    assert!(matches!(vault.generate(&binding), Err(VaultError::Locked)));
    assert!(matches!(vault.sign(&id, b"m"), Err(VaultError::Locked)));
    assert!(matches!(vault.wrap(WrapTo::Passphrase(&nothing)), Err(VaultError::Locked)));
    assert!(matches!(vault.load_many(&[]), Ok(none) if none.is_empty()));
    assert!(matches!(vault.import(&nothing, None, super::Wanted::default()), Err(VaultError::Locked)));
    assert!(!vault.forget(&id));
    assert_eq!(vault.report().keys, 0);
}

#[test]
fn second_create_would_lose_the_first_key() {
    let vault = open_vault();
    assert!(matches!(vault.create(), Err(VaultError::AlreadyOpen)));
}

#[test]
fn lock_gives_the_memory_of_all_keys_back() {
    let vault = Vault::new(memory());
    let before = vault.report();
    vault.create().unwrap();
    for _ in 0..3 {
        vault.generate(&targets_of("a/b")).unwrap();
    }
    assert_eq!(vault.report().keys, 3);
    vault.lock();
    assert_eq!(vault.report(), before);
}

#[test]
fn points_off_the_curve_and_empty_passphrases_are_no_ways() {
    let vault = open_vault();
    let mut off_curve = token_key().1;
    off_curve[64] ^= 1;
    let refused = vault.wrap(WrapTo::Ecdh { token_point: off_curve });
    assert!(matches!(refused, Err(VaultError::TokenKey(_))));
    let empty = secret(vault.memory(), b"");
    assert!(matches!(vault.wrap(WrapTo::Passphrase(&empty)), Err(VaultError::NoPassphrase)));
}

/// What version 1 wrote opens for ever.
#[test]
fn samples_of_version_1_open() {
    let _turn = turn();
    let samples = sample(include_str!("samples/version-1.txt"));
    let text = |name: &str| String::from_utf8(samples[name].clone()).unwrap();
    let public = touchmark_tuf::PublicKey::from_p256_point(&samples["public"].clone().try_into().unwrap());
    let delegation = touchmark_tuf::DelegationName::new(&text("delegation")).unwrap();
    let binding = Binding::new(KeyRole::Delegation(delegation), vec![text("gun").parse().unwrap()]);
    let sealed = Sealed::from_bytes(&samples["sealed"]).unwrap();
    for (way, answer) in
        [("way-ecdh", "answer-ecdh"), ("way-oaep", "answer-oaep"), ("way-passphrase", "answer-passphrase")]
    {
        let vault = Vault::new(memory());
        let way = Way::from_bytes(&samples[way]).unwrap();
        vault.open(&way, &secret(vault.memory(), &samples[answer])).unwrap();
        vault.load(public.id(), &binding, &public, &sealed).unwrap();
        let signature = vault.sign(&public.id(), b"sample").unwrap();
        let then = touchmark_tuf::EcdsaSignature::from_raw(samples["signature"].clone().try_into().unwrap());
        assert!([signature, then].iter().all(|made| verifies(&public, b"sample", made)));
    }
}

#[test]
fn newer_and_foreign_forms_are_refused_by_name() {
    let newer = unhex("544d5357").into_iter().chain([2]).chain([0; 72]).collect::<Vec<_>>();
    assert_eq!(Sealed::from_bytes(&newer), Err(FormatError::Magic("sealed key")));
    let mut newer = open_vault().generate(&targets_of("a/b")).unwrap().1.to_bytes();
    newer[4] = 2;
    assert_eq!(Sealed::from_bytes(&newer), Err(FormatError::Version { what: "sealed key", version: 2 }));
    assert_eq!(Way::from_bytes(&newer), Err(FormatError::Magic("vault way")));
}
