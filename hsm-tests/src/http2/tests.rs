use super::*;

/// The examples of RFC 7541 sections C.1.1 to C.1.3 and C.2.2 (without its table index).
#[test]
fn integers_and_literals_are_written_as_in_the_rfc() {
    assert_eq!(integer(0, 5, 10), [0x0a]);
    assert_eq!(integer(0, 5, 1337), [0x1f, 0x9a, 0x0a]);
    assert_eq!(integer(0, 8, 42), [0x2a]);
    assert_eq!(literal("te", "trailers"), *b"\0\x02te\x08trailers");
}

#[test]
fn a_frame_has_nine_bytes_before_its_payload() {
    assert_eq!(
        frame(kind::PING, ACK, 0, &[7; 8]),
        *b"\0\0\x08\x06\x01\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07"
    );
    assert_eq!(frame(kind::RST_STREAM, 0, 5, &8_u32.to_be_bytes()), *b"\0\0\x04\x03\0\0\0\0\x05\0\0\0\x08");
    assert_eq!(grpc(b"ab"), *b"\0\0\0\0\x02ab");
}
