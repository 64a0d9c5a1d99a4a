//! The stored form of a sealed key, and everything it is bound to.
use touchmark_tuf::DelegationName;

use super::Sealed;
use crate::vault::testing::{open_vault, targets_of};
use crate::vault::{Binding, FormatError, KeyRole, VaultError};

#[test]
fn stored_form_has_77_bytes_and_comes_back() {
    let (_, sealed) = open_vault().generate(&targets_of("a/b")).unwrap();
    let bytes = sealed.to_bytes();
    assert_eq!((bytes.len(), &bytes[..5]), (77, b"TMSK\x01".as_slice()));
    assert_eq!(Sealed::from_bytes(&bytes), Ok(sealed));
    for length in 0..bytes.len() {
        Sealed::from_bytes(&bytes[..length]).unwrap_err();
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Sealed::from_bytes(&longer), Err(FormatError::Damaged("sealed key")));
}

/// Each is one thing other than what the key was sealed for.
#[test]
fn opens_for_its_own_role_repositories_and_public_key_only() {
    let vault = open_vault();
    let gun = |name: &str| name.parse().unwrap();
    let delegation = |name| KeyRole::Delegation(DelegationName::new(name).unwrap());
    let binding = Binding::new(delegation("alice"), vec![gun("a/b"), gun("a/c")]);
    let (public, sealed) = vault.generate(&binding).unwrap();
    let (other_public, _) = vault.generate(&binding).unwrap();
    assert!(vault.forget(&public.id()));
    let others = [
        Binding::new(KeyRole::Targets, vec![gun("a/b"), gun("a/c")]),
        Binding::new(delegation("bob"), vec![gun("a/b"), gun("a/c")]),
        Binding::new(delegation("alice"), vec![gun("a/b")]),
        Binding::new(delegation("alice"), vec![gun("a/b"), gun("a/c"), gun("a/d")]),
        Binding::new(delegation("alice"), vec![gun("a/b"), gun("a/d")]),
        Binding::new(delegation("alice"), Vec::new()),
    ];
    for other in others {
        let refused = vault.load(public.id(), &other, &public, &sealed).unwrap_err();
        assert!(matches!(refused, VaultError::Broken(id) if id == public.id()), "{other:?}: {refused}");
    }
    let id = touchmark_tuf::KeyId::from_bytes([1; 32]);
    assert!(matches!(vault.load(id, &binding, &other_public, &sealed), Err(VaultError::Broken(_))));
    let reordered = Binding::new(delegation("alice"), vec![gun("a/c"), gun("a/b"), gun("a/c")]);
    vault.load(public.id(), &reordered, &public, &sealed).unwrap();
}

#[test]
fn opens_in_its_own_vault_only() {
    let (ours, other) = (open_vault(), open_vault());
    let binding = targets_of("a/b");
    let (public, sealed) = ours.generate(&binding).unwrap();
    assert!(matches!(other.load(public.id(), &binding, &public, &sealed), Err(VaultError::Broken(_))));
}

#[test]
fn no_bit_of_the_box_can_be_changed() {
    let vault = open_vault();
    let binding = targets_of("a/b");
    let (public, sealed) = vault.generate(&binding).unwrap();
    vault.forget(&public.id());
    for at in 5..77 {
        let mut bytes = sealed.to_bytes();
        bytes[at] ^= 0x80;
        let changed = Sealed::from_bytes(&bytes).unwrap();
        let refused = vault.load(public.id(), &binding, &public, &changed).unwrap_err();
        assert!(matches!(refused, VaultError::Broken(_)), "byte {at}: {refused}");
    }
}
