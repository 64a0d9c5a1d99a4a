//! Credentials go to the server that asks for them and to the token server that it names, over verified TLS, and
//! nowhere else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hsm_tests::ca::Ca;
use hsm_tests::cli::Ran;
use hsm_tests::home::Home;
use hsm_tests::hostile::{Hostile, Reply};

const GUN: &str = "registry.example.com/team/app";

/// Somebody who is logged in at the registry, and asks this server for trust data.
fn logged_in(ca: &Ca, server: &Hostile, others: &[&Hostile], login: &str) -> Home {
    let mut home = Home::new();
    for host in others.iter().map(|other| other.host()).chain([server.host()]) {
        home.trust_tls_of(&host, &ca.pem());
    }
    home.set("DOCKER_CONTENT_TRUST_SERVER", &format!("https://{}", server.host()));
    let config = format!("{{\"auths\":{{\"registry.example.com\":{login}}}}}");
    std::fs::write(home.docker_config().join("config.json"), config).unwrap();
    home
}

fn password() -> String {
    format!("{{\"auth\":\"{}\"}}", STANDARD.encode("dev:secret"))
}

fn verify(home: &Home) -> Ran {
    home.touchmark().args(["--format", "json", "verify", &format!("{GUN}:one")]).run()
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn challenge(realm: &str) -> Reply {
    let value = format!("Bearer realm=\"{realm}\",service=\"notary.test\",scope=\"repository:{GUN}:pull\"");
    Reply::header(401, "WWW-Authenticate", &value)
}

#[test]
fn the_token_server_gets_the_password_and_the_trust_server_only_the_token() {
    let ca = Ca::new();
    let tokens = Hostile::tls(&ca, |_| Reply::ok(r#"{"token":"the-token"}"#));
    let realm = format!("https://{}/token", tokens.host());
    let trust = Hostile::tls(&ca, move |_| challenge(&realm));
    // It refuses the token too: that is the end, not a loop.
    verify(&logged_in(&ca, &trust, &[&tokens], &password()))
        .exits(6)
        .says("UNAUTHORIZED")
        .says("docker login");

    let asked = tokens.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("GET /token?service=notary.test&scope=repository%3A"), "{asked:?}");
    let basic = format!("Basic {}", STANDARD.encode("dev:secret"));
    assert_eq!(header(&asked[0], "Authorization"), Some(basic.as_str()));

    let asked = trust.requests();
    let shown: Vec<_> = asked.iter().map(|request| header(request, "Authorization")).collect();
    assert_eq!(shown, [None, Some("Bearer the-token")]);
}

#[test]
fn an_identity_token_is_exchanged_in_a_form() {
    let ca = Ca::new();
    let tokens = Hostile::tls(&ca, |_| Reply::ok(r#"{"access_token":"the-token"}"#));
    let realm = format!("https://{}/token", tokens.host());
    let trust = Hostile::tls(&ca, move |_| challenge(&realm));
    verify(&logged_in(&ca, &trust, &[&tokens], r#"{"auth":"","identitytoken":"refresh"}"#)).exits(6);
    let asked = tokens.requests();
    assert!(asked[0].starts_with("POST /token "), "{asked:?}");
    assert_eq!(header(&asked[0], "Authorization"), None);
    assert_eq!(header(&trust.requests()[1], "Authorization"), Some("Bearer the-token"));
}

#[test]
fn a_redirect_takes_no_credentials_along_and_a_login_elsewhere_is_not_given() {
    let ca = Ca::new();
    let elsewhere = Hostile::tls(&ca, |_| challenge("https://localhost:1/token"));
    let tokens = Hostile::tls(&ca, |_| Reply::ok(r#"{"token":"the-token"}"#));
    let (realm, away) =
        (format!("https://{}/token", tokens.host()), format!("https://{}/x", elsewhere.host()));
    let asked = std::sync::atomic::AtomicBool::new(false);
    let trust = Hostile::tls(&ca, move |_| match asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
        false => challenge(&realm),
        true => Reply::header(307, "Location", &away),
    });
    let ran = verify(&logged_in(&ca, &trust, &[&tokens, &elsewhere], &password())).exits(6);
    ran.says(&elsewhere.host()).says("login");
    assert_eq!(header(&trust.requests()[1], "Authorization"), Some("Bearer the-token"));
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(header(&seen[0], "Authorization"), None, "{seen:?}");
}

#[test]
fn a_token_server_on_plain_http_or_behind_a_redirect_gets_nothing() {
    let ca = Ca::new();
    let plain = Hostile::plain(|_| Reply::ok(r#"{"token":"the-token"}"#));
    let away = format!("https://{}/token", plain.host());
    let redirects = Hostile::tls(&ca, move |_| Reply::header(302, "Location", &away));
    for realm in [format!("http://{}/token", plain.host()), format!("https://{}/token", redirects.host())] {
        let trust = Hostile::tls(&ca, move |_| challenge(&realm));
        verify(&logged_in(&ca, &trust, &[&redirects], &password())).exits(6);
        assert_eq!(trust.requests().len(), 1);
    }
    assert_eq!(plain.requests(), [""; 0]);
}
