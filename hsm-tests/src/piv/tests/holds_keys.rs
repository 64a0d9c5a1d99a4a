//! Keys: made, brought in, used as their policies say.

use super::*;

#[test]
fn making_a_key_needs_the_manager_and_a_slot_and_p256() {
    let mut host = Host::new(Firmware::V5_4);
    let request = tlv(0xac, &tlv(0x80, &[0x11]));
    assert_eq!(host.ask([0x47, 0, 0x9c], &request), Err(Status::SECURITY));
    host.manage();
    assert_eq!(host.ask([0x47, 0, 0x81], &request), Err(Status::WRONG_PARAMETERS));
    assert_eq!(host.ask([0x47, 0, 0x9c], &tlv(0xac, &tlv(0x80, &[0x07]))), Err(Status::WRONG_DATA));
    let nonsense = tlv(0xac, &[tlv(0x80, &[0x11]), tlv(0xaa, &[9])].concat());
    assert_eq!(host.ask([0x47, 0, 0x9c], &nonsense), Err(Status::WRONG_DATA));
    for slot in [0x9a, 0x9c, 0x9d, 0x9e, 0x82, 0x95] {
        assert!(host.ask([0x47, 0, slot], &request).is_ok(), "{slot:02x}");
    }
}

#[test]
fn the_pin_is_needed_never_once_or_every_time() {
    let mut host = Host::new(Firmware::V5_7);
    host.manage();
    let (never, once, always) =
        (host.generate(0x82, 1, 1), host.generate(0x83, 2, 1), host.generate(0x84, 3, 1));

    check(&never, &host.sign(0x82).unwrap());
    assert_eq!(host.sign(0x83), Err(Status::SECURITY));
    assert_eq!(host.sign(0x84), Err(Status::SECURITY));
    host.verify();
    for _ in 0..2 {
        check(&once, &host.sign(0x83).unwrap());
    }
    assert_eq!(host.sign(0x84), Err(Status::SECURITY), "something else was asked since");
    host.verify();
    check(&always, &host.sign(0x84).unwrap());
    assert_eq!(host.sign(0x84), Err(Status::SECURITY));
    check(&once, &host.sign(0x83).unwrap());
}

#[test]
fn a_slot_has_its_own_policy_for_who_asks_for_none() {
    let mut host = Host::at_home(Firmware::V5_4);
    for (slot, pin) in [(0x9a, 2), (0x9c, 3), (0x9d, 2), (0x9e, 1), (0x82, 2), (0x95, 2)] {
        let key = host.generate(slot, 0, 0);
        let point = key.to_sec1_point(false);
        let says = host.ask([0xf7, 0, slot], &[]).unwrap();
        assert_eq!(says[..12], [1, 1, 0x11, 2, 2, pin, 1, 3, 1, 1, 4, 67], "{slot:02x}");
        assert_eq!(says[12..], tlv(0x86, point.as_bytes()));
    }
}

#[test]
fn a_key_that_is_brought_in_is_that_key_and_says_where_it_came_from() {
    let mut host = Host::at_home(Firmware::V5_4);
    let data = [tlv(0x06, &[0x11; 32]), tlv(0xaa, &[2]), tlv(0xab, &[3])].concat();
    host.ask([0xfe, 0x11, 0x9a], &data).unwrap();
    let key = *p256::ecdsa::SigningKey::from_slice(&[0x11; 32]).unwrap().verifying_key();
    let says = host.ask([0xf7, 0, 0x9a], &[]).unwrap();
    assert_eq!(says[..12], [1, 1, 0x11, 2, 2, 2, 3, 3, 1, 2, 4, 67]);
    check(&key, &host.sign(0x9a).unwrap());
    assert_eq!(host.ask([0xfe, 0x11, 0x9a], &tlv(0x06, &[0; 32])), Err(Status::WRONG_DATA));
    assert_eq!(host.ask([0xfe, 0x07, 0x9a], &data), Err(Status::WRONG_PARAMETERS));
    host.ok(SELECT);
    assert_eq!(host.ask([0xfe, 0x11, 0x9a], &data), Err(Status::SECURITY));
}

#[test]
fn two_keys_agree_whoever_asks() {
    let mut host = Host::at_home(Firmware::V5_7);
    let card = host.generate(0x9d, 0, 0).to_sec1_point(false);
    let mine = p256::SecretKey::from_slice(&[0x21; 32]).unwrap();
    let point = mine.public_key().to_sec1_point(false);
    let data = tlv(0x7c, &[tlv(0x82, &[]), tlv(0x85, point.as_bytes())].concat());
    let answer = host.ask([0x87, 0x11, 0x9d], &data).unwrap();
    let other = PublicKey::from_sec1_bytes(card.as_bytes()).unwrap();
    assert_eq!(answer[..4], [0x7c, 34, 0x82, 32]);
    assert_eq!(answer[4..], mine.diffie_hellman(&other).raw_secret_bytes()[..]);

    let elsewhere = tlv(0x7c, &[tlv(0x82, &[]), tlv(0x85, &[4; 65])].concat());
    assert_eq!(host.ask([0x87, 0x11, 0x9d], &elsewhere), Err(Status::WRONG_DATA), "not on the curve");
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let mut host = Host::at_home(Firmware::V5_4);
    let ask = |host: &mut Host, head, digest: &[u8]| {
        host.ask(head, &tlv(0x7c, &[tlv(0x82, &[]), tlv(0x81, digest)].concat()))
    };
    assert_eq!(ask(&mut host, [0x87, 0x11, 0x9a], &DIGEST), Err(Status::NO_KEY));
    host.generate(0x9a, 0, 0);
    assert_eq!(ask(&mut host, [0x87, 0x07, 0x9a], &DIGEST), Err(Status::WRONG_PARAMETERS));
    assert_eq!(ask(&mut host, [0x87, 0x11, 0x9a], &[1; 33]), Err(Status::WRONG_DATA));
    assert_eq!(ask(&mut host, [0x87, 0x11, 0x9a], &[]), Err(Status::WRONG_DATA));
    assert_eq!(host.ask([0x87, 0x11, 0x9a], &tlv(0x7c, &tlv(0x82, &[]))), Err(Status::WRONG_DATA));
    assert_eq!(host.ask([0x87, 0x11, 0x9a], &DIGEST), Err(Status::WRONG_DATA));
}

#[test]
fn only_the_newer_firmware_moves_and_deletes_keys() {
    let mut old = Host::at_home(Firmware::V5_4);
    old.generate(0x9a, 0, 0);
    assert_eq!(old.ask([0xf6, 0x82, 0x9a], &[]), Err(Status::NO_INSTRUCTION));
    let mut new = Host::new(Firmware::V5_7);
    assert_eq!(new.ask([0xf6, 0x82, 0x9a], &[]), Err(Status::SECURITY));
    new.manage();
    assert_eq!(new.ask([0xf6, 0x82, 0x9a], &[]), Err(Status::NO_KEY));
    let key = new.generate(0x9a, 1, 0);
    new.ask([0xf6, 0x82, 0x9a], &[]).unwrap();
    assert_eq!(new.sign(0x9a), Err(Status::NO_KEY));
    check(&key, &new.sign(0x82).unwrap());
    new.ask([0xf6, 0xff, 0x82], &[]).unwrap();
    assert_eq!(new.sign(0x82), Err(Status::NO_KEY));
}

#[test]
fn a_touch_is_needed_every_time_or_once_in_a_while_or_never() {
    let mut host = Host::at_home(Firmware::V5_4);
    let controls = host.controls();
    for (slot, touch) in [(0x82, 1), (0x83, 2), (0x84, 3)] {
        host.generate(slot, 1, touch);
    }
    host.sign(0x82).unwrap();
    assert_eq!(controls.touches_wanted(), 0);
    host.sign(0x84).unwrap();
    host.sign(0x84).unwrap();
    assert_eq!(controls.touches_wanted(), 1, "cached");
    controls.patience(Duration::from_secs(15), Duration::ZERO);
    host.sign(0x84).unwrap();
    assert_eq!(controls.touches_wanted(), 2, "not any more");
    controls.patience(Duration::from_secs(15), Duration::from_secs(15));
    host.sign(0x83).unwrap();
    host.sign(0x83).unwrap();
    assert_eq!(controls.touches_wanted(), 4, "never cached");
    controls.fingers(Touch::Nobody);
    assert_eq!(host.sign(0x83), Err(Status::SECURITY));
    host.sign(0x84).unwrap();
}

#[test]
fn a_card_waits_for_a_finger_and_then_gives_up() {
    let mut host = Host::at_home(Firmware::V5_4);
    let key = host.generate(0x9c, 2, 2);
    let controls = host.controls();
    controls.fingers(Touch::OnDemand);
    controls.touch(); // nobody blinks
    std::thread::scope(|scope| {
        scope.spawn(|| {
            controls.wait_until_it_blinks();
            controls.touch();
        });
        check(&key, &host.sign(0x9c).unwrap());
    });
    controls.patience(Duration::from_millis(40), Duration::ZERO);
    let before = Instant::now();
    assert_eq!(host.sign(0x9c), Err(Status::SECURITY));
    assert!(before.elapsed() >= Duration::from_millis(40));
    assert_eq!(controls.touches_wanted(), 2);
}
