//! PIN and PUK: what they are, and how many tries are left.

use super::apdu::Status;
use super::tlv::tlv;

/// How many tries a new card gives for each.
const TRIES: u8 = 3;

/// The PIN of a new card.
pub const DEFAULT_PIN: &str = "123456";
/// The PUK of a new card.
pub const DEFAULT_PUK: &str = "12345678";
/// The PIN of a card that is somebody's.
pub const OWN_PIN: &str = "648219";
/// And its PUK.
pub const OWN_PUK: &str = "90817263";

/// One of the two, with its counter. Always eight bytes, filled up with `ff`.
#[derive(Debug)]
pub(super) struct Reference {
    value: [u8; 8],
    default: [u8; 8],
    most: u8,
    left: u8,
}

impl Reference {
    /// As it leaves the factory.
    pub(super) fn new(default: &str) -> Self {
        let value = filled_up(default);
        Self { value, default: value, most: TRIES, left: TRIES }
    }

    /// Compares, and counts.
    pub(super) fn check(&mut self, given: &[u8]) -> Result<(), Status> {
        if self.left == 0 {
            return Err(Status::BLOCKED);
        }
        if given != self.value {
            self.left -= 1;
            return Err(Status::tries(self.left));
        }
        self.left = self.most;
        Ok(())
    }

    /// What a question without a PIN is answered.
    pub(super) fn state(&self) -> Status {
        if self.is_blocked() { Status::BLOCKED } else { Status::tries(self.left) }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.left == 0
    }

    pub(super) fn left(&self) -> u8 {
        self.left
    }

    pub(super) fn block(&mut self) {
        self.left = 0;
    }

    pub(super) fn is(&self, value: NewValue) -> bool {
        self.value == value.0
    }

    /// Another value, and all tries again.
    pub(super) fn set(&mut self, value: NewValue) {
        self.value = value.0;
        self.left = self.most;
    }

    /// Another number of tries; the value is the factory's again.
    pub(super) fn set_tries(&mut self, most: u8) {
        *self = Self { value: self.default, most, left: most, ..*self };
    }

    /// GET METADATA.
    pub(super) fn metadata(&self) -> Vec<u8> {
        let default = u8::from(self.value == self.default);
        [tlv(0x01, &[0xff]), tlv(0x05, &[default]), tlv(0x06, &[self.most, self.left])].concat()
    }
}

fn filled_up(text: &str) -> [u8; 8] {
    let mut value = [0xff; 8];
    value[..text.len()].copy_from_slice(text.as_bytes());
    value
}

/// Six to eight characters, filled up with `ff`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewValue([u8; 8]);

impl NewValue {
    /// What somebody types.
    pub(super) fn of(text: &str) -> Self {
        let mut value = [0xff; 8];
        value[..text.len()].copy_from_slice(text.as_bytes());
        Self::try_from(&value[..]).expect("six to eight characters")
    }
}

impl TryFrom<&[u8]> for NewValue {
    type Error = Status;

    fn try_from(bytes: &[u8]) -> Result<Self, Status> {
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| Status::WRONG_LENGTH)?;
        let length = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(8);
        let filled_up = bytes[length..].iter().all(|byte| *byte == 0xff);
        if length >= 6 && filled_up { Ok(Self(bytes)) } else { Err(Status::WRONG_DATA) }
    }
}
