//! Key files: PKCS#8, SEC1 and PEM, encrypted and not. Any of them is opened or refused on the locked stack, soon, and
//! what is opened is the key that p256 sees in it.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::SigningKey;
use touchmarkd::vault::{
    KeyFileError, MemoryError, SecretBuf, VaultError, key_file_needs_passphrase, take_plain,
};

use crate::{Input, memory};

/// How many rounds of key derivation are waited for here; the daemon does more.
const PATIENCE: u64 = 20_000;
/// So many are refused.
const REFUSED: u64 = 10_000_000;

/// The first byte: a file as it is, or DER under one of the labels; then the passphrase.
pub fn keyfiles(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let passphrase = if kind & 0x80 == 0 { b"correct-horse-9" } else { input.piece() };
    let rest = input.rest();
    let file = match kind % 8 {
        0 | 1 => rest.to_vec(),
        2 => pem("PRIVATE KEY", "", rest),
        3 => pem("ENCRYPTED PRIVATE KEY", "role: targets\ngun: docker.io/library/a\n\n", rest),
        4 => pem("EC PRIVATE KEY", "", rest),
        5 => pem(
            "EC PRIVATE KEY",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899aabbccddeeff\n\n",
            rest,
        ),
        6 => pem("EC PRIVATE KEY", &format!("DEK-Info: {}\n\n", String::from_utf8_lossy(passphrase)), rest),
        _ => pem("RSA PRIVATE KEY", "", rest),
    };
    if !file.is_empty() && !takes_long(&file) {
        open(&file, passphrase);
    }
}

fn pem(label: &str, headers: &str, der: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {label}-----\n{headers}");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text += &format!("-----END {label}-----\n");
    text.into_bytes()
}

fn secret(bytes: &[u8]) -> SecretBuf {
    let mut secret = SecretBuf::new(&memory(), bytes.len()).unwrap();
    secret.extend_from_slice(bytes).unwrap();
    secret
}

fn open(file: &[u8], passphrase: &[u8]) {
    let locked = memory();
    let file = secret(file);
    let passphrase = secret(passphrase);
    let before = locked.locked_bytes();
    let header = key_file_needs_passphrase(&file);
    let without = take_plain(&locked, &file, None);
    let with = take_plain(&locked, &file, Some(&passphrase));
    for taken in [&without, &with] {
        match taken {
            Err(VaultError::Memory(MemoryError::Panicked)) => panic!("a panic on the locked stack"),
            Err(VaultError::Memory(error)) => panic!("memory: {error}"),
            Err(VaultError::KeyFile(_)) => {}
            Err(other) => panic!("another kind of refusal: {other}"),
            Ok(key) => {
                let theirs = SigningKey::from_slice(key.scalar.expose()).expect("a private key");
                let point = theirs.verifying_key().to_sec1_point(false);
                assert_eq!(key.public.p256_point().unwrap().as_slice(), point.as_bytes());
                assert_eq!(Ok(&key.header), header.as_ref());
            }
        }
    }
    match &header {
        Err(error) => {
            let same = |taken| matches!(taken, &Err(VaultError::KeyFile(ref found)) if found == error);
            assert!(same(&without) && same(&with));
        }
        Ok(header) if header.encrypted => {
            assert!(matches!(without, Err(VaultError::KeyFile(KeyFileError::PassphraseNeeded))));
        }
        Ok(_) => {
            assert_eq!(
                without.as_ref().map(|key| &key.public).ok(),
                with.as_ref().map(|key| &key.public).ok()
            );
        }
    }
    drop((without, with));
    assert_eq!(locked.locked_bytes(), before, "locked memory is given back");
}

/// Whether the file asks for more rounds than are waited for here, and not so many that it must be refused. PBKDF2's
/// parameters (RFC 8018, appendix A.2) are looked for in whatever base64 there is.
fn takes_long(file: &[u8]) -> bool {
    let digits = |line: &[u8]| line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let der: Vec<u8> =
        lines.filter(|line| digits(line)).filter_map(|line| STANDARD.decode(line).ok()).flatten().collect();
    let pbkdf2 = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
    let mut found = der.windows(pbkdf2.len()).enumerate().filter(|(_, window)| *window == pbkdf2);
    found.any(|(at, _)| {
        rounds(&der[at + pbkdf2.len()..]).is_some_and(|rounds| (PATIENCE..=REFUSED).contains(&rounds))
    })
}

fn rounds(mut der: &[u8]) -> Option<u64> {
    header(&mut der)?;
    let salt = header(&mut der)?;
    der = der.get(salt..)?;
    let length = header(&mut der)?;
    let digits = der.get(..length)?;
    if digits.len() > 9 {
        return None;
    }
    Some(digits.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)))
}

/// Takes tag and length off.
fn header(der: &mut &[u8]) -> Option<usize> {
    let (_, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let more = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    if more > 2 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(more)?;
    *der = rest;
    Some(if more == 0 {
        usize::from(*first)
    } else {
        digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    })
}
