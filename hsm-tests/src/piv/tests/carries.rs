//! Objects.

use super::*;

const PUT: [u8; 3] = [0xdb, 0x3f, 0xff];
const GET: [u8; 3] = [0xcb, 0x3f, 0xff];

fn id(last: u8) -> Vec<u8> {
    tlv(0x5c, &[0x5f, 0xc1, last])
}

#[test]
fn objects_are_written_by_the_manager_read_by_anybody_and_taken_away() {
    let mut host = Host::new(Firmware::V5_4);
    let write = [id(0x02), tlv(0x53, b"a CHUID")].concat();
    assert_eq!(host.ask(GET, &id(0x02)), Err(Status::NOT_FOUND));
    assert_eq!(host.ask(PUT, &write), Err(Status::SECURITY));
    host.manage();
    host.ask(PUT, &write).unwrap();
    host.ok(SELECT);
    assert_eq!(host.ask(GET, &id(0x02)), Ok(tlv(0x53, b"a CHUID")));
    host.manage();
    host.ask(PUT, &[id(0x02), tlv(0x53, &[])].concat()).unwrap();
    assert_eq!(host.ask(GET, &id(0x02)), Err(Status::NOT_FOUND));
}

#[test]
fn an_object_has_a_name_of_its_kind_and_fits_on_the_card() {
    let mut host = Host::at_home(Firmware::V5_4);
    let foreign = [tlv(0x5c, &[1, 2, 3]), tlv(0x53, &[1])].concat();
    assert_eq!(host.ask(PUT, &foreign), Err(Status::WRONG_DATA));
    let largest = |length| [id(0x0a), tlv(0x53, &vec![1; length])].concat();
    assert_eq!(host.ask(PUT, &largest(3063)), Ok(vec![]));
    assert_eq!(host.ask(PUT, &largest(3064)), Err(Status::NO_SPACE));
    assert_eq!(host.ask(GET, &id(0x0a)).unwrap().len(), 3067);
}

#[test]
fn the_printed_information_is_for_who_knows_the_pin() {
    let mut host = Host::new(Firmware::V5_7);
    host.manage();
    host.ask(PUT, &[id(0x09), tlv(0x53, b"a key")].concat()).unwrap();
    assert_eq!(host.ask(GET, &id(0x09)), Err(Status::SECURITY));
    host.verify();
    assert_eq!(host.ask(GET, &id(0x09)), Ok(tlv(0x53, b"a key")));
}

#[test]
fn the_discovery_object_is_always_there() {
    let says = Host::new(Firmware::V5_4).ask(GET, &[0x5c, 1, 0x7e]).unwrap();
    assert_eq!(says[..4], [0x7e, 0x12, 0x4f, 0x0b]);
    assert_eq!(says[15..], [0x5f, 0x2f, 2, 0x40, 0]);
}
