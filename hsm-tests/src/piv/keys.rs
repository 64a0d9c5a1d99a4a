//! Keys in their slots: P-256, and what must happen before one is used.

use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;

use super::apdu::Status;
use super::random;
use super::tlv::{Fields, tlv};

/// The only algorithm that this card has.
const P256: u8 = 0x11;

/// Where a key is: 9a, 9c, 9d, 9e, the retired ones 82 to 95, and f9, which attests the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u8);

impl Slot {
    pub(super) const ATTESTATION: Self = Self(0xf9);

    pub(super) fn number(self) -> u8 {
        self.0
    }

    fn pin_policy(self) -> PinPolicy {
        match self.0 {
            0x9c => PinPolicy::Always,
            0x9e | 0xf9 => PinPolicy::Never,
            _ => PinPolicy::Once,
        }
    }
}

impl TryFrom<u8> for Slot {
    type Error = Status;

    fn try_from(number: u8) -> Result<Self, Status> {
        match number {
            0x9a | 0x9c | 0x9d | 0x9e | 0x82..=0x95 | 0xf9 => Ok(Self(number)),
            _ => Err(Status::WRONG_PARAMETERS),
        }
    }
}

/// How often the PIN is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PinPolicy {
    Never = 1,
    Once = 2,
    Always = 3,
}

/// How often a touch is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum TouchPolicy {
    Never = 1,
    Always = 2,
    Cached = 3,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Origin {
    Generated = 1,
    Imported = 2,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    secret: SecretKey,
    pub(super) pin: PinPolicy,
    pub(super) touch: TouchPolicy,
    pub(super) origin: Origin,
}

impl Key {
    /// GENERATE ASYMMETRIC KEY PAIR: `AC { 80 algorithm, AA PIN policy, AB touch policy }`.
    pub(super) fn generate(slot: Slot, data: &[u8]) -> Result<Self, Status> {
        let fields = Fields::inside(data, 0xac)?;
        if fields.byte(0x80)? != Some(P256) {
            return Err(Status::WRONG_DATA);
        }
        Self::new(new_secret(), Origin::Generated, slot, &fields)
    }

    /// IMPORT ASYMMETRIC KEY: `06 scalar, AA PIN policy, AB touch policy`.
    pub(super) fn import(slot: Slot, algorithm: u8, data: &[u8]) -> Result<Self, Status> {
        if algorithm != P256 {
            return Err(Status::WRONG_PARAMETERS);
        }
        let fields = Fields::parse(data)?;
        let secret = SecretKey::from_slice(fields.want(0x06)?).map_err(|_| Status::WRONG_DATA)?;
        Self::new(secret, Origin::Imported, slot, &fields)
    }

    /// The one that the factory puts into slot f9.
    pub(super) fn of_the_factory() -> Self {
        let (pin, touch, origin) = (PinPolicy::Never, TouchPolicy::Never, Origin::Imported);
        Self { secret: new_secret(), pin, touch, origin }
    }

    pub(super) fn secret(&self) -> [u8; 32] {
        self.secret.to_bytes().into()
    }

    fn new(secret: SecretKey, origin: Origin, slot: Slot, fields: &Fields<'_>) -> Result<Self, Status> {
        let pin = match fields.byte(0xaa)? {
            None | Some(0) => slot.pin_policy(),
            Some(1) => PinPolicy::Never,
            Some(2) => PinPolicy::Once,
            Some(3) => PinPolicy::Always,
            Some(_) => return Err(Status::WRONG_DATA),
        };
        let touch = match fields.byte(0xab)? {
            None | Some(0 | 1) => TouchPolicy::Never,
            Some(2) => TouchPolicy::Always,
            Some(3) => TouchPolicy::Cached,
            Some(_) => return Err(Status::WRONG_DATA),
        };
        Ok(Self { secret, pin, touch, origin })
    }

    /// The public point, uncompressed.
    pub(super) fn point(&self) -> [u8; 65] {
        let point = self.secret.public_key().to_sec1_point(false);
        point.as_bytes().try_into().expect("65 bytes of a P-256 point")
    }

    /// GET METADATA.
    pub(super) fn metadata(&self) -> Vec<u8> {
        let policies = [self.pin as u8, self.touch as u8];
        let point = tlv(0x86, &self.point());
        let [algorithm, origin] = [tlv(0x01, &[P256]), tlv(0x03, &[self.origin as u8])];
        [algorithm, tlv(0x02, &policies), origin, tlv(0x04, &point)].concat()
    }

    /// A signature of a digest, DER.
    pub(super) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Status> {
        if digest.is_empty() || digest.len() > 32 {
            return Err(Status::WRONG_DATA);
        }
        let mut filled = [0; 32]; // a shorter digest is a smaller number
        filled[32 - digest.len()..].copy_from_slice(digest);
        let signature: Result<DerSignature, _> = SigningKey::from(&self.secret).sign_prehash(&filled);
        Ok(signature.expect("a signature of 32 bytes").as_bytes().to_vec())
    }

    /// What this key and another's point have in common: the x coordinate.
    fn agree(&self, point: &[u8]) -> Result<Vec<u8>, Status> {
        let other = p256::PublicKey::from_sec1_bytes(point).map_err(|_| Status::WRONG_DATA)?;
        Ok(self.secret.diffie_hellman(&other).raw_secret_bytes().to_vec())
    }

    /// GENERAL AUTHENTICATE, once everything that must happen before has happened.
    pub(super) fn answer(&self, question: &Question<'_>) -> Result<Vec<u8>, Status> {
        let answer = match question {
            Question::Sign(digest) => self.sign(digest)?,
            Question::Agree(point) => self.agree(point)?,
        };
        Ok(tlv(0x7c, &tlv(0x82, &answer)))
    }
}

/// What is asked of a key.
pub(super) enum Question<'a> {
    /// To sign this digest.
    Sign(&'a [u8]),
    /// To agree with this point.
    Agree(&'a [u8]),
}

impl<'a> Question<'a> {
    /// `7C { 82 empty, 81 digest }` or `7C { 82 empty, 85 point }`.
    pub(super) fn parse(algorithm: u8, data: &'a [u8]) -> Result<Self, Status> {
        if algorithm != P256 {
            return Err(Status::WRONG_PARAMETERS);
        }
        let fields = Fields::inside(data, 0x7c)?;
        match (fields.want(0x82)?, fields.get(0x81), fields.get(0x85)) {
            ([], Some(digest), None) => Ok(Self::Sign(digest)),
            ([], None, Some(point)) => Ok(Self::Agree(point)),
            _ => Err(Status::WRONG_DATA),
        }
    }
}

fn new_secret() -> SecretKey {
    std::iter::repeat_with(|| SecretKey::from_slice(&random(32)))
        .find_map(Result::ok)
        .expect("nearly every number is a P-256 key")
}
