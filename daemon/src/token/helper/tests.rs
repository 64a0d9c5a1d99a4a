//! The helper's loop in this process: requests in, answers out, with the fake token.

use std::io::Cursor;
use std::path::Path;

use super::{Server, read_request};
use crate::token::fake::{FakeProvider, PIN, public_key};
use crate::token::frame::{HEADER, Header};
use crate::token::hex::Hex;
use crate::token::message::{Answer, Reply, Request, WireBox, WireKeyRef};
use crate::token::{KeyRef, Presence, TokenBox, TokenError, TokenKind};

fn open() -> Request {
    Request::Open { kind: TokenKind::Pkcs11 { module: "fake".into(), label: "fake".into(), serial: None } }
}

fn login() -> Request {
    Request::Login { enrolled: Vec::new() }
}

fn sign() -> Request {
    let key = KeyRef { id: vec![1], public: public_key().unwrap() };
    Request::Sign { key: WireKeyRef::try_from(&key).unwrap(), digest: Hex(vec![7; 32]) }
}

fn unwrap() -> Request {
    let key = KeyRef { id: vec![1], public: public_key().unwrap() };
    Request::Unwrap {
        key: WireKeyRef::try_from(&key).unwrap(),
        boxed: WireBox::from(&TokenBox::Ecdh { peer: [4; 65] }),
    }
}

/// Sends all of `requests`, each with its secret; gives back what was answered, and whether the helper went on.
fn talk(orders: &Path, requests: &[(Request, &[u8])]) -> (Vec<(Reply, Vec<u8>)>, bool) {
    let mut input = Vec::new();
    for (number, (request, secret)) in (1..).zip(requests) {
        let body = serde_json::to_vec(request).unwrap();
        input.extend(Header { number, body: body.len(), secrets: [secret.len(), 0] }.encode().unwrap());
        input.extend(body);
        input.extend(*secret);
    }
    let (mut input, mut output) = (Cursor::new(input), Vec::new());
    let requests = std::iter::from_fn(|| read_request(&mut input).unwrap());
    let went_on = Server::new(FakeProvider::new(orders.to_owned()), &mut output).run(requests).is_ok();
    (answers(&output), went_on)
}

fn answers(mut output: &[u8]) -> Vec<(Reply, Vec<u8>)> {
    let mut answers = Vec::new();
    while !output.is_empty() {
        let (header, rest) = output.split_first_chunk::<HEADER>().unwrap();
        let header = Header::decode(header).unwrap();
        assert_eq!(header.number as usize, answers.len() + 1);
        let (body, rest) = rest.split_at(header.body);
        let (secret, rest) = rest.split_at(header.secrets[0]);
        answers.push((serde_json::from_slice(body).unwrap(), secret.to_vec()));
        output = rest;
    }
    answers
}

fn results(answers: Vec<(Reply, Vec<u8>)>) -> Vec<Result<Answer, TokenError>> {
    answers.into_iter().map(|(reply, _)| reply.result).collect()
}

#[test]
fn a_login_lets_sign() {
    let dir = tempfile::tempdir().unwrap();
    let (answers, _) =
        talk(&dir.path().join("o"), &[(open(), b""), (sign(), b""), (login(), PIN), (sign(), b"")]);
    let logged_in = answers[2].0.state.clone().unwrap();
    assert!(logged_in.logged_in && logged_in.presence == Presence::Present);
    let results = results(answers);
    assert_eq!(results[1], Err(TokenError::NotLoggedIn));
    assert!(matches!(&results[3], Ok(Answer::Signature(Hex(raw))) if raw.len() == 64));
}

#[test]
fn an_opened_box_travels_beside_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let (answers, _) = talk(&dir.path().join("o"), &[(open(), b""), (login(), PIN), (unwrap(), b"")]);
    assert_eq!(answers[2].0.result, Ok(Answer::Secret));
    assert_eq!(answers[2].1, [7; 32]);
}

#[test]
fn a_wrong_pin_reaches_the_token_once() {
    let dir = tempfile::tempdir().unwrap();
    let orders = dir.path().join("o");
    let (answers, _) = talk(&orders, &[(open(), b""), (login(), b"000000"), (sign(), b""), (sign(), b"")]);
    assert_eq!(
        results(answers)[1..],
        [
            Err(TokenError::WrongPin { tries_left: Some(2) }),
            Err(TokenError::NotLoggedIn),
            Err(TokenError::NotLoggedIn)
        ]
    );
    let log = std::fs::read_to_string(dir.path().join("o.log")).unwrap();
    assert_eq!(log.lines().filter(|call| *call == "login").count(), 1);
}

#[test]
fn a_login_without_a_pin_reaches_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let (answers, _) = talk(&dir.path().join("o"), &[(open(), b""), (login(), b"")]);
    assert!(matches!(results(answers)[1], Err(TokenError::Failed { .. })));
    assert!(!std::fs::read_to_string(dir.path().join("o.log")).unwrap().contains("login"));
}

#[test]
fn a_failing_token_is_let_go_and_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let orders = dir.path().join("o");
    std::fs::write(&orders, r#"sign error {"failed":{"call":"C_Sign","code":"CKR_DEVICE_ERROR"}}"#).unwrap();
    let (answers, _) = talk(&orders, &[(open(), b""), (login(), PIN), (sign(), b""), (sign(), b"")]);
    assert!(matches!(answers[2].0.state.as_ref().unwrap().presence, Presence::Failed(_)));
    // The login went with the token.
    assert_eq!(results(answers)[3], Err(TokenError::NotLoggedIn));
    let log = std::fs::read_to_string(dir.path().join("o.log")).unwrap();
    assert_eq!(log.lines().filter(|call| *call == "open").count(), 2);
}

#[test]
fn a_panic_is_answered_and_ends_the_helper() {
    let dir = tempfile::tempdir().unwrap();
    let orders = dir.path().join("o");
    std::fs::write(&orders, "keys panic").unwrap();
    let (answers, went_on) = talk(&orders, &[(open(), b""), (Request::Keys, b""), (Request::Keys, b"")]);
    assert!(!went_on);
    assert_eq!(answers.len(), 2);
    assert!(matches!(results(answers)[1], Err(TokenError::HelperEnded { .. })));
}

#[test]
fn an_absent_token_is_a_state() {
    let dir = tempfile::tempdir().unwrap();
    let orders = dir.path().join("o");
    std::fs::write(&orders, r#"open error "not-present""#).unwrap();
    let (answers, _) = talk(&orders, &[(open(), b""), (Request::Keys, b"")]);
    assert_eq!(answers[0].0.state.as_ref().unwrap().presence, Presence::Absent);
    assert_eq!(results(answers), [Err(TokenError::NotPresent), Err(TokenError::NotPresent)]);
}

#[test]
fn half_a_request_is_an_error_and_the_end_is_not() {
    assert!(read_request(&mut Cursor::new(b"")).unwrap().is_none());
    let header = Header { number: 1, body: 7, secrets: [0, 0] }.encode().unwrap();
    assert!(read_request(&mut Cursor::new(header)).is_err());
    assert!(read_request(&mut Cursor::new(b"GET / HTTP/1.1\r\n")).is_err());
}
