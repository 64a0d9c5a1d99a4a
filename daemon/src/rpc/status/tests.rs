use super::*;

#[test]
fn tokens_are_named_and_tries_are_told() {
    let refusal = of_token("root", TokenError::WrongPin { tries_left: Some(1) });
    assert_eq!((refusal.reason, refusal.tries_left), (Reason::WrongPin, Some(1)));
    assert!(refusal.message.contains("`root`"));
    assert_eq!(of_token("root", TokenError::PinLocked).tries_left, Some(0));
    assert_eq!(of_token("root", TokenError::NotLoggedIn).hint.as_deref(), Some("touchmark unlock root"));
}

#[test]
fn a_locked_vault_says_what_to_type() {
    let refusal = Refusal::from(VaultError::Locked);
    assert_eq!((refusal.reason, refusal.hint.as_deref()), (Reason::VaultLocked, Some("touchmark unlock")));
    let refusal = Refusal::from(UnlockError::NoVault);
    assert_eq!(refusal.reason, Reason::VaultMissing);
}

#[test]
fn only_what_the_policy_refused_is_counted() {
    assert!(counts(Reason::NotAllowed) && counts(Reason::VersionReused));
    assert!(!counts(Reason::TokenBusy) && !counts(Reason::Internal) && !counts(Reason::VaultLocked));
}

#[test]
fn a_version_that_is_taken_says_what_to_type() {
    let taken = |role| {
        let (gun, version) = ("r.example.com/app".parse().unwrap(), 2.try_into().unwrap());
        Refusal::from(SignError::VersionReused { gun, role, version }).hint.unwrap()
    };
    assert_eq!(taken(RoleName::Targets), "touchmark publish r.example.com/app");
    let hint = taken(RoleName::Root);
    let command = "touchmark ledger release r.example.com/app --role root --version 2 --reason TEXT";
    assert!(hint.ends_with(command), "{hint}");
}
