use super::*;

fn root(id: &str, label: &str) -> v1::Key {
    v1::Key { id: id.into(), label: label.into(), role: v1::Role::Root.into(), ..v1::Key::default() }
}

fn ids(chosen: Vec<&v1::Key>) -> Vec<&str> {
    chosen.into_iter().map(|key| key.id.as_str()).collect()
}

#[test]
fn the_only_root_key_is_taken_and_of_several_one_must_be_named() {
    let other = v1::Key { id: "ff".into(), role: v1::Role::Targets.into(), ..v1::Key::default() };
    let one = [root("aa11", "first"), other.clone()];
    assert_eq!(ids(choose_roots(&one, &[]).unwrap()), ["aa11"]);
    let two = [root("aa11", "first"), root("bb22", "spare"), other.clone()];
    let error = choose_roots(&two, &[]).unwrap_err();
    assert_eq!(error.reason, Reason::KeyUnknown);
    assert!(error.message.contains("aa11") && error.message.contains("bb22"), "{}", error.message);
    assert_eq!(
        ids(choose_roots(&two, &["spare".into(), "aa".into(), "bb22".into()]).unwrap()),
        ["bb22", "aa11"]
    );
    assert_eq!(choose_roots(std::slice::from_ref(&other), &[]).unwrap_err().reason, Reason::KeyUnknown);
    assert_eq!(choose_roots(&two, &["ff".into()]).unwrap_err().reason, Reason::KeyUnknown, "no root key");
}

#[test]
fn a_key_as_the_server_writes_it() {
    let json = br#"{"keytype":"ecdsa","keyval":{"public":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0755NfOKchUE/GywhOQxbqBirmML5Q9eoS0mG5u8e2ku/E42Y3SBEifV2teMaXCiht0Jtn8PMVi36kbnftxycg==","private":null}}"#;
    let id = server_key(json).unwrap().id().to_string();
    assert_eq!(id, "92d99b4aaf2f5ac02d68a2911a8aad1cc2f5f26d8596e8541d8ddfa869a20334");
    for wrong in [&b"<html>"[..], b"{}", br#"{"keytype":"dsa","keyval":{"public":""}}"#] {
        assert_eq!(server_key(wrong).unwrap_err().reason, Reason::TrustServerUnreachable);
    }
}
