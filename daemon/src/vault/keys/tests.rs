//! Keys in use: many at once, forgotten, mismatched, at the limit.
use super::KeyToLoad;
use crate::vault::testing::{open_vault, targets_of, verifies};
use crate::vault::{Binding, KeyRole, VaultError};

#[test]
fn signatures_are_of_their_own_message() {
    let vault = open_vault();
    let (public, _) = vault.generate(&targets_of("a/b")).unwrap();
    let [one, other] = [b"m", b"n"].map(|message| vault.sign(&public.id(), message).unwrap());
    assert!(verifies(&public, b"m", &one) && verifies(&public, b"n", &other));
    assert!(!verifies(&public, b"m", &other));
}

#[test]
fn threads_sign_with_many_keys_at_once() {
    let vault = open_vault();
    let keys: Vec<_> = (0..4).map(|_| vault.generate(&targets_of("a/b")).unwrap().0).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            for round in 0..5_u8 {
                let vault = &vault;
                scope.spawn(move || {
                    assert!(verifies(key, &[round], &vault.sign(&key.id(), &[round]).unwrap()))
                });
            }
        }
    });
}

/// More than one batch, one broken key in the middle, one that is loaded already.
#[test]
fn one_broken_key_keeps_no_other_out() {
    let vault = open_vault();
    let binding = targets_of("a/b");
    let keys: Vec<_> = (0..300).map(|_| vault.generate(&binding).unwrap()).collect();
    for (public, _) in &keys[1..] {
        assert!(vault.forget(&public.id()));
    }
    let locked_bytes = vault.report().locked_bytes;
    let other = targets_of("a/c");
    let loads: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(number, (public, sealed))| KeyToLoad {
            id: public.id(),
            binding: if number == 150 { &other } else { &binding },
            public,
            sealed,
        })
        .collect();
    let failed = vault.load_many(&loads).unwrap();
    let broken = keys[150].0.id();
    assert!(
        matches!(failed.as_slice(), [(id, VaultError::Broken(same))] if *id == broken && *same == broken)
    );
    assert_eq!(vault.report().keys, 299);
    let refused: Vec<_> = keys[150..]
        .iter()
        .map(|(public, sealed)| KeyToLoad { id: broken, binding: &other, public, sealed })
        .collect();
    for _ in 0..5 {
        assert_eq!(vault.load_many(&refused).unwrap().len(), refused.len());
    }
    assert_eq!(vault.report().locked_bytes, locked_bytes, "slots given back are used again");
    let (last, _) = &keys[299];
    assert!(verifies(last, b"m", &vault.sign(&last.id(), b"m").unwrap()));
    assert!(matches!(vault.sign(&broken, b"m"), Err(VaultError::KeyUnknown(id)) if id == broken));
}

#[test]
fn forgotten_keys_sign_no_more() {
    let vault = open_vault();
    let (public, _) = vault.generate(&targets_of("a/b")).unwrap();
    assert!(vault.forget(&public.id()));
    assert!(!vault.forget(&public.id()));
    assert!(matches!(vault.sign(&public.id(), b"m"), Err(VaultError::KeyUnknown(_))));
}

#[test]
fn root_keys_are_sent_to_a_token() {
    let refused = open_vault().generate(&Binding::new(KeyRole::Root, Vec::new())).unwrap_err();
    assert!(matches!(refused, VaultError::RootKey));
}

/// What only a fault could make: the box opens and the key is another's. It must not sign.
#[test]
fn key_of_another_public_key_does_not_sign() {
    let vault = open_vault();
    let (public, _) = vault.generate(&targets_of("a/b")).unwrap();
    let (other, _) = vault.generate(&targets_of("a/b")).unwrap();
    {
        let mut state = vault.write();
        let open = state.as_mut().unwrap();
        let point = crate::vault::scalar::Point(other.p256_point().unwrap());
        open.keys.get_mut(&public.id()).unwrap().point = point;
    }
    assert!(matches!(vault.sign(&public.id(), b"m"), Err(VaultError::Mismatch(id)) if id == public.id()));
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let vault = open_vault();
    let binding = targets_of("a/b");
    let (_, sealed) = vault.generate(&binding).unwrap();
    let ed25519 = touchmark_tuf::PublicKey::new(touchmark_tuf::KeyType::Ed25519, &[3; 32]);
    assert!(matches!(vault.load(ed25519.id(), &binding, &ed25519, &sealed), Err(VaultError::NotP256)));
}
