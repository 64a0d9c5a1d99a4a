use super::{FrameError, HEADER, Header, MAX_BODY};

const SAMPLE: Header = Header { number: 7, body: 16, secrets: [6, 255] };

/// The bytes as they are today: a change here is a new version.
const GOLDEN: [u8; HEADER] = [1, 0, 0, 0, 7, 0, 0, 0, 16, 0, 6, 0, 255];

#[test]
fn golden_sample() {
    assert_eq!(SAMPLE.encode(), Ok(GOLDEN));
    assert_eq!(Header::decode(&GOLDEN), Ok(SAMPLE));
}

#[test]
fn another_version_is_refused() {
    let mut bytes = GOLDEN;
    bytes[0] = 2;
    assert_eq!(Header::decode(&bytes), Err(FrameError::Version(2)));
}

#[test]
fn text_on_the_pipe_is_refused() {
    assert_eq!(Header::decode(b"Hello, world!"), Err(FrameError::Version(b'H')));
}

#[test]
fn lengths_over_the_limit_are_refused_both_ways() {
    for header in [Header { body: MAX_BODY + 1, ..SAMPLE }, Header { secrets: [0, 256], ..SAMPLE }] {
        assert_eq!(header.encode(), Err(FrameError::TooLong));
    }
    let mut long_body = GOLDEN;
    long_body[5] = 1;
    assert_eq!(Header::decode(&long_body), Err(FrameError::TooLong));
    let mut long_secret = GOLDEN;
    long_secret[9] = 1;
    assert_eq!(Header::decode(&long_secret), Err(FrameError::TooLong));
}
