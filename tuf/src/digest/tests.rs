use super::*;

#[test]
fn the_digest_of_nothing_is_the_known_one() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Sha256Digest::of(b"").to_string(), empty);
    assert_eq!(Sha256Digest::of(b"").to_oci(), format!("sha256:{empty}"));
    assert_eq!(empty.parse::<Sha256Digest>().unwrap(), Sha256Digest::of(b""));
    assert!(Sha512Digest::of(b"").to_string().starts_with("cf83e1357eefb8bd"));
}

#[test]
fn registries_write_the_algorithm_in_front() {
    let text = Sha256Digest::of(b"manifest").to_oci();
    assert_eq!(Sha256Digest::from_oci(&text).unwrap(), Sha256Digest::of(b"manifest"));
    assert_eq!(Sha256Digest::from_oci(&text[7..]), Err(IdError::NotSha256));
    assert_eq!(Sha256Digest::from_oci("sha512:00"), Err(IdError::NotSha256));
    assert_eq!(Sha256Digest::from_oci("sha256:00"), Err(IdError::NotHex { what: "digest", digits: 64 }));
    assert!(Sha256Digest::from_oci(&text.to_uppercase().replace("SHA", "sha")).is_err());
}
