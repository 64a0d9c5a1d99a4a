use bytes::Bytes;

use super::manifest::{Kind, Manifest};
use super::*;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn read(text: &str, served: &str) -> Result<Manifest, String> {
    let bytes = Bytes::from(text.to_owned());
    Manifest::read(bytes.clone(), Sha256Digest::of(&bytes), served)
}

fn descriptor(n: u8) -> String {
    format!(r#"{{"mediaType":"m","digest":"sha256:{}","size":{n}}}"#, format!("{n:02x}").repeat(32))
}

#[test]
fn an_image_leads_to_its_configuration_and_layers() {
    let text = format!(r#"{{"config":{},"layers":[{}]}}"#, descriptor(1), descriptor(2));
    let image = read(&text, &format!("{IMAGE}; charset=utf-8")).unwrap();
    assert_eq!((image.kind(), image.media_type()), (Kind::Image, IMAGE));
    assert_eq!(image.parts().iter().map(|part| part.size).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(image.size(), u64::try_from(text.len()).unwrap());
}

#[test]
fn an_index_leads_to_manifests() {
    let text = format!(r#"{{"mediaType":"{INDEX}","manifests":[{}]}}"#, descriptor(3));
    assert_eq!(read(&text, "whatever").unwrap().kind(), Kind::Index);
}

#[test]
fn what_two_programs_could_read_differently_is_refused() {
    let both =
        format!(r#"{{"mediaType":"{INDEX}","manifests":[{0}],"config":{0},"layers":[]}}"#, descriptor(1));
    assert!(read(&both, INDEX).unwrap_err().contains("no proper"));
    assert!(read(&both, IMAGE).unwrap_err().contains("no proper"));
    // Go reads names without regard to case.
    for name in ["Manifests", "manife\u{17f}ts", "LAYERS", "MediaType"] {
        let image = format!(r#"{{"{name}":null,"config":{},"layers":[]}}"#, descriptor(1));
        assert!(read(&image, IMAGE).unwrap_err().contains("in another case"), "{name}");
    }
    // In a field that nobody reads here.
    let image = format!(r#"{{"annotations":"?","config":{},"layers":[]}}"#, descriptor(1));
    let bytes: Vec<u8> = image.bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    let digest = Sha256Digest::of(&bytes);
    assert!(Manifest::read(bytes.into(), digest, IMAGE).unwrap_err().contains("not UTF-8"));
}

#[test]
fn other_types_and_other_digests_are_refused() {
    let schema1 = r#"{"schemaVersion":1,"fsLayers":[]}"#;
    let error = read(schema1, "application/vnd.docker.distribution.manifest.v1+prettyjws").unwrap_err();
    assert!(error.contains("not supported"), "{error}");
    assert!(read("<html>", "text/html").unwrap_err().contains("no image manifest"));
    let text = format!(
        r#"{{"config":{},"layers":[{{"mediaType":"m","digest":"md5:00","size":1}}]}}"#,
        descriptor(1)
    );
    assert!(read(&text, IMAGE).unwrap_err().contains("md5:00"));
}

#[test]
fn docker_hub_is_asked_where_it_is() {
    let registry = Registry::new(Http::new("/nonexistent".into()), Host::hub(), "library/alpine".into());
    let request = registry.request("https", "manifests/3", Deadline::after(TOTAL)).unwrap();
    assert_eq!(request.url.as_str(), "https://registry-1.docker.io/v2/library/alpine/manifests/3");
    assert_eq!(request.scope, "repository:library/alpine:pull");
}

#[test]
fn failures_become_reasons() {
    let digest = Sha256Digest::of(b"");
    let image = || "a/b:1".to_owned();
    for (error, reason) in [
        (RegistryError::NotFound { image: image() }, Reason::TagNotFound),
        (RegistryError::Mismatch { what: image(), wanted: digest, got: digest }, Reason::HashMismatch),
        (RegistryError::Length { what: image(), wanted: 1, got: 2 }, Reason::HashMismatch),
        (RegistryError::Unsupported { image: image(), why: "x".into() }, Reason::Usage),
    ] {
        assert_eq!(Error::from(error).reason, reason);
    }
}
