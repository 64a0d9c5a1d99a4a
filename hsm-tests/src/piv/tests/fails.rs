//! Faults on order, and what is written down.

use super::*;

#[test]
fn a_forced_status_hits_the_nth_of_its_kind_alone_and_nothing_is_done() {
    let mut host = Host::new(Firmware::V5_4);
    host.controls().fail(0x20, 2, Status(0x6f00));
    assert_eq!(host.ask([0x20, 0, 0x80], b"000000\xff\xff"), Err(Status::tries(2)));
    host.ok(&[0, 0xfd, 0, 0, 0]);
    assert_eq!(host.ask([0x20, 0, 0x80], b"000000\xff\xff"), Err(Status(0x6f00)));
    assert_eq!(host.0.pin_tries(), 2, "it was not looked at");
    host.verify();
}

#[test]
fn malformed_answers_come_until_they_are_called_off() {
    let mut host = Host::at_home(Firmware::V5_4);
    host.generate(0x9a, 0, 0);
    let controls = host.controls();
    let request = tlv(0xac, &tlv(0x80, &[0x11]));
    let f9 = tlv(0x5c, &[0x5f, 0xff, 1]);
    for (how, head, data, answer) in [
        (Malformed::ShortVersion, [0xfd, 0, 0], &[][..], vec![5, 4]),
        (Malformed::OneByteKey, [0x47, 0, 0x82], &request, vec![0x7f]),
        (Malformed::EmptyObject, [0xcb, 0x3f, 0xff], &f9, vec![0x53, 0]),
        (Malformed::EmptyAttestation, [0xf9, 0x9a, 0], &[], vec![]),
        (Malformed::EmptyMetadata, [0xf7, 0, 0x9a], &[], vec![]),
    ] {
        controls.malform(Some(how));
        assert_eq!(host.ask(head, data), Ok(answer), "{how:?}");
        controls.malform(None);
        assert!(host.ask(head, data).unwrap().len() > 2, "{how:?}");
    }
}

#[test]
fn the_log_has_instructions_and_counts_pins_and_never_has_one() {
    let mut host = Host::new(Firmware::V5_4);
    let controls = host.controls();
    controls.forget();
    host.ask([0x20, 0, 0x80], &[]).unwrap_err();
    host.verify();
    host.ask([0x24, 0, 0x80], &[&PIN[..], b"11223344"].concat()).unwrap();
    host.ok(&[0, 0xfd, 0, 0, 0]);
    assert_eq!(controls.log(), [0x20, 0x20, 0x24, 0xfd]);
    assert_eq!((controls.count(0x20), controls.pins_sent()), (2, 1));
    controls.forget();
    assert_eq!((controls.log(), controls.pins_sent()), (vec![], 0));
}

#[test]
fn answers_can_be_late_and_a_pulled_card_waits_for_nothing() {
    let mut host = Host::new(Firmware::V5_4);
    let controls = host.controls();
    controls.delay(Duration::from_millis(30));
    let before = Instant::now();
    host.ok(&[0, 0xfd, 0, 0, 0]);
    assert!(before.elapsed() >= Duration::from_millis(30));

    controls.delay(Duration::ZERO);
    host.manage();
    host.generate(0x9e, 1, 2);
    controls.fingers(Touch::OnDemand);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            controls.wait_until_it_blinks();
            controls.interrupt();
        });
        assert_eq!(host.sign(0x9e), Err(Status::SECURITY), "long before 15 seconds");
    });
    controls.pull_after(2);
    assert_eq!([(); 4].map(|()| controls.is_due()), [false, false, true, false]);
}
