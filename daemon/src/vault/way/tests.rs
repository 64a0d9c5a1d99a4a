//! The stored form of ways.
use super::{Method, Way};
use crate::vault::FormatError;
use crate::vault::aead::Box48;
use crate::vault::passphrase::Cost;
use crate::vault::scalar::Point;

fn way(method: Method) -> Way {
    Way { method, sealed: Box48 { nonce: [8; 24], bytes: [9; 48] } }
}

#[test]
fn every_method_comes_back() {
    let methods = [
        Method::Ecdh { token: Point([4; 65]), ephemeral: Point([5; 65]) },
        Method::RsaOaep { spki: vec![1; 294], ciphertext: vec![2; 256] },
        Method::Argon2id { cost: Cost::NEW, salt: [3; 16] },
    ];
    for (number, method) in (1..).zip(methods) {
        let way = way(method);
        let bytes = way.to_bytes();
        assert_eq!((&bytes[..5], bytes[5]), (b"TMVW\x01".as_slice(), number));
        assert_eq!(Way::from_bytes(&bytes).as_ref(), Ok(&way));
        for length in 0..bytes.len() {
            Way::from_bytes(&bytes[..length]).unwrap_err();
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Way::from_bytes(&longer), Err(FormatError::Damaged("vault way")));
    }
}

/// A stored cost decides how much memory is locked and for how long: it is not believed blindly.
#[test]
fn costs_that_nobody_wrote_are_refused() {
    let costs = [(0, 5, 1), (8 * 1024, 5, 1), (u32::MAX, 5, 1), (7168, 0, 1), (7168, 65, 1), (7168, 5, 2)];
    for (memory_kib, passes, lanes) in costs {
        let bytes =
            way(Method::Argon2id { cost: Cost { memory_kib, passes, lanes }, salt: [3; 16] }).to_bytes();
        assert_eq!(
            Way::from_bytes(&bytes),
            Err(FormatError::Damaged("vault way")),
            "{memory_kib} {passes} {lanes}"
        );
    }
}

#[test]
fn unknown_methods_are_refused() {
    let mut bytes = way(Method::Argon2id { cost: Cost::NEW, salt: [3; 16] }).to_bytes();
    bytes[5] = 4;
    assert_eq!(Way::from_bytes(&bytes), Err(FormatError::Damaged("vault way")));
}
