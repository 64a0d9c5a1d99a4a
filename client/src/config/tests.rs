use super::*;

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

const TABLE: &str =
    "[registry.\"registry.example.com:5000\"]\ntrust-server = \"https://notary.example.com:4443/\"\n";

#[test]
fn the_flag_wins_then_the_table_then_dockers_rule() {
    let config = Config::parse(TABLE).unwrap();
    let table = host("registry.example.com:5000");
    let choose = |written, host: &Host| config.trust_server(written, host).unwrap().to_string();
    assert_eq!(choose(Some("https://flag"), &table), "https://flag");
    assert_eq!(choose(None, &table), "https://notary.example.com:4443");
    assert_eq!(choose(None, &host("docker.io")), "https://notary.docker.io");
    assert_eq!(choose(None, &host("localhost:5000")), "https://localhost:5000");
    assert_eq!(choose(None, &host("registry.example.com")), "https://registry.example.com");
}

#[test]
fn only_plain_https_addresses_are_trust_servers() {
    for (written, reason) in [
        ("http://notary", "https only"),
        ("notary.example.com", "no URL"),
        ("https://me:secret@notary", "docker login"),
        ("https://notary/?a=b", "follow the path"),
        ("ftp://notary", "https only"),
    ] {
        let error = Config::default().trust_server(Some(written), &host("a.b")).unwrap_err();
        assert!(error.message.contains(reason), "{written}: {}", error.message);
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_path_of_the_server_stays_in_front() {
    let server: ServerUrl = "https://host/notary/".parse().unwrap();
    assert_eq!(
        server.join("v2/a/b/_trust/tuf/root.json").as_str(),
        "https://host/notary/v2/a/b/_trust/tuf/root.json"
    );
}

#[test]
fn an_unknown_key_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("touchmark.toml");
    std::fs::write(&file, format!("{TABLE}trust-sever = \"x\"\n")).unwrap();
    let error = Config::load(&file).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    for part in [file.to_str().unwrap(), "line 3", "trust-sever"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

#[test]
fn a_wrong_server_in_the_table_names_its_entry() {
    let error = Config::parse("[registry.\"a.b\"]\ntrust-server = \"http://x\"\n").unwrap_err();
    assert!(error.contains("registry.\"a.b\".trust-server"), "{error}");
}

#[test]
fn no_file_is_an_empty_configuration() {
    assert!(Config::load(Path::new("/nonexistent/touchmark.toml")).is_ok());
}
