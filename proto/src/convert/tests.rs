use super::*;

#[test]
fn a_wrong_field_is_named() {
    let error = gun("gun", "a/../b").unwrap_err();
    assert_eq!(error.field, "gun");
    assert_eq!(Refusal::from(error).reason, Reason::InvalidField);
    assert!(role("documents[0].role", "nobody").is_err());
    assert!(key_id("key_id", "12").is_err());
    assert!(version("version", 0).is_err());
    assert_eq!(sha256("sha256", &[0; 31]).unwrap_err().to_string(), "sha256: has 31 bytes, not 32");
}

#[test]
fn a_signature_survives_the_wire() {
    let id = "6c9d9ab5bc2ac1b1ae15b96b5cb5d2a5f60a8c6b3c7b3f8b9d6a1f0e4c2d1a00";
    let signature = Signature { key_id: id.parse().unwrap(), method: Method::Ecdsa, bytes: vec![7; 64] };
    assert_eq!(from_wire("signature", &to_wire(&signature)), Ok(signature));
    let odd = v1::Signature { key_id: id.into(), method: "rot13".into(), signature: vec![] };
    assert_eq!(from_wire("s", &odd).unwrap_err().field, "s.method");
}
