//! Attestation, as OpenSSL reads it.

use super::*;
use crate::cli::{Cli, tool};
use crate::piv::AttestationCa;
use crate::place::Place;

#[test]
fn an_attestation_says_where_a_key_was_made_and_hangs_together_up_to_the_ca() {
    let authority = AttestationCa::new();
    for firmware in [Firmware::V5_4, Firmware::V5_7] {
        let mut host = Host(PivCard::vouched_for(firmware, 0x00bc_614e, &authority));
        host.ok(SELECT);
        host.manage();
        let key = host.generate(0x9c, 2, 3);
        let attested = host.ask([0xf9, 0x9c, 0], &[]).unwrap();
        let f9 = host.ask([0xcb, 0x3f, 0xff], &tlv(0x5c, &[0x5f, 0xff, 1])).unwrap();
        assert_eq!([f9[0], f9[4]], [0x53, 0x70]);
        let length = usize::from(u16::from_be_bytes([f9[6], f9[7]]));
        let (f9, rest) = f9[8..].split_at(length);
        assert_eq!(rest, [0x71, 1, 0, 0xfe, 0]);

        let place = Place::new();
        std::fs::write(place.join("root.pem"), authority.pem()).unwrap();
        let openssl = || Cli::new(tool("openssl")).folder(place.path());
        for (name, der) in [("f9", f9), ("9c", &attested)] {
            std::fs::write(place.join("der"), der).unwrap();
            openssl().args(["x509", "-inform", "DER", "-in", "der", "-out", name]).ok();
        }
        openssl().args(["verify", "-CAfile", "root.pem", "-untrusted", "f9", "9c"]).ok().says("9c: OK");
        openssl().args(["verify", "-CAfile", "root.pem", "9c"]).run().fails();
        let text = openssl().args(["x509", "-in", "9c", "-noout", "-subject", "-issuer", "-pubkey"]).ok();
        let text = text.says("CN = YubiKey PIV Attestation 9c").says("CN = Yubico PIV Attestation");
        std::fs::write(place.join("public"), &text.stdout[text.stdout.find("-----BEGIN").unwrap()..])
            .unwrap();
        openssl().args(["pkey", "-pubin", "-in", "public", "-outform", "DER", "-out", "spki"]).ok();
        assert!(std::fs::read(place.join("spki")).unwrap().ends_with(key.to_sec1_point(false).as_bytes()));

        let [_, minor, patch] = firmware.version();
        for (what, content) in
            [(3, vec![5, minor, patch]), (7, vec![2, 4, 0, 0xbc, 0x61, 0x4e]), (8, vec![2, 3]), (9, vec![3])]
        {
            let oid = [0x2b, 6, 1, 4, 1, 0x82, 0xc4, 0x0a, 3, what]; // 1.3.6.1.4.1.41482.3.what
            let extension = [tlv(6, &oid), tlv(4, &content)].concat();
            let found = attested.windows(extension.len()).any(|window| window == extension);
            assert!(found, "{what}: {content:02x?}");
        }
    }
}

#[test]
fn only_keys_that_were_made_here_are_attested() {
    let mut host = Host::at_home(Firmware::V5_7);
    assert_eq!(host.ask([0xf9, 0x9a, 0], &[]), Err(Status::WRONG_DATA), "an empty slot");
    host.ask([0xfe, 0x11, 0x9a], &tlv(0x06, &[0x11; 32])).unwrap();
    assert_eq!(host.ask([0xf9, 0x9a, 0], &[]), Err(Status::WRONG_DATA));
    assert_eq!(host.ask([0xf9, 0xf9, 0], &[]), Err(Status::WRONG_DATA));
    host.generate(0x9a, 0, 0);
    assert!(host.ask([0xf9, 0x9a, 0], &[]).is_ok(), "and for no login at all");
}
