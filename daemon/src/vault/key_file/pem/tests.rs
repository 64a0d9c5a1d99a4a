//! Broken PEM.
use super::{KeyFileError, Kind, Pem};
use crate::vault::testing::memory;

fn refusal(text: &str) -> KeyFileError {
    let locked = memory();
    let mut out = crate::vault::SecretBuf::new(&locked, text.len().max(1)).unwrap();
    match Pem::parse(text.as_bytes()) {
        Err(error) => error,
        Ok(pem) => match pem.kind() {
            Err(error) => error,
            Ok(_) => locked.inside(|inside| pem.decode(&mut out, inside)).unwrap().unwrap_err(),
        },
    }
}

#[test]
fn blocks_without_end_or_with_another_end_are_damaged() {
    let unended = "-----BEGIN PRIVATE KEY-----\nAAAA\n";
    assert_eq!(refusal(unended), KeyFileError::Damaged("a PEM block has no end"));
    let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    assert_eq!(refusal(other), KeyFileError::Damaged("a PEM block ends under another name than it began"));
}

#[test]
fn bodies_that_are_not_base64_are_damaged() {
    for body in ["AAA", "AA=A", "A A=", "AAAA====", "äää="] {
        let text = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        assert_eq!(refusal(&text), KeyFileError::Damaged("it is not base64"), "{body}");
    }
}

#[test]
fn vectors_of_another_length_are_damaged() {
    for info in [
        "AES-256-CBC",
        "AES-256-CBC,",
        "AES-256-CBC,00",
        "AES-256-CBC,zz000000000000000000000000000000",
        "AES-256-CBC,+0000000000000000000000000000000",
    ] {
        let text = format!(
            "-----BEGIN EC PRIVATE KEY-----\nDEK-Info: {info}\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
        );
        assert_eq!(
            refusal(&text),
            KeyFileError::Damaged("the DEK-Info header has no 16-byte vector"),
            "{info}"
        );
    }
}

#[test]
fn body_ends_where_the_end_line_begins() {
    let text = b"-----BEGIN EC PRIVATE KEY-----\nrole: x\n\nAAEC\nAwQ=\n-----END EC PRIVATE KEY-----";
    let pem = Pem::parse(text).unwrap();
    assert_eq!(pem.kind(), Ok(Kind::Sec1));
    let locked = memory();
    let mut out = crate::vault::SecretBuf::new(&locked, text.len()).unwrap();
    locked.inside(|inside| pem.decode(&mut out, inside)).unwrap().unwrap();
    assert_eq!(out.expose(), [0, 1, 2, 3, 4]);
}
