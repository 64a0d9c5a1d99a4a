use touchmark_tuf::{EcdsaSignature, to_be_signed};

use super::*;

fn point(seed: u8) -> [u8; 65] {
    let mut point = [seed; 65];
    point[0] = 4;
    point
}

/// A certificate of root key number `seed`. Nobody looks at its signature.
fn certificate(seed: u8, gun: &Gun) -> PublicKey {
    let from = Instant::from_unix(1_800_000_000);
    let until = Instant::from_unix(1_900_000_000);
    let unsigned = to_be_signed(gun, &point(seed), [1; 16], from, until).unwrap();
    unsigned.finish(&EcdsaSignature::from_raw([1; 64])).unwrap().public_key()
}

fn gun(name: &str) -> Gun {
    name.parse().unwrap()
}

fn key_file(occasion: Occasion, certificates: &[(&str, u8, &str)]) -> KeyFile {
    let each = certificates.iter();
    KeyFile {
        occasion,
        made: Instant::from_unix(1_800_000_000),
        tool: "touchmark 0".to_owned(),
        key: RootKey {
            public: PublicKey::from_p256_point(&point(7)),
            label: "alice \u{202e}".to_owned(),
            token_kind: "yubikey".to_owned(),
            serial: "12345678".to_owned(),
            firmware: "5.7.4".to_owned(),
            touch_policy: "cached".to_owned(),
            pin_policy: "once".to_owned(),
            attestation: vec![vec![0x30, 0x03]],
        },
        certificates: each.map(|(of, seed, for_gun)| (gun(of), certificate(*seed, &gun(for_gun)))).collect(),
    }
}

const APP: &str = "registry.example.com/team/app";
const MADE_UP: &str = "rehearsal.invalid/team/app";

#[test]
fn a_key_file_reads_back_as_it_was_meant() {
    let made = key_file(Occasion::Earnest, &[(APP, 7, APP), ("docker.io/team/app", 7, "docker.io/team/app")]);
    assert_eq!(KeyFile::parse(&made.write()), Ok(made));
}

#[test]
fn a_key_file_with_any_byte_changed_is_refused() {
    let bytes = key_file(Occasion::Earnest, &[(APP, 7, APP)]).write();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(KeyFile::parse(&changed).is_err(), "byte {at} of {}", bytes.len());
    }
    let later = String::from_utf8(bytes).unwrap().replacen("key/1", "key/2", 1);
    assert_eq!(KeyFile::parse(later.as_bytes()), Err(KeyFileError::Format));
}

#[test]
fn a_time_after_the_last_year_that_can_be_told_is_refused() {
    let made = key_file(Occasion::Earnest, &[]).write();
    let mut file: File = serde_json::from_slice(&made).unwrap();
    let mut at = |unix| {
        file.root_key.made_unix = unix;
        file.sha256 = written::digest(&file.root_key);
        KeyFile::parse(&written::pretty(&file))
    };
    let last = 253_402_300_799; // 9999-12-31T23:59:59Z
    assert_eq!(at(last).map(|read| read.made.unix()), Ok(last));
    let why = format!("{} is no time that can be told", last + 1);
    let refused = PlanError::Field { field: "made_unix".to_owned(), why };
    assert_eq!(at(last + 1), Err(KeyFileError::Field(refused)));
}

#[test]
fn a_certificate_of_another_key_or_for_another_repository_is_refused() {
    let why = |certificates| match KeyFile::parse(&key_file(Occasion::Earnest, certificates).write()) {
        Err(KeyFileError::Field(PlanError::Field { why, .. })) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&[(APP, 8, APP)]), "it is of another key");
    assert_eq!(why(&[(APP, 7, "registry.example.com/team/other")]), "it is for another repository");
}

#[test]
fn a_rehearsal_and_the_real_thing_are_never_in_one_file() {
    for (occasion, name) in [(Occasion::Rehearsal, APP), (Occasion::Earnest, MADE_UP)] {
        let mixed = KeyFile::parse(&key_file(occasion, &[(name, 7, name)]).write());
        assert!(matches!(mixed, Err(KeyFileError::Field(_))), "{mixed:?}");
    }
    let made = key_file(Occasion::Rehearsal, &[(MADE_UP, 7, MADE_UP)]);
    assert_eq!(KeyFile::parse(&made.write()), Ok(made));
}

#[test]
fn a_repository_without_a_certificate_is_named() {
    let missing = key_file(Occasion::Earnest, &[]).certificate(&gun(APP)).map(drop).unwrap_err();
    assert_eq!(missing.reason, Reason::CeremonyInvalid);
    assert!(missing.message.contains(APP), "{}", missing.message);
}
