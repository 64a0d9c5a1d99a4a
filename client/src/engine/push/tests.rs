use super::*;

#[test]
fn the_engines_last_word_names_the_digest() {
    let digest = Sha256Digest::of(b"manifest");
    let tag = TargetName::try_from("v1").unwrap();
    let line = format!("v1: digest: {} size: 522", digest.to_oci());
    assert_eq!(pushed_digest(&line, &tag), Some(digest));
    assert_eq!(pushed_digest(&line, &TargetName::try_from("v2").unwrap()), None);
    assert_eq!(pushed_digest("v1: digest: sha256:beef size: 1", &tag), None);
    assert_eq!(pushed_digest("The push refers to repository [localhost:5000/a]", &tag), None);
}

#[test]
fn refusals_of_the_engine_have_reasons() {
    let image = Image::parse("localhost:5000/team/app:v1").unwrap();
    let reason = |why: &str| refused("localhost:5000/team/app:v1", why, &image).reason;
    assert_eq!(reason("An image does not exist locally with the tag: x"), Reason::TagNotFound);
    assert_eq!(reason("tag does not exist: localhost:5000/team/app:v1"), Reason::TagNotFound);
    assert_eq!(reason("denied: requested access to the resource is denied"), Reason::Unauthorized);
    assert_eq!(reason("dial tcp 127.0.0.1:1: connect: connection refused"), Reason::RegistryUnreachable);
}
