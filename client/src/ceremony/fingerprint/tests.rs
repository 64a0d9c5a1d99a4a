use super::*;

#[test]
fn the_words_are_those_of_the_paper() {
    // 127.0.0.1 and 63.84.220.193, its first two examples.
    assert_eq!([word(0x7f00), word(0x0001)], ["lusab", "babad"]);
    assert_eq!([word(0x3f54), word(0xdcc1)], ["gutih", "tugad"]);
}

#[test]
fn a_fingerprint_is_meant_in_words_or_in_hex_and_not_by_its_beginning_alone() {
    let digest = Sha256Digest::of(b"plan");
    let words = words(&digest);
    assert_eq!(words.split('-').count(), 8);
    assert!(is_meant(&words, &digest));
    assert!(is_meant(&words.to_uppercase().replace('-', " "), &digest));
    assert!(is_meant(&digest.to_oci(), &digest));
    assert!(is_meant(&digest.to_string()[..32], &digest));
    assert!(!is_meant(&digest.to_string()[..31], &digest));
    assert!(!is_meant(&words[..41], &digest));
    assert!(!is_meant("", &digest));
    assert!(!is_meant(&super::words(&Sha256Digest::of(b"other")), &digest));
}
