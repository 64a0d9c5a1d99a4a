use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn location(to: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    headers
}

#[test]
fn the_folder_of_a_server_is_named_as_its_url_names_it() {
    assert_eq!(authority(&url("https://localhost:4443/v2/")), "localhost:4443");
    assert_eq!(authority(&url("https://notary.docker.io/")), "notary.docker.io");
    assert_eq!(authority(&url("https://[::1]:5000/")), "[::1]:5000");
}

#[test]
fn redirects_never_leave_https_and_end() {
    let from = url("https://a/b");
    assert_eq!(next_hop(&from, &location("/c"), 1).unwrap(), url("https://a/c"));
    assert_eq!(next_hop(&from, &location("https://cdn/x"), 1).unwrap(), url("https://cdn/x"));
    for (to, count) in [("http://a/c", 1), ("https://a/c", REDIRECTS + 1)] {
        assert!(matches!(next_hop(&from, &location(to), count), Err(HttpError::Redirect { .. })), "{to}");
    }
    assert!(matches!(next_hop(&from, &HeaderMap::new(), 1), Err(HttpError::Redirect { .. })));
}

#[test]
fn another_port_is_another_server() {
    assert!(same_server(&url("https://a/x"), &url("https://a:443/y")));
    assert!(!same_server(&url("https://a/x"), &url("https://a:444/x")));
    assert!(!same_server(&url("https://a/x"), &url("https://b/x")));
}

#[tokio::test]
async fn nothing_is_asked_over_plain_http_beyond_this_machine() {
    let http = Http::new(PathBuf::from("/nonexistent"));
    let host: Host = "registry.example.com".parse().unwrap();
    let request =
        Request::get(url("http://registry.example.com/v2/"), host, String::new(), Deadline::after(TOTAL));
    assert!(matches!(http.fetch(&request, 1).await, Err(HttpError::Plain { .. })));
}

#[tokio::test]
async fn nobody_listening_is_an_absence_and_names_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host: Host = format!("127.0.0.1:{free}").parse().unwrap();
    let address = url(&format!("http://{host}/v2/"));
    let request = Request::get(address, host.clone(), String::new(), Deadline::after(TOTAL));
    let error = Http::new(folder.path().to_owned()).fetch(&request, 1).await.unwrap_err();
    assert!(error.is_absence(), "{error:?}");
    let error = error.into_error(Peer::Registry);
    assert_eq!(error.reason.as_str(), "REGISTRY_UNREACHABLE");
    assert!(error.message.contains(host.as_str()), "{}", error.message);
}

#[test]
fn every_failure_says_what_to_do_where_something_can_be_done() {
    let folder = PathBuf::from("/d/tls/a:1");
    let host = || "a:1".to_owned();
    let untrusted = HttpError::Untrusted { host: host(), cause: "unknown issuer".into(), folder };
    assert!(!untrusted.is_absence());
    let error = untrusted.into_error(Peer::TrustServer);
    assert_eq!(error.reason.as_str(), "TLS_UNTRUSTED");
    assert_eq!(error.hint.as_deref(), Some("put the certificate of its CA into /d/tls/a:1/ca.crt"));

    let account: Host = "a:1".parse().unwrap();
    let denied = HttpError::Unauthorized { host: host(), account, login: Login::Anonymous };
    let error = denied.into_error(Peer::TrustServer);
    assert_eq!((error.reason.as_str(), error.hint.as_deref()), ("UNAUTHORIZED", Some("docker login a:1")));

    let large = HttpError::TooLarge { host: host(), limit: 5 };
    assert!(!large.is_absence());
    assert_eq!(large.into_error(Peer::TrustServer).reason.as_str(), "TRUST_SERVER_UNREACHABLE");
}

#[tokio::test]
async fn names_of_this_machine_are_this_machine_without_a_resolver() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    let http = Http::new(folder.path().to_owned());
    // Most resolvers do not have the second one.
    for name in ["localhost", "registry.touchmark.localhost"] {
        let host: Host = format!("{name}:{port}").parse().unwrap();
        let address = url(&format!("http://{host}/v2/"));
        let request = Request::get(address, host, String::new(), Deadline::after(TOTAL));
        assert_eq!(http.fetch(&request, 1).await.unwrap().status, StatusCode::NO_CONTENT, "{name}");
    }
    server.join().unwrap();
}
