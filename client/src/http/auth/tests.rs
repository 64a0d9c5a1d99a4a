use super::*;

fn headers(values: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
    }
    headers
}

fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Challenge::Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) }
}

#[test]
fn a_bearer_challenge_is_read_with_commas_inside_its_quotes() {
    let text = r#"Bearer realm="https://auth/token",service="notary.test",scope="repository:a/b:push,pull",error="x""#;
    let wanted = bearer("https://auth/token", Some("notary.test"), Some("repository:a/b:push,pull"));
    assert_eq!(parse(text), Some(wanted));
    assert_eq!(parse(r#"bearer realm="a\"b" , service=plain"#), Some(bearer("a\"b", Some("plain"), None)));
}

#[test]
fn bearer_goes_before_basic_and_the_unknown_is_left_alone() {
    let both = headers(&[r#"Basic realm="x""#, r#"Bearer realm="https://auth""#, "Negotiate"]);
    assert_eq!(choose(&both), Some(bearer("https://auth", None, None)));
    assert_eq!(choose(&headers(&["Basic"])), Some(Challenge::Basic));
    assert_eq!(choose(&headers(&["Negotiate"])), None);
    assert_eq!(choose(&headers(&[r#"Bearer service="no realm""#])), None);
    assert_eq!(choose(&headers(&[r#"Bearer realm="open"#])), None);
}

#[test]
fn a_token_server_on_plain_http_gets_nothing() {
    for realm in ["http://auth/token", "http://localhost:1/token", "ftp://auth"] {
        assert!(matches!(realm_url(realm, "h"), Err(HttpError::Plain { .. })), "{realm}");
    }
    assert!(matches!(realm_url("auth", "h"), Err(HttpError::Nonsense { .. })));
}

#[test]
fn a_header_with_a_secret_does_not_show_it() {
    assert!(!format!("{:?}", basic("me", "hunter2", "h").unwrap()).contains("bWU6"));
}
