use touchmark_tuf::KeyType;

use super::*;

fn plan() -> Plan {
    let public = PublicKey::from_p256_point(&{
        let mut point = [7; 65];
        point[0] = 4;
        point
    });
    assert_eq!(public.key_type(), KeyType::Ecdsa);
    Plan {
        title: "spring \u{202e}".to_owned(),
        occasion: Occasion::Earnest,
        made: Instant::from_unix(1_790_000_000),
        good_until: Instant::from_unix(1_792_000_000),
        tool: "touchmark 0".to_owned(),
        keys: vec![RootKey {
            public,
            label: "alice".to_owned(),
            token_kind: "yubikey".to_owned(),
            serial: "12345678".to_owned(),
            firmware: "5.7.4".to_owned(),
            touch_policy: "cached".to_owned(),
            pin_policy: "once".to_owned(),
            attestation: vec![vec![0x30, 0x03]],
        }],
        repositories: vec![Repository {
            gun: "registry.example.com/team/app".parse().unwrap(),
            server: "https://notary.example.com".to_owned(),
            roots: vec![br#"{"signed":{}}"#.to_vec()],
            root: br#"{"_type":"Root"}"#.to_vec(),
            also: Also::Targets,
        }],
    }
}

#[test]
fn a_plan_reads_back_as_it_was_meant() {
    assert_eq!(Plan::parse(&plan().write()), Ok(plan()));
}

#[test]
fn a_plan_with_any_byte_changed_is_refused() {
    let bytes = plan().write();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Plan::parse(&changed).is_err(), "byte {at} of {}", bytes.len());
        assert!(Plan::parse(&bytes[..at]).is_err(), "cut off at {at}");
    }
    assert!(Plan::parse(&[bytes.as_slice(), b"\n"].concat()).is_err());
}

#[test]
fn a_repository_stands_once_and_a_plan_has_one() {
    let mut twice = plan();
    twice.repositories.push(twice.repositories[0].clone());
    assert!(matches!(Plan::parse(&twice.write()), Err(PlanError::Field { .. })));
    let none = Plan { repositories: Vec::new(), ..plan() };
    assert!(matches!(Plan::parse(&none.write()), Err(PlanError::Field { .. })));
    let later = String::from_utf8(plan().write()).unwrap().replacen("plan/1", "plan/2", 1);
    assert_eq!(Plan::parse(later.as_bytes()), Err(PlanError::Format));
}
