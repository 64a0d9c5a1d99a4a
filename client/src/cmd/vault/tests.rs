use super::*;

fn status(state: v1::VaultState, ways: &[(&str, &str)]) -> v1::VaultStatus {
    v1::VaultStatus {
        state: state.into(),
        ways: ways
            .iter()
            .map(|(token, method)| v1::VaultWay {
                token: (*token).into(),
                method: (*method).into(),
                serial: String::new(),
            })
            .collect(),
        keys: 2,
        ..v1::VaultStatus::default()
    }
}

#[test]
fn a_vault_in_words() {
    assert_eq!(in_words(&status(v1::VaultState::None, &[])), "no vault yet");
    let locked = status(v1::VaultState::Locked, &[("root", "ecdh-p256"), ("", "argon2id")]);
    assert_eq!(in_words(&locked), "locked; 2 keys, opened by token \"root\" (ecdh-p256), the passphrase");
    let mut open = status(v1::VaultState::Open, &[("root", "ecdh-p256")]);
    open.open_until_unix = 1_800_000_000;
    open.keys = 1;
    assert_eq!(
        in_words(&open),
        "open until 2027-01-15T08:00:00Z; 1 key, opened by token \"root\" (ecdh-p256)"
    );
}

#[test]
fn a_vault_as_json() {
    let value = to_json(&status(v1::VaultState::Locked, &[("", "argon2id")]));
    assert_eq!(value["state"], "locked");
    assert_eq!(value["ways"][0]["kind"], "passphrase");
}
