//! DER of private keys: short scalars, foreign public keys, damage.
use super::{KeyFileError, pkcs8, sec1};
use crate::vault::testing::{memory, secret, unhex};
use crate::vault::{SecretBuf, VaultError, take_plain};

fn scalar_of(der: &[u8]) -> Result<Vec<u8>, KeyFileError> {
    let locked = memory();
    let mut out = SecretBuf::new(&locked, 32).unwrap();
    locked.inside(|inside| sec1(der, inside)?.write_scalar(&mut out, inside)).unwrap()?;
    Ok(out.expose().to_vec())
}

#[test]
fn short_scalars_are_filled_up_in_front() {
    assert_eq!(scalar_of(&unhex("3006020101040107")).unwrap(), [[0; 31].as_slice(), &[7]].concat());
}

#[test]
fn long_scalars_belong_to_other_curves() {
    let der = [unhex("3026020101042100"), vec![1; 32]].concat();
    assert!(matches!(scalar_of(&der), Err(KeyFileError::NotP256(_))));
}

#[test]
fn every_cut_and_every_extra_byte_is_damage() {
    let whole = unhex("3006020101040107");
    for length in 0..whole.len() {
        assert!(matches!(scalar_of(&whole[..length]), Err(KeyFileError::Damaged(_))), "{length} bytes");
    }
    assert!(matches!(scalar_of(&[whole.as_slice(), &[0]].concat()), Err(KeyFileError::Damaged(_))));
    let refused = memory().inside(|inside| pkcs8(&whole, inside).err()).unwrap();
    assert!(matches!(refused, Some(KeyFileError::Damaged(_))));
}

/// A file whose public key is another's would be listed under an id that it cannot sign for.
#[test]
fn foreign_public_key_in_the_file_is_refused() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let pem = include_str!("../../samples/key_files/sec1.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let mut der = engine.decode(body).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let text =
        format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", engine.encode(&der));
    let locked = memory();
    let refused = take_plain(&locked, &secret(&locked, text.as_bytes()), None).unwrap_err();
    assert!(matches!(refused, VaultError::KeyFile(KeyFileError::Invalid(_))), "{refused}");
    let zero = "-----BEGIN EC PRIVATE KEY-----\nMAYCAQEEAQA=\n-----END EC PRIVATE KEY-----\n";
    let refused = take_plain(&locked, &secret(&locked, zero.as_bytes()), None).unwrap_err();
    assert!(matches!(refused, VaultError::KeyFile(KeyFileError::Invalid(_))), "{refused}");
}
