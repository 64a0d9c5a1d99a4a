//! PIN, PUK and management key: tries, logins, and when they end.

use super::*;

const WRONG: &[u8; 8] = b"654321\xff\xff";
const VERIFY: [u8; 3] = [0x20, 0, 0x80];

#[test]
fn wrong_pins_are_counted_down_to_blocked_and_a_right_one_counts_up_again() {
    let mut host = Host::new(Firmware::V5_4);
    assert_eq!(host.ask(VERIFY, WRONG), Err(Status::tries(2)));
    assert_eq!(host.ask(VERIFY, &[]), Err(Status::tries(2)), "asking costs nothing");
    host.verify();
    assert_eq!(host.ask(VERIFY, &[]), Ok(vec![]), "logged in");
    for left in [2, 1, 0] {
        assert_eq!(host.ask(VERIFY, WRONG), Err(Status::tries(left)));
    }
    assert_eq!(host.ask(VERIFY, PIN), Err(Status::BLOCKED), "even the right one");
    assert_eq!(host.ask(VERIFY, &[]), Err(Status::BLOCKED));
    host.0.reset();
    host.ok(SELECT);
    assert_eq!(host.ask(VERIFY, PIN), Err(Status::BLOCKED), "for good");
}

#[test]
fn a_wrong_pin_and_a_select_and_a_reset_log_out() {
    let mut host = Host::at_home(Firmware::V5_4);
    host.generate(0x9a, 0, 0);
    assert!(host.sign(0x9a).is_ok());
    host.ask(VERIFY, WRONG).unwrap_err();
    assert_eq!(host.sign(0x9a), Err(Status::SECURITY));
    host.verify();
    host.ok(SELECT);
    assert_eq!(host.sign(0x9a), Err(Status::SECURITY));
    assert_eq!(host.ask([0xdb, 0x3f, 0xff], &[]), Err(Status::SECURITY), "so is the manager");
    host.verify();
    host.0.reset();
    host.ok(SELECT);
    assert_eq!(host.sign(0x9a), Err(Status::SECURITY));
}

#[test]
fn changing_needs_the_old_one_and_a_new_one_of_six_to_eight() {
    let mut host = Host::new(Firmware::V5_4);
    let change = [0x24, 0, 0x80];
    assert_eq!(host.ask(change, &[&WRONG[..], b"11223344"].concat()), Err(Status::tries(2)));
    for short in [b"12345\xff\xff\xff", b"123\xff4567"] {
        assert_eq!(host.ask(change, &[&PIN[..], short].concat()), Err(Status::WRONG_DATA));
    }
    assert_eq!(host.0.pin_tries(), 2, "a new one that will not do costs nothing");
    host.ask(change, &[&PIN[..], b"11223344"].concat()).unwrap();
    assert_eq!(host.0.pin_tries(), 3);
    assert_eq!(host.ask(VERIFY, PIN), Err(Status::tries(2)));
    assert_eq!(host.ask(VERIFY, b"11223344"), Ok(vec![]));
    host.ask([0x24, 0, 0x81], &[&PUK[..], b"87654321"].concat()).unwrap();
    assert_eq!(host.ask([0x24, 0, 0x81], &[&PUK[..], b"87654321"].concat()), Err(Status::tries(2)));
}

#[test]
fn the_puk_unblocks_until_it_is_blocked_itself() {
    let mut host = Host::new(Firmware::V5_4);
    for _ in 0..3 {
        host.ask(VERIFY, WRONG).unwrap_err();
    }
    let unblock = [0x2c, 0, 0x80];
    assert_eq!(host.ask(unblock, &[b"00000000", &PIN[..]].concat()), Err(Status::tries(2)));
    host.ask(unblock, &[&PUK[..], b"99887766"].concat()).unwrap();
    assert_eq!((host.0.pin_tries(), host.0.puk_tries()), (3, 3));
    assert_eq!(host.ask(VERIFY, b"99887766"), Ok(vec![]));
    for left in [2, 1, 0] {
        assert_eq!(host.ask(unblock, &[b"00000000", &PIN[..]].concat()), Err(Status::tries(left)));
    }
    assert_eq!(host.ask(unblock, &[&PUK[..], &PIN[..]].concat()), Err(Status::BLOCKED));
}

#[test]
fn metadata_says_what_is_the_factorys_and_how_many_tries_are_left() {
    let mut host = Host::at_home(Firmware::V5_7);
    let of = |host: &mut Host, what| host.ask([0xf7, 0, what], &[]).unwrap();
    assert_eq!(of(&mut host, 0x80), [1, 1, 0xff, 5, 1, 1, 6, 2, 3, 3]);
    host.ask(VERIFY, WRONG).unwrap_err();
    assert_eq!(of(&mut host, 0x80), [1, 1, 0xff, 5, 1, 1, 6, 2, 3, 2]);
    host.ask([0x24, 0, 0x80], &[&PIN[..], b"11223344"].concat()).unwrap();
    host.ask([0x24, 0, 0x81], &[&PUK[..], b"11223344"].concat()).unwrap();
    assert_eq!(of(&mut host, 0x80), [1, 1, 0xff, 5, 1, 0, 6, 2, 3, 3]);
    assert_eq!(of(&mut host, 0x81), [1, 1, 0xff, 5, 1, 0, 6, 2, 3, 3]);
    assert_eq!(of(&mut host, 0x9b), [1, 1, 0x0a, 2, 2, 0, 1, 5, 1, 1]);
    host.ask([0xff, 0xff, 0xfe], &[&[0x0c, 0x9b, 32], &[9; 32][..]].concat()).unwrap();
    assert_eq!(of(&mut host, 0x9b), [1, 1, 0x0c, 2, 2, 0, 2, 5, 1, 0]);
    assert_eq!(host.ask([0xf7, 0, 0x9a], &[]), Err(Status::NO_KEY));
    assert_eq!(host.ask([0xf7, 0, 0x42], &[]), Err(Status::NO_KEY));
}

#[test]
fn each_firmware_has_its_own_algorithm_for_the_management_key() {
    for (firmware, right, wrong) in [(Firmware::V5_4, 0x03, 0x0a), (Firmware::V5_7, 0x0a, 0x03)] {
        let mut host = Host::new(firmware);
        assert_eq!(host.manage_with(wrong, &DEFAULT_MANAGEMENT_KEY), Err(Status::WRONG_PARAMETERS));
        assert_eq!(host.manage_with(right, &[7; 24]), Err(Status::SECURITY));
        assert_eq!(host.ask([0xfa, 5, 5], &[]), Err(Status::SECURITY));
        assert_eq!(host.manage_with(right, &DEFAULT_MANAGEMENT_KEY), Ok(()));
        let key = [[1, 2, 3, 4, 5, 6, 7, 9], [8, 1, 2, 3, 4, 5, 6, 7], [5; 8], [6; 8]].concat();
        for (algorithm, length) in [(0x03, 24), (0x08, 16), (0x0a, 24), (0x0c, 32)] {
            let length_byte = u8::try_from(length).unwrap();
            let data = [&[algorithm, 0x9b, length_byte], &key[..length]].concat();
            host.ask([0xff, 0xff, 0xff], &data).unwrap();
            assert_eq!(host.ask([0xff, 0xff, 0xff], &data[..length]), Err(Status::WRONG_DATA));
            host.ok(SELECT);
            assert_eq!(host.ask([0xff, 0xff, 0xff], &data), Err(Status::SECURITY));
            assert_eq!(host.manage_with(algorithm, &key[..length]), Ok(()));
        }
    }
}

#[test]
fn the_host_may_show_that_it_has_the_management_key_without_asking_back() {
    let mut host = Host::new(Firmware::V5_7);
    let challenge = host.ask([0x87, 0x0a, 0x9b], &[0x7c, 2, 0x81, 0]).unwrap();
    let encrypted = cipher(0x0a, &DEFAULT_MANAGEMENT_KEY, &challenge[4..], Way::Encrypt);
    let answer = tlv(0x7c, &tlv(0x82, &encrypted));
    assert_eq!(host.ask([0x87, 0x0a, 0x9b], &answer), Ok(vec![]));
    host.generate(0x9a, 0, 0);
    assert_eq!(host.ask([0x87, 0x0a, 0x9b], &answer), Err(Status::SECURITY), "a challenge is used once");
}

#[test]
fn other_numbers_of_tries_need_both_logins_and_bring_back_the_first_pin() {
    let mut host = Host::new(Firmware::V5_4);
    host.manage();
    assert_eq!(host.ask([0xfa, 5, 8], &[]), Err(Status::SECURITY), "no PIN");
    host.ask([0x24, 0, 0x80], &[&PIN[..], b"11223344"].concat()).unwrap();
    host.ask(VERIFY, b"11223344").unwrap();
    assert_eq!(host.ask([0xfa, 0, 8], &[]), Err(Status::WRONG_PARAMETERS));
    host.ask([0xfa, 5, 8], &[]).unwrap();
    assert_eq!((host.0.pin_tries(), host.0.puk_tries()), (5, 8));
    assert_eq!(host.ask(VERIFY, b"11223344"), Err(Status::tries(4)));
    host.verify();
    assert_eq!(host.0.pin_tries(), 5);
}

#[test]
fn starting_over_needs_both_blocked_and_leaves_slot_f9_alone() {
    let mut host = Host::at_home(Firmware::V5_7);
    host.generate(0x9c, 0, 0);
    let f9 = host.ask([0xf7, 0, 0xf9], &[]).unwrap();
    assert_eq!(host.ask([0xfb, 0, 0], &[]), Err(Status::CONDITIONS));
    for _ in 0..3 {
        host.ask(VERIFY, WRONG).unwrap_err();
    }
    assert_eq!(host.ask([0xfb, 0, 0], &[]), Err(Status::CONDITIONS));
    for _ in 0..3 {
        host.ask([0x2c, 0, 0x80], &[b"00000000", &PIN[..]].concat()).unwrap_err();
    }
    host.ask([0xfb, 0, 0], &[]).unwrap();
    assert_eq!((host.0.pin_tries(), host.0.puk_tries()), (3, 3));
    assert_eq!(host.ask([0xf7, 0, 0x9c], &[]), Err(Status::NO_KEY));
    assert_eq!(host.ask([0xf7, 0, 0xf9], &[]), Ok(f9));
    assert!(host.ask([0xcb, 0x3f, 0xff], &tlv(0x5c, &[0x5f, 0xff, 1])).is_ok());
}
