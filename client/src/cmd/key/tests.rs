use std::path::Path;

use super::import::Hints;
use super::*;

fn key(id: &str, label: &str) -> v1::Key {
    v1::Key { id: id.into(), label: label.into(), ..v1::Key::default() }
}

#[test]
fn a_key_is_found_by_what_names_one_only() {
    let mut keys = vec![key("aa11", "first"), key("aa22", "second")];
    keys[1].certificates.push(v1::RootCertificate { key_id: "c3".into(), ..Default::default() });
    assert_eq!(find(&keys, "aa1").unwrap().id, "aa11");
    assert_eq!(find(&keys, "AA22").unwrap().id, "aa22");
    assert_eq!(find(&keys, "second").unwrap().id, "aa22");
    assert_eq!(find(&keys, "c3").unwrap().id, "aa22");
    for nobody in ["aa", "", "bb"] {
        assert_eq!(find(&keys, nobody).unwrap_err().reason, Reason::KeyUnknown, "{nobody}");
    }
}

#[test]
fn pem_has_64_columns_and_a_final_newline() {
    let pem = pem("PUBLIC KEY", &[0xff; 91]);
    let lines: Vec<_> = pem.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1].len(), 64);
    assert!(pem.ends_with("-----END PUBLIC KEY-----\n"));
}

const DOCKER: &[u8] =
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: localhost:5000/a\nrole: targets\n\nMIHuMEkG\n-----END";

#[test]
fn the_header_of_a_key_file_says_its_role() {
    let hints = Hints::of(Path::new("/x/private/0d34.key"), DOCKER, None);
    assert_eq!(hints, Hints { role: Some("targets".into()), repository: None });
    let written = Hints::of(Path::new("/x/private/0d34.key"), DOCKER, Some("alice"));
    assert_eq!(written.role.as_deref(), Some("alice"));
}

#[test]
fn a_file_without_headers_says_nothing_and_its_body_is_not_read() {
    let plain = b"-----BEGIN PRIVATE KEY-----\nrole\n-----END PRIVATE KEY-----\nrole: root\n";
    assert_eq!(Hints::of(Path::new("/x/k.pem"), plain, None), Hints::default());
}

#[test]
fn old_layouts_say_it_by_their_names() {
    let old = b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n";
    let root = Hints::of(Path::new("/x/private/root_keys/ab_root.key"), old, None);
    assert_eq!(root, Hints { role: Some("root".into()), repository: None });
    let targets = Hints::of(Path::new("/x/private/tuf_keys/localhost:5000/a/ab_targets.key"), old, None);
    assert_eq!(targets.role.as_deref(), Some("targets"));
    assert_eq!(targets.repository.as_deref(), Some("localhost:5000/a"));
}
