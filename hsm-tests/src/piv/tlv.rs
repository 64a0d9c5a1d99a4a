//! Tag, length, value as PIV has them: tags of one or two bytes, lengths up to 65535.

use super::apdu::Status;

/// One of them.
pub(super) fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 5);
    let [high, low] = tag.to_be_bytes();
    if high != 0 {
        bytes.push(high);
    }
    bytes.push(low);
    let [high, low] = u16::try_from(value.len()).expect("a value below 64 KiB").to_be_bytes();
    match (high, low) {
        (0, 0..0x80) => bytes.push(low),
        (0, _) => bytes.extend([0x81, low]),
        _ => bytes.extend([0x82, high, low]),
    }
    bytes.extend_from_slice(value);
    bytes
}

/// Several values, in order, that fill these bytes: each with its tag of one byte.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    /// Reads them all.
    pub(super) fn parse(mut bytes: &'a [u8]) -> Result<Self, Status> {
        let mut fields = Vec::new();
        while let [tag, rest @ ..] = bytes {
            let (length, rest) = match rest {
                [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
                [0x81, length, rest @ ..] => (usize::from(*length), rest),
                [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
                _ => return Err(Status::WRONG_DATA),
            };
            let (value, rest) = rest.split_at_checked(length).ok_or(Status::WRONG_DATA)?;
            fields.push((*tag, value));
            bytes = rest;
        }
        Ok(Self(fields))
    }

    /// What one value of this tag holds, if that is all there is.
    pub(super) fn inside(bytes: &'a [u8], tag: u8) -> Result<Self, Status> {
        match Self::parse(bytes)?.0.as_slice() {
            [(only, value)] if *only == tag => Self::parse(value),
            _ => Err(Status::WRONG_DATA),
        }
    }

    /// The value of this tag.
    pub(super) fn get(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(have, _)| *have == tag).map(|(_, value)| *value)
    }

    /// The value of this tag.
    pub(super) fn want(&self, tag: u8) -> Result<&'a [u8], Status> {
        self.get(tag).ok_or(Status::WRONG_DATA)
    }

    /// The one byte of this tag, if it is there.
    pub(super) fn byte(&self, tag: u8) -> Result<Option<u8>, Status> {
        match self.get(tag) {
            None => Ok(None),
            Some([byte]) => Ok(Some(*byte)),
            Some(_) => Err(Status::WRONG_DATA),
        }
    }
}
