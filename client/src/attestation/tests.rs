use super::*;

#[test]
fn pem_is_read_with_text_between_and_written_as_others_write_it() {
    let der = vec![0x30; 100];
    let text = pem::write(&der);
    assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    assert_eq!(pem::blocks(&format!("of 2024\n{text}\nand\n{text}")), Some(vec![der.clone(), der]));
    assert_eq!(pem::blocks(text.split_at(90).0), None, "cut off");
    assert_eq!(pem::blocks("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----"), None);
    assert_eq!(pem::blocks(""), Some(Vec::new()));
}

#[test]
fn a_serial_number_has_at_most_four_bytes() {
    assert_eq!(number(&[0xbc, 0x61, 0x4e]), Some(12_345_678));
    assert_eq!(number(&[0xff; 4]), Some(u32::MAX));
    assert_eq!(number(&[]), Some(0));
    assert_eq!(number(&[1, 0, 0, 0, 0]), None);
}

#[test]
fn what_is_no_certificate_is_an_error() {
    let none = Authorities { links: Vec::new(), file: PathBuf::from("ca.pem") };
    let now = Instant::from_unix(1_800_000_000);
    for sent in [vec![], vec![vec![0x30]], vec![Vec::new(), Vec::new()], vec![vec![0x30, 0x80], vec![0; 9]]] {
        let refused = none.check(&sent, now).unwrap_err();
        assert!(matches!(refused, AttestationError::Malformed(_)), "{refused}");
        assert_eq!(Error::from(refused).reason, Reason::NotAttested);
    }
}
