//! The management key: who may make keys and write objects.

use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;
use des::cipher::{Block, BlockCipherEncrypt, KeyInit};

use super::apdu::Status;
use super::keys::TouchPolicy;
use super::random;
use super::tlv::{Fields, tlv};

/// The management key of a new card, whatever its algorithm.
pub const DEFAULT_MANAGEMENT_KEY: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// What the key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Algorithm {
    TripleDes = 0x03,
    Aes128 = 0x08,
    Aes192 = 0x0a,
    Aes256 = 0x0c,
}

impl TryFrom<u8> for Algorithm {
    type Error = Status;

    fn try_from(byte: u8) -> Result<Self, Status> {
        [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256]
            .into_iter()
            .find(|algorithm| *algorithm as u8 == byte)
            .ok_or(Status::WRONG_DATA)
    }
}

impl Algorithm {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn block_length(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }
}

/// The key, and a conversation about it.
#[derive(Debug)]
pub(super) struct Management {
    algorithm: Algorithm,
    key: Vec<u8>,
    touch: TouchPolicy,
    asked: Option<Asked>,
}

/// What the other side has to answer.
#[derive(Debug)]
enum Asked {
    /// To decrypt this one, which it has seen encrypted.
    Witness(Vec<u8>),
    /// To encrypt this one.
    Challenge(Vec<u8>),
}

/// What came of a step.
pub(super) enum Step {
    /// Go on.
    Next(Vec<u8>),
    /// The other side has the key.
    Done(Vec<u8>),
}

impl Management {
    /// As it leaves the factory.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, key: DEFAULT_MANAGEMENT_KEY.to_vec(), touch: TouchPolicy::Never, asked: None }
    }

    pub(super) fn touch(&self) -> TouchPolicy {
        self.touch
    }

    /// Forgets a conversation.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }

    /// GENERAL AUTHENTICATE: mutually (tag 80 first), or the other side alone (tag 81 first).
    pub(super) fn step(&mut self, algorithm: u8, data: &[u8]) -> Result<Step, Status> {
        let asked = self.asked.take();
        if algorithm != self.algorithm as u8 {
            return Err(Status::WRONG_PARAMETERS);
        }
        let fields = Fields::inside(data, 0x7c)?;
        let length = self.algorithm.block_length();
        let answer = |tag, value: &[u8]| tlv(0x7c, &tlv(tag, value));
        match (fields.get(0x80), fields.get(0x81), fields.get(0x82)) {
            (Some([]), None, None) => {
                let witness = random(length);
                let encrypted = self.encrypt(&witness);
                self.asked = Some(Asked::Witness(witness));
                Ok(Step::Next(answer(0x80, &encrypted)))
            }
            (None, Some([]), None) => {
                let challenge = random(length);
                let step = Step::Next(answer(0x81, &challenge));
                self.asked = Some(Asked::Challenge(challenge));
                Ok(step)
            }
            (Some(decrypted), Some(challenge), _) => match asked {
                Some(Asked::Witness(witness)) if witness == decrypted && challenge.len() == length => {
                    Ok(Step::Done(answer(0x82, &self.encrypt(challenge))))
                }
                _ => Err(Status::SECURITY),
            },
            (None, None, Some(encrypted)) => match asked {
                Some(Asked::Challenge(challenge)) if self.encrypt(&challenge) == encrypted => {
                    Ok(Step::Done(Vec::new()))
                }
                _ => Err(Status::SECURITY),
            },
            _ => Err(Status::WRONG_DATA),
        }
    }

    /// SET MANAGEMENT KEY: algorithm, 9B, length, key.
    pub(super) fn set(&mut self, p2: u8, data: &[u8]) -> Result<(), Status> {
        let touch = match p2 {
            0xff => TouchPolicy::Never,
            0xfe => TouchPolicy::Always,
            _ => return Err(Status::WRONG_PARAMETERS),
        };
        let [algorithm, 0x9b, length, key @ ..] = data else { return Err(Status::WRONG_DATA) };
        let algorithm = Algorithm::try_from(*algorithm)?;
        if usize::from(*length) != key.len() || key.len() != algorithm.key_length() {
            return Err(Status::WRONG_DATA);
        }
        *self = Self { algorithm, key: key.to_vec(), touch, asked: None };
        Ok(())
    }

    /// What it is for, and what it is.
    pub(super) fn key(&self) -> (u8, &[u8]) {
        (self.algorithm as u8, &self.key)
    }

    /// A random one of the same kind.
    pub(super) fn renew(&mut self) -> Vec<u8> {
        self.key = random(self.algorithm.key_length());
        self.key.clone()
    }

    /// GET METADATA.
    pub(super) fn metadata(&self) -> Vec<u8> {
        let default = u8::from(self.key == DEFAULT_MANAGEMENT_KEY);
        let policies = [0, self.touch as u8];
        [tlv(0x01, &[self.algorithm as u8]), tlv(0x02, &policies), tlv(0x05, &[default])].concat()
    }

    fn encrypt(&self, block: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::TripleDes => encrypt::<TdesEde3>(&self.key, block),
            Algorithm::Aes128 => encrypt::<Aes128>(&self.key, block),
            Algorithm::Aes192 => encrypt::<Aes192>(&self.key, block),
            Algorithm::Aes256 => encrypt::<Aes256>(&self.key, block),
        }
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &[u8], block: &[u8]) -> Vec<u8> {
    let mut block: Block<C> = block.try_into().expect("one block");
    C::new_from_slice(key).expect("a key of its length").encrypt_block(&mut block);
    block.to_vec()
}
