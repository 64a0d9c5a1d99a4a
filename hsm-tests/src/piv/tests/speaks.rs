//! How commands and answers are carried.

use super::*;

#[test]
fn five_bytes_of_the_name_select_it_and_four_do_not() {
    let mut host = Host(PivCard::new(Firmware::V5_4, 1));
    assert_eq!(host.send(&[0, 0xfd, 0, 0, 0]).1, Status::NO_INSTRUCTION, "nothing is selected");
    assert_eq!(host.send(&[0, 0xa4, 4, 0, 4, 0xa0, 0, 0, 3]).1, Status::NOT_FOUND);
    let says = host.ok(SELECT);
    assert_eq!(says[..10], [0x61, 0x11, 0x4f, 6, 0, 0, 0x10, 0, 1, 0]);
    assert_eq!(says[10..], [0x79, 7, 0x4f, 5, 0xa0, 0, 0, 3, 8]);
    assert_eq!(host.ask([0xa4, 4, 0], super::super::AID), Ok(says));
    assert_eq!(host.send(&[0, 0xa4, 4, 0, 5, 1, 2, 3, 4, 5]).1, Status::NOT_FOUND);
    assert_eq!(host.ok(&[0, 0xfd, 0, 0, 0]), [5, 4, 3], "what was selected still is");
}

#[test]
fn each_firmware_says_its_version_and_the_cards_serial_number() {
    for (firmware, version) in [(Firmware::V5_4, [5, 4, 3]), (Firmware::V5_7, [5, 7, 1])] {
        let mut host = Host::new(firmware);
        assert_eq!(host.ok(&[0, 0xfd, 0, 0]), version, "without Le");
        assert_eq!(host.ok(&[0, 0xfd, 0, 0, 0]), version, "with five bytes");
        assert_eq!(host.ok(&[0, 0xf8, 0, 0, 0]), 12_345_678_u32.to_be_bytes());
    }
}

#[test]
fn the_management_application_leaves_piv_unselected() {
    let mut host = Host::new(Firmware::V5_4);
    host.verify();
    let answer = host.ask([0xa4, 4, 0], &[0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17]).unwrap();
    assert_eq!(answer, b"Virtual mgr - FW version 5.4.3");
    assert_eq!(host.ask([0x20, 0, 0x80], PIN), Err(Status::NO_INSTRUCTION));
    assert_eq!(host.0.pin_tries(), 3);
}

#[test]
fn lengths_are_read_in_every_case_and_wrong_ones_refused() {
    let mut host = Host::new(Firmware::V5_4);
    for whole in [&[0, 0x20, 0, 0x80][..], &[0, 0x20, 0, 0x80, 0], &[0, 0x20, 0, 0x80, 0, 0, 0]] {
        assert_eq!(host.send(whole).1, Status::tries(3), "{whole:02x?} asks");
    }
    for end in [&[][..], &[0]] {
        assert_eq!(host.send(&[&[0, 0x20, 0, 0x80, 8], &PIN[..], end].concat()).1, Status::OK);
    }
    for end in [&[][..], &[0, 0]] {
        assert_eq!(host.send(&[&[0, 0x20, 0, 0x80, 0, 0, 8], &PIN[..], end].concat()).1, Status::OK);
    }
    for wrong in [&[0, 0x20, 0][..], &[0, 0x20, 0, 0x80, 8, 1], &[0, 0x20, 0, 0x80, 1, 1, 0, 0]] {
        assert_eq!(host.send(wrong).1, Status::WRONG_LENGTH, "{wrong:02x?}");
    }
    assert_eq!(host.ask([0x20, 0, 0x80], b"1234567"), Err(Status::WRONG_LENGTH));
    assert_eq!(host.send(&[0x80, 0x20, 0, 0x80]).1, Status::NO_CLASS);
    assert_eq!(host.send(&[0, 0x20, 0, 0x81]).1, Status::WRONG_PARAMETERS);
    assert_eq!(host.send(&[0, 0x77, 0, 0]).1, Status::NO_INSTRUCTION);
}

#[test]
fn long_commands_come_and_long_answers_go_in_pieces() {
    let mut host = Host::at_home(Firmware::V5_4);
    let value: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let id = tlv(0x5c, &[0x5f, 0xc1, 0x0a]);
    host.ask([0xdb, 0x3f, 0xff], &[id.clone(), tlv(0x53, &value)].concat()).unwrap();

    let (first, status) = host.send(&[&[0, 0xcb, 0x3f, 0xff, 5], &id[..]].concat());
    assert_eq!((first.len(), status), (256, Status(0x6100)), "more than 255 are left");
    for left in [Status(0x6100), Status(0x6100 | (1004 - 768))] {
        let (piece, status) = host.send(&[0, 0xc0, 0, 0, 0]);
        assert_eq!((piece.len(), status), (256, left));
    }
    assert_eq!(host.send(&[0, 0xc0, 0, 0, 0]).0.len(), 1004 - 768);
    assert_eq!(host.send(&[0, 0xc0, 0, 0, 0]).1, Status::CONDITIONS, "nothing is left");
    assert_eq!(host.ask([0xcb, 0x3f, 0xff], &id).unwrap(), tlv(0x53, &value));

    let (at_once, status) = host.send(&[&[0, 0xcb, 0x3f, 0xff, 0, 0, 5], &id[..], &[0, 0]].concat());
    assert_eq!((at_once, status), (tlv(0x53, &value), Status::OK), "an extended command takes it all");
}

#[test]
fn a_chain_that_is_broken_off_is_forgotten() {
    let mut host = Host::new(Firmware::V5_4);
    assert_eq!(host.send(&[0x10, 0x20, 0, 0x80, 4, b'1', b'2', b'3', b'4']).1, Status::OK);
    assert_eq!(host.ok(&[0, 0xfd, 0, 0, 0]), [5, 4, 3]);
    assert_eq!(host.ask([0x20, 0, 0x80], b"56\xff\xff"), Err(Status::WRONG_LENGTH));
    assert_eq!(host.send(&[0x10, 0x20, 0, 0x80, 4, b'1', b'2', b'3', b'4']).1, Status::OK);
    assert_eq!(host.ask([0x20, 0, 0x80], b"56\xff\xff"), Ok(vec![]));
}
