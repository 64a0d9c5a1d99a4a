use std::fs;

use super::*;

fn password(folder: &Path, server: &str) -> Option<(String, String)> {
    match credentials(folder, server).unwrap()? {
        Credentials::Password { user, password } => Some((user, password.to_string())),
        Credentials::Identity(_) => panic!("an identity token"),
    }
}

#[test]
fn credentials_are_found_as_docker_login_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    assert!(credentials(folder.path(), "a.b").unwrap().is_none(), "no config.json");
    let text = r#"{"auths":{"a.b:5000":{"auth":"bWU6c2U6Y3JldA=="},"https://index.docker.io/v1/":{"auth":"aHViOnB3"}}}"#;
    fs::write(folder.path().join("config.json"), text).unwrap();
    assert_eq!(password(folder.path(), "a.b:5000"), Some(("me".into(), "se:cret".into())));
    assert_eq!(password(folder.path(), "https://index.docker.io/v1/"), Some(("hub".into(), "pw".into())));
    assert_eq!(password(folder.path(), "c.d"), None);
}

#[test]
fn an_identity_token_is_no_password() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), r#"{"auths":{"a.b":{"auth":"","identitytoken":"t"}}}"#)
        .unwrap();
    assert!(matches!(credentials(folder.path(), "a.b").unwrap(), Some(Credentials::Identity(_))));
}

#[test]
fn a_broken_config_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{").unwrap();
    let error = credentials(folder.path(), "a.b").unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let secret = Credentials::Password { user: "me".into(), password: Zeroizing::new("hunter2".into()) };
    assert_eq!(format!("{secret:?}"), "Credentials");
}

#[test]
fn a_client_certificate_without_its_key_stops() {
    let folder = tempfile::tempdir().unwrap();
    assert!(tls_files(&folder.path().join("none")).unwrap().authorities.is_empty());
    fs::write(folder.path().join("client.cert"), "x").unwrap();
    assert!(
        matches!(tls_files(folder.path()), Err(DockerFileError::HalfPair { missing, .. }) if missing == "client.key")
    );
}

#[test]
fn a_ca_file_without_a_certificate_stops() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), "no certificate").unwrap();
    assert!(matches!(tls_files(folder.path()), Err(DockerFileError::NotPem { .. })));
}

#[test]
fn content_trust_is_off_only_when_it_says_so() {
    for (value, off) in
        [(None, false), (Some("0"), true), (Some("false"), true), (Some("1"), false), (Some("no"), false)]
    {
        assert_eq!(is_off(value), off, "{value:?}");
    }
}
