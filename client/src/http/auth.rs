//! Logging in: challenges (RFC 9110, section 11.6.1) and the token servers of registries. Credentials go to an https
//! server that was named by the server that wants them, and nowhere else.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::timeout_at;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::{Http, HttpError, Login, Request, authority};
use crate::config::docker::{self, Credentials};

/// More than any token, in bytes.
const TOKEN_MAX: usize = 1 << 20;
const CLIENT_ID: &str = "touchmark";

/// What a server wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password.
    Basic,
    /// A token from elsewhere.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Http {
    /// Answers a 401: the value of `Authorization` to come back with.
    pub(super) async fn log_in(
        &self,
        request: &Request,
        headers: &HeaderMap,
    ) -> Result<(HeaderValue, Login), HttpError> {
        let host = authority(&request.url);
        if request.url.scheme() != "https" {
            return Err(HttpError::Plain { host });
        }
        let known = self.credentials(request).await?;
        let login = if known.is_some() { Login::Known } else { Login::Anonymous };
        match (choose(headers), known) {
            (Some(Challenge::Bearer { realm, service, scope }), known) => {
                let asked = Asked {
                    realm: realm_url(&realm, &host)?,
                    service,
                    scope: scope.unwrap_or_else(|| request.scope.clone()),
                };
                let token = self.token(request, &asked, known.as_ref(), login).await?;
                Ok((header(&format!("Bearer {}", *token), &host)?, login))
            }
            (Some(Challenge::Basic), Some(Credentials::Password { user, password })) => {
                Ok((basic(&user, &password, &host)?, login))
            }
            _ => Err(self.unauthorized(request, login)),
        }
    }

    async fn credentials(&self, request: &Request) -> Result<Option<Credentials>, HttpError> {
        let (folder, server) = (self.docker_dir().to_owned(), request.account.credentials_key().to_owned());
        let looking = tokio::task::spawn_blocking(move || docker::credentials(&folder, &server));
        match timeout_at(request.deadline.at(), looking).await {
            Ok(Ok(found)) => Ok(found?),
            Ok(Err(cause)) => Err(nonsense(&authority(&request.url), cause)),
            Err(_) => Err(HttpError::Timeout { host: "the credential helper".to_owned() }),
        }
    }

    async fn token(
        &self,
        request: &Request,
        asked: &Asked,
        known: Option<&Credentials>,
        login: Login,
    ) -> Result<Zeroizing<String>, HttpError> {
        let host = authority(&asked.realm);
        let mut to_realm =
            Request::get(asked.realm.clone(), request.account.clone(), String::new(), request.deadline);
        match known {
            Some(Credentials::Identity(token)) => {
                to_realm.method = Method::POST;
                to_realm
                    .headers
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                to_realm.body = Bytes::from(asked.refresh_form(token));
            }
            Some(Credentials::Password { user, password }) => {
                to_realm.url.query_pairs_mut().extend_pairs(asked.pairs()).append_pair("account", user);
                to_realm.headers.insert(AUTHORIZATION, basic(user, password, &host)?);
            }
            None => drop(to_realm.url.query_pairs_mut().extend_pairs(asked.pairs())),
        }
        // Straight, without redirects: the credentials are for this server alone.
        let response = self.send(&to_realm, &to_realm.url, None).await?;
        if matches!(response.status().as_u16(), 400 | 401 | 403) {
            return Err(self.unauthorized(request, login));
        }
        if !response.status().is_success() {
            return Err(nonsense(&host, format!("its token server answered {}", response.status())));
        }
        let mut incoming = super::Incoming { response, host: host.clone() };
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = incoming.chunk(request.deadline).await? {
            if body.len() + chunk.len() > TOKEN_MAX {
                return Err(nonsense(&host, "an endless token"));
            }
            body.extend_from_slice(&chunk);
        }
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| nonsense(&host, "no token"))?;
        answer.token.or(answer.access_token).map(Zeroizing::new).ok_or_else(|| nonsense(&host, "no token"))
    }
}

struct Asked {
    realm: Url,
    service: Option<String>,
    scope: String,
}

impl Asked {
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let mut pairs = Vec::new();
        if let Some(service) = &self.service {
            pairs.push(("service", service.as_str()));
        }
        pairs.extend(self.scope.split_whitespace().map(|scope| ("scope", scope)));
        pairs
    }

    fn refresh_form(&self, token: &str) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", CLIENT_ID);
        form.append_pair("refresh_token", token).append_pair("scope", &self.scope);
        if let Some(service) = &self.service {
            form.append_pair("service", service);
        }
        form.finish()
    }
}

/// The strongest challenge that is understood.
pub(crate) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| parse(value.to_str().ok()?));
    all.max_by_key(|challenge| matches!(challenge, Challenge::Bearer { .. }))
}

fn parse(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = rest.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, tail) = quoted(after)?;
        match name.trim().to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value).filter(|scope| !scope.is_empty()),
            _ => {}
        }
        rest = tail.trim_start().strip_prefix(',').unwrap_or(tail).trim();
    }
    realm.map(|realm| Challenge::Bearer { realm, service, scope })
}

/// A token or a quoted string (RFC 9110, section 5.6.4), and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.trim_start().strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, tail) = text.split_at(end);
        return Some((value.trim().to_owned(), tail));
    };
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return inside.get(at + 1..).map(|tail| (value, tail)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn realm_url(realm: &str, host: &str) -> Result<Url, HttpError> {
    let url = Url::parse(realm).map_err(|_| nonsense(host, "its token server has no address"))?;
    if url.scheme() != "https" {
        return Err(HttpError::Plain { host: authority(&url) });
    }
    Ok(url)
}

fn basic(user: &str, password: &str, host: &str) -> Result<HeaderValue, HttpError> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    header(&format!("Basic {}", *encoded), host)
}

fn header(text: &str, host: &str) -> Result<HeaderValue, HttpError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| nonsense(host, "a token with control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn nonsense(host: &str, what: impl ToString) -> HttpError {
    HttpError::Nonsense { host: host.to_owned(), what: what.to_string() }
}

#[cfg(test)]
mod tests;
