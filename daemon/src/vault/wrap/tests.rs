//! Wrapping to tokens.
use crate::vault::testing::{open_vault, sample, turn};
use crate::vault::{VaultError, WayAsk, WrapTo};

#[test]
fn each_wrap_is_fresh() {
    let vault = open_vault();
    let samples = sample(include_str!("../samples/oaep-rsa2048.txt"));
    let [one, two] = [(), ()].map(|()| vault.wrap(WrapTo::RsaOaep { spki: &samples["spki"] }).unwrap());
    assert_eq!(one.method(), "rsa-oaep-sha1");
    let [WayAsk::RsaOaep { ciphertext: one }, WayAsk::RsaOaep { ciphertext: two }] = [one.ask(), two.ask()]
    else {
        panic!("another way than was asked for")
    };
    assert_ne!(one, two);
}

/// The two sides of a way must not be told apart from each other's header.
#[test]
fn way_of_one_salt_does_not_open_with_the_box_of_another() {
    let _turn = turn();
    let vault = open_vault();
    let passphrase = crate::vault::testing::secret(vault.memory(), b"same");
    let [one, mut two] = [(), ()].map(|()| vault.wrap(WrapTo::Passphrase(&passphrase)).unwrap());
    two.sealed = one.sealed.clone();
    vault.lock();
    assert!(matches!(vault.open(&two, &passphrase), Err(VaultError::Wrong)));
    vault.open(&one, &passphrase).unwrap();
}
