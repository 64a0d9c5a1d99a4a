use std::path::PathBuf;

use touchmark_tuf::PublicKey;

use super::{Answer, Reply, Request, WireBox, WireKey, WireKeyRef};
use crate::token::hex::Hex;
use crate::token::{
    KeyPolicy, KeyRef, PinPolicy, PinState, TokenBox, TokenError, TokenInfo, TokenKey, TokenKind, TokenState,
    TouchPolicy, UnwrapMethod, Usage,
};

fn key() -> TokenKey {
    // The generator of the curve, as good a point as any.
    let point = hex_point(concat!(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ));
    let public = PublicKey::from_p256_point(&point);
    TokenKey {
        id: vec![0xab, 1],
        label: "root".into(),
        public,
        usage: Usage::Unwrap(UnwrapMethod::Ecdh),
        policy: Some(KeyPolicy::PIN_ONCE),
    }
}

fn hex_point(text: &str) -> [u8; 65] {
    let Hex(bytes) = serde_json::from_value(text.into()).unwrap();
    bytes.try_into().unwrap()
}

#[test]
fn golden_requests() {
    let kind = TokenKind::Pkcs11 {
        module: PathBuf::from("/m.so"),
        label: "touchmark".into(),
        serial: Some("7".into()),
    };
    for (request, golden) in [
        (
            Request::Open { kind },
            r#"{"open":{"kind":{"pkcs11":{"module":"/m.so","label":"touchmark","serial":"7"}}}}"#,
        ),
        (
            Request::Open { kind: TokenKind::Yubikey { serial: 7 } },
            r#"{"open":{"kind":{"yubikey":{"serial":7}}}}"#,
        ),
        (Request::Login { enrolled: Vec::new() }, r#"{"login":{"enrolled":[]}}"#),
        (
            Request::GenerateRoot {
                label: "root".into(),
                policy: KeyPolicy { pin: PinPolicy::Always, touch: TouchPolicy::Cached },
            },
            r#"{"generate-root":{"label":"root","policy":{"pin":"always","touch":"cached"}}}"#,
        ),
        (Request::InitToken, r#""init-token""#),
    ] {
        assert_eq!(serde_json::to_string(&request).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Request>(golden).unwrap(), request);
    }
}

#[test]
fn golden_reply() {
    let text = |word: &str| word.to_owned();
    let info = TokenInfo {
        serial: text("7"),
        label: text("touchmark"),
        manufacturer: text("m"),
        model: text("n"),
        firmware: text("2.6"),
    };
    let reply = Reply {
        result: Err(TokenError::WrongPin { tries_left: Some(1) }),
        state: Some(TokenState::present(info, PinState::Final, false)),
    };
    let golden = concat!(
        r#"{"result":{"Err":{"wrong-pin":{"tries_left":1}}},"state":{"presence":"present","info":{"serial":"7","#,
        r#""label":"touchmark","manufacturer":"m","model":"n","firmware":"2.6"},"pin":"final","tries_left":1,"#,
        r#""logged_in":false}}"#
    );
    assert_eq!(serde_json::to_string(&reply).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Reply>(golden).unwrap(), reply);
}

#[test]
fn keys_survive_the_wire() {
    let wire = WireKey::try_from(&key()).unwrap();
    let text = serde_json::to_string(&Answer::Key(wire)).unwrap();
    let Answer::Key(wire) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(TokenKey::try_from(wire).unwrap(), key());
    let wire = WireKeyRef::try_from(&key().key_ref()).unwrap();
    assert_eq!(KeyRef::try_from(wire).unwrap(), key().key_ref());
}

#[test]
fn boxes_survive_the_wire() {
    for boxed in [TokenBox::Ecdh { peer: [4; 65] }, TokenBox::RsaOaep { ciphertext: vec![9; 256] }] {
        assert_eq!(TokenBox::try_from(WireBox::from(&boxed)).unwrap(), boxed);
    }
    let short = WireBox::Ecdh { peer: Hex(vec![4; 64]) };
    assert!(TokenBox::try_from(short).is_err());
}

#[test]
fn what_is_not_hex_is_refused() {
    for bad in [r#""0""#, r#""0g""#, r#""AB""#, "7"] {
        assert!(serde_json::from_str::<Hex>(bad).is_err(), "{bad}");
    }
    assert_eq!(serde_json::from_str::<Hex>(r#""00ff""#).unwrap(), Hex(vec![0, 255]));
}

#[test]
fn unknown_fields_are_refused() {
    assert!(serde_json::from_str::<Request>(r#"{"generate-root":{"label":"a","pin":"1"}}"#).is_err());
}
