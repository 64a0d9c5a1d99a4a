use super::*;
use crate::hex;

const R: &str = "6647e18252c8d9542474fe4c13fd6967851b45b974b17e273217fde63f7aabdb";
const S: &str = "890bf5b8a4f190d4916d6eded9ed19acef8274669a7b03fda2075bba06220ddb";

fn signature(r: [u8; 32], s: [u8; 32]) -> EcdsaSignature {
    let mut raw = [0; 64];
    raw[..32].copy_from_slice(&r);
    raw[32..].copy_from_slice(&s);
    EcdsaSignature::from_raw(raw)
}

fn small(last: u8) -> [u8; 32] {
    let mut number = [0; 32];
    number[31] = last;
    number
}

#[test]
fn dockers_signature_goes_through_der_and_back() {
    let docker = signature(hex::read(R).unwrap(), hex::read(S).unwrap());
    let der = docker.to_der();
    assert_eq!(der[..4], [0x30, 0x45, 0x02, 0x20]);
    assert_eq!(der[36..39], [0x02, 0x21, 0x00], "a number with the first bit set gets a zero in front");
    assert_eq!(EcdsaSignature::from_der(&der), Ok(docker));
}

#[test]
fn numbers_of_every_length_go_through_der_and_back() {
    for (r, s) in [(small(1), small(0x7f)), (small(0x80), [0xff; 32]), ([0x7f; 32], small(0x81))] {
        assert_eq!(EcdsaSignature::from_der(&signature(r, s).to_der()), Ok(signature(r, s)));
    }
    assert_eq!(signature(small(1), small(1)).to_der(), [0x30, 6, 2, 1, 1, 2, 1, 1]);
    assert_eq!(signature([0xff; 32], [0xff; 32]).to_der().len(), 72);
}

#[test]
fn other_forms_than_der_are_refused() {
    let not_der: [&[u8]; 9] = [
        &[],
        &[0x30, 0],
        &[0x31, 6, 2, 1, 1, 2, 1, 1],
        &[0x30, 7, 2, 1, 1, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
        &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
        &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
        &[0x30, 5, 2, 0, 2, 1, 1],
    ];
    for bytes in not_der {
        assert_eq!(EcdsaSignature::from_der(bytes), Err(SignatureError::NotDer), "{bytes:x?}");
    }
    let range: [&[u8]; 2] = [&[0x30, 6, 2, 1, 0, 2, 1, 1], &[0x30, 6, 2, 1, 0x80, 2, 1, 1]];
    for bytes in range {
        assert_eq!(EcdsaSignature::from_der(bytes), Err(SignatureError::Range), "{bytes:x?}");
    }
    let mut long = vec![0x30, 38, 2, 33, 1];
    long.extend_from_slice(&[0; 32]);
    long.extend_from_slice(&[2, 1, 1]);
    assert_eq!(EcdsaSignature::from_der(&long), Err(SignatureError::Range));
}

#[test]
fn signatures_of_larger_curves_become_der_too() {
    assert_eq!(raw_to_der(&[0xff; 96]).unwrap().len(), 2 + 2 * (2 + 49));
    assert_eq!(raw_to_der(&[0xff; 132]).unwrap()[..3], [0x30, 0x81, 138]);
    assert_eq!((raw_to_der(&[]), raw_to_der(&[1; 97]), raw_to_der(&[1; 134])), (None, None, None));
}

#[test]
fn methods_are_found_in_any_case() {
    assert_eq!(Method::from_word("ecdsa"), Some(Method::Ecdsa));
    assert_eq!(Method::from_word("RSAPSS"), Some(Method::RsaPss));
    assert_eq!(Method::from_word("rsapkcs1v15"), Some(Method::RsaPkcs1v15));
    assert_eq!(Method::from_word("eddsa"), Some(Method::EdDsa));
    assert_eq!(Method::from_word("ecd\u{17f}a"), None);
}
