use super::*;

#[test]
fn a_token_in_one_line() {
    let mut token = v1::Token {
        name: "root".into(),
        kind: "pkcs11".into(),
        presence: v1::TokenPresence::Present.into(),
        serial: "abcd".into(),
        tries_left: -1,
        pin_state: "ok".into(),
        ..v1::Token::default()
    };
    assert_eq!(in_words(&token), "root (pkcs11): present, serial abcd, PIN ok");
    token.tries_left = 1;
    token.pin_state = "final".into();
    token.detail = "the last try".into();
    assert_eq!(
        in_words(&token),
        "root (pkcs11): present, serial abcd, PIN final, 1 tries left: the last try"
    );
    assert_eq!(to_json(&token)["tries_left"], 1);
    token.tries_left = -1;
    assert_eq!(to_json(&token)["tries_left"], Value::Null);
}
