//! Parameters of PBES2 that are refused before any work is done.
use super::{AES_256_CBC, Encrypted, HMAC_SHA1, KeyFileError, MOST_ROUNDS, PBES2, PBKDF2};

fn rounds(rounds: u64) -> Result<u32, KeyFileError> {
    Encrypted {
        scheme: PBES2,
        derivation: PBKDF2,
        salt: b"saltsalt",
        rounds,
        pseudo_random: HMAC_SHA1,
        cipher: AES_256_CBC,
        iv: None,
        text: &[],
    }
    .check()
}

#[test]
fn rounds_are_bounded() {
    assert_eq!(rounds(2048), Ok(2048));
    assert_eq!(rounds(MOST_ROUNDS), Ok(10_000_000));
    assert_eq!(rounds(0), Err(KeyFileError::Damaged("no rounds of key derivation")));
    assert_eq!(rounds(MOST_ROUNDS + 1), Err(KeyFileError::TooCostly(10_000_001)));
    assert_eq!(rounds(u64::MAX), Err(KeyFileError::TooCostly(u64::MAX)));
}
