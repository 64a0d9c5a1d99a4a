use std::io::Write as _;

use super::line::Line;
use super::*;

fn typed(bytes: &[u8], max: usize) -> Result<Vec<u8>, PromptError> {
    let mut line = Line::new(max);
    for byte in bytes {
        if line.push(*byte) {
            break;
        }
    }
    line.finish().map(|secret| secret.expose().to_vec())
}

#[test]
fn a_line_ends_at_its_newline_and_loses_a_carriage_return() {
    assert_eq!(typed(b"1234\nrest", 255).unwrap(), b"1234");
    assert_eq!(typed(b"1234\r\n", 255).unwrap(), b"1234");
    assert_eq!(typed(b"12\r34\n", 255).unwrap(), b"12\r34");
    assert_eq!(typed(b" 12 \n", 255).unwrap(), b" 12 ");
    assert_eq!(typed("pässwörd\n".as_bytes(), 255).unwrap(), "pässwörd".as_bytes());
    assert_eq!(typed(b"no newline", 255).unwrap(), b"no newline");
}

#[test]
fn a_line_may_be_as_long_as_a_secret_and_no_longer() {
    let longest = vec![b'x'; SECRET_MAX];
    assert_eq!(typed(&[&longest[..], b"\n"].concat(), SECRET_MAX).unwrap(), longest);
    assert_eq!(typed(&[&longest[..], b"\r\n"].concat(), SECRET_MAX).unwrap(), longest);
    for too_long in [[&longest[..], b"x\n"].concat(), [&longest[..], &longest[..], b"\n"].concat()] {
        assert!(matches!(typed(&too_long, SECRET_MAX), Err(PromptError::TooLong { max: SECRET_MAX })));
    }
}

#[test]
fn a_secret_shows_nothing_of_itself() {
    let mut secret = Secret::with_capacity(4);
    for byte in b"1234" {
        assert!(secret.push(*byte));
    }
    assert!(!secret.push(b'5'), "the buffer must not grow");
    assert_eq!(format!("{secret:?}"), "Secret");
    assert_eq!(secret.expose(), b"1234");
}

#[test]
fn comparing_two_typed_secrets() {
    assert!(same(b"1234", b"1234"));
    assert!(!same(b"1234", b"1235"));
    assert!(!same(b"1234", b"12345"));
}

#[test]
fn what_a_yubikey_types_is_known_and_what_a_person_types_is_not_taken_for_it() {
    let otp = b"ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";
    assert_eq!(otp.len(), 44);
    assert!(is_one_time_password(otp));
    assert!(is_one_time_password(&[&b"1234"[..], otp].concat()), "half a PIN, and then the touch");
    // Without a public id there are 32.
    assert!(is_one_time_password(&otp[12..]));
    let hex = b"5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    for typed in [&b"123456"[..], b"", b"cccccc", b"correct horse battery staple", hex, &otp[13..]] {
        assert!(!is_one_time_password(typed), "{}", String::from_utf8_lossy(typed));
    }
}

/// A descriptor number that is the read end of a pipe or file, kept alive by the guard.
fn number(fd: &impl std::os::fd::AsRawFd) -> i32 {
    fd.as_raw_fd()
}

#[tokio::test]
async fn a_descriptor_gives_one_secret_a_line() {
    let (read, write) = rustix::pipe::pipe().unwrap();
    let mut write = std::fs::File::from(write);
    write.write_all(b"first\nsecond\n").unwrap();
    let prompter = Prompter::new(Source::Fd(number(&read)), Consent::Ask);
    assert_eq!(prompter.secret("PIN", 255, Typed::Once).await.unwrap().expose(), b"first");
    // Nobody types a new secret twice into a pipe.
    assert_eq!(prompter.secret("new PIN", 255, Typed::Twice).await.unwrap().expose(), b"second");
    drop(write);
    let ended = prompter.secret("PIN", 255, Typed::Once).await;
    assert!(matches!(ended, Err(PromptError::Ended { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_pipe_whose_writer_left_before_we_came_does_not_hang() {
    let (read, write) = rustix::pipe::pipe().unwrap();
    drop(write);
    let prompter = Prompter::new(Source::Fd(number(&read)), Consent::Ask);
    let ended = prompter.secret("PIN", 255, Typed::Once).await;
    assert!(matches!(ended, Err(PromptError::Ended { .. })), "{ended:?}");
}

#[tokio::test]
async fn an_empty_line_is_no_secret() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"\n").unwrap();
    let prompter = Prompter::new(Source::Fd(number(&file)), Consent::Ask);
    let empty = prompter.secret("PIN", 255, Typed::Once).await;
    assert!(matches!(empty, Err(PromptError::Empty { .. })), "{empty:?}");
}

#[tokio::test]
async fn a_descriptor_that_is_not_open_is_named() {
    let prompter = Prompter::new(Source::Fd(7777), Consent::Ask);
    let error = prompter.secret("PIN", 255, Typed::Once).await.unwrap_err();
    assert!(error.to_string().contains("descriptor 7777"), "{error}");
}

#[tokio::test]
async fn a_flag_answers_without_a_terminal() {
    confirm("Remove it?", Consent::Given, "--yes").await.unwrap();
}

#[test]
fn without_a_terminal_the_flag_is_named() {
    let error =
        Error::from(PromptError::NoTerminal { what: "PIN".into(), flag: "--pin-fd N or --pin-stdin" });
    assert_eq!(error.reason, Reason::NoTerminal);
    assert!(error.hint.unwrap().contains("--pin-stdin"));
}

#[test]
fn a_key_file_keeps_its_bytes_and_has_a_limit() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Secret::from_file(file.path()), Err(PromptError::File { .. })), "empty");
    file.write_all(b"-----BEGIN\r\n\n").unwrap();
    assert_eq!(Secret::from_file(file.path()).unwrap().expose(), b"-----BEGIN\r\n\n");
    file.write_all(&vec![b'x'; KEY_FILE_MAX]).unwrap();
    assert!(matches!(Secret::from_file(file.path()), Err(PromptError::TooLong { max: KEY_FILE_MAX })));
}
