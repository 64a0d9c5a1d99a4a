//! Lengths and wiping of one secret's buffer.
use super::super::{Locked, MemoryError, MemoryKind, SecretBuf};

fn buffer(capacity: usize) -> SecretBuf {
    SecretBuf::new(&Locked::open(Some(MemoryKind::Mlock), 1).unwrap(), capacity).unwrap()
}

#[test]
fn holds_exactly_what_was_put_in() {
    let mut buffer = buffer(8);
    assert!(buffer.is_empty());
    buffer.as_mut_slice()[..4].copy_from_slice(b"1234");
    assert_eq!(buffer.expose(), b"", "nothing counts before the length is said");
    buffer.set_len(4).unwrap();
    buffer.extend_from_slice(b"56").unwrap();
    assert_eq!(buffer.expose(), b"123456");
    assert_eq!((buffer.len(), buffer.capacity(), buffer.as_mut_slice().len()), (6, 8, 8));
}

#[test]
fn refuses_more_than_its_capacity() {
    let mut buffer = buffer(4);
    buffer.extend_from_slice(b"123").unwrap();
    let refused = buffer.extend_from_slice(b"45").unwrap_err();
    assert!(matches!(refused, MemoryError::TooLong { given: 5, capacity: 4 }));
    assert!(matches!(buffer.set_len(5), Err(MemoryError::TooLong { given: 5, capacity: 4 })));
    assert_eq!(buffer.expose(), b"123", "a refusal changes nothing");
}

#[test]
fn shortening_wipes_the_rest() {
    let mut buffer = buffer(8);
    buffer.extend_from_slice(b"12345678").unwrap();
    buffer.set_len(2).unwrap();
    assert_eq!(buffer.as_mut_slice(), b"12\0\0\0\0\0\0");
}

#[test]
fn debug_says_nothing() {
    let mut buffer = buffer(8);
    buffer.extend_from_slice(b"12345678").unwrap();
    assert_eq!(format!("{buffer:?}"), "SecretBuf");
}
