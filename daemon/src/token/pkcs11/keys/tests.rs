use super::{element, integer, rsa_spki};

#[test]
fn lengths_take_the_shortest_form() {
    assert_eq!(element(4, &[1; 0x7f])[..3], [4, 0x7f, 1]);
    assert_eq!(element(4, &[1; 0x80])[..4], [4, 0x81, 0x80, 1]);
    assert_eq!(element(4, &[1; 0x123])[..5], [4, 0x82, 0x01, 0x23, 1]);
}

#[test]
fn integers_are_positive_and_short() {
    assert_eq!(integer(&[1, 0, 1]), [2, 3, 1, 0, 1]);
    assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
    assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
    assert_eq!(integer(&[0]), [2, 1, 0]);
}

#[test]
fn an_rsa_key_reads_back() {
    let mut modulus = [0xab; 256];
    modulus[255] = 1;
    let spki = rsa_spki(&modulus, &[1, 0, 1]);
    let key = touchmark_tuf::PublicKey::from_spki(&spki).unwrap();
    assert_eq!(key.key_type(), touchmark_tuf::KeyType::Rsa);
    assert_eq!(key.spki().unwrap(), spki);
}
