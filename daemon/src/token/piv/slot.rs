//! The slots of the PIV application that are used here: 9c and the twenty retired ones sign, 9d opens the vault.

use touchmark_tuf::PublicKey;
use yubikey::piv::{AlgorithmId, Origin, RetiredSlotId, SlotAlgorithmId, SlotId, SlotMetadata};
use yubikey::{ObjectId, Version, YubiKey};

use super::certificate;
use super::fault::is_lost;
use crate::token::{KeyPolicy, PinPolicy, TokenKey, TouchPolicy, UnwrapMethod, Usage};

/// First and last of the retired slots (NIST SP 800-73-4 part 1, section 3.3).
const RETIRED: (u8, u8) = (0x82, 0x95);
/// Digital signature.
const SIGNATURE: u8 = 0x9c;
/// Key management.
const MANAGEMENT: u8 = 0x9d;

/// Whether the firmware tells what is in a slot (metadata, since 5.3).
pub(super) fn tells(version: Version) -> bool {
    (version.major, version.minor) >= (5, 3)
}

/// A slot that is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot(u8);

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) slot: Slot,
    pub(super) public: PublicKey,
    /// `None`: the firmware does not say.
    pub(super) policy: Option<KeyPolicy>,
    pub(super) origin: Option<Origin>,
    pub(super) label: String,
}

impl Slot {
    /// Where the key is that opens the vault.
    pub(super) const UNWRAP: Self = Self(MANAGEMENT);

    /// The slots for keys that sign, in the order in which they are filled.
    pub(super) fn signing() -> impl Iterator<Item = Self> {
        [SIGNATURE].into_iter().chain(RETIRED.0..=RETIRED.1).map(Self)
    }

    /// All slots that are used here.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::signing().chain([Self::UNWRAP])
    }

    /// The slot that a key's id names.
    pub(super) fn of_id(id: &[u8]) -> Option<Self> {
        let [byte] = id else { return None };
        Self::all().find(|slot| slot.0 == *byte)
    }

    pub(super) fn id(self) -> Vec<u8> {
        vec![self.0]
    }

    pub(super) fn byte(self) -> u8 {
        self.0
    }

    pub(super) fn usage(self) -> Usage {
        if self == Self::UNWRAP { Usage::Unwrap(UnwrapMethod::Ecdh) } else { Usage::Sign }
    }

    /// As the crate names it.
    pub(super) fn piv(self) -> SlotId {
        match self.0 {
            SIGNATURE => SlotId::Signature,
            MANAGEMENT => SlotId::KeyManagement,
            retired => RetiredSlotId::try_from(retired).map_or(SlotId::KeyManagement, SlotId::Retired),
        }
    }

    /// The object that holds its certificate (NIST SP 800-73-4 part 1, table 3).
    pub(super) fn object(self) -> ObjectId {
        match self.0 {
            SIGNATURE => 0x005f_c10a,
            MANAGEMENT => 0x005f_c10b,
            retired => 0x005f_c10d + ObjectId::from(retired.saturating_sub(RETIRED.0)),
        }
    }

    /// What is in it, where that is a key on P-256. Asks for no PIN.
    pub(super) fn read(self, card: &mut YubiKey) -> yubikey::Result<Option<Content>> {
        match yubikey::piv::metadata(card, self.piv()) {
            Ok(metadata) => self.of_metadata(card, &metadata),
            Err(yubikey::Error::NotFound) => Ok(None),
            // A certificate is the only one who tells.
            Err(yubikey::Error::NotSupported) if !tells(card.version()) => {
                let found = certificate::read(card, self)?;
                Ok(found.map(|certificate| Content {
                    slot: self,
                    label: certificate.label.unwrap_or_else(|| self.to_string()),
                    public: certificate.public,
                    policy: None,
                    origin: None,
                }))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing is in it. `None`: the firmware does not say.
    pub(super) fn is_free(self, card: &mut YubiKey) -> yubikey::Result<Option<bool>> {
        match yubikey::piv::metadata(card, self.piv()) {
            // Whatever its kind.
            Ok(_) | Err(yubikey::Error::AlgorithmError) => Ok(Some(false)),
            Err(yubikey::Error::NotFound) => Ok(Some(true)),
            Err(yubikey::Error::NotSupported) if !tells(card.version()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of_metadata(self, card: &mut YubiKey, metadata: &SlotMetadata) -> yubikey::Result<Option<Content>> {
        let Some(public) = point(metadata) else { return Ok(None) };
        let label = match certificate::read(card, self) {
            // A certificate for another key says nothing about this one.
            Ok(Some(found)) if found.public == public => found.label,
            Ok(_) => None,
            Err(error) if is_lost(&error) => return Err(error),
            Err(_) => None,
        };
        let label = label.unwrap_or_else(|| self.to_string());
        let policy = metadata.policy.map(|policy| policy_of(self, policy));
        Ok(Some(Content { slot: self, public, policy, origin: metadata.origin, label }))
    }
}

/// As `ykman` names it.
impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            SIGNATURE => f.write_str("slot 9c (digital signature)"),
            MANAGEMENT => f.write_str("slot 9d (key management)"),
            retired => write!(f, "slot {retired:02x} (retired {})", retired.saturating_sub(RETIRED.0) + 1),
        }
    }
}

impl Content {
    pub(super) fn key(&self) -> TokenKey {
        TokenKey {
            id: self.slot.id(),
            label: self.label.clone(),
            public: self.public.clone(),
            usage: self.slot.usage(),
            policy: self.policy,
        }
    }
}

/// All keys on the card.
pub(super) fn contents(card: &mut YubiKey) -> yubikey::Result<Vec<Content>> {
    let mut found = Vec::new();
    for slot in Slot::all() {
        match slot.read(card) {
            Ok(content) => found.extend(content),
            // A key of a kind that came after the crate.
            Err(yubikey::Error::AlgorithmError) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The public key in a slot's metadata, where it is on P-256.
fn point(metadata: &SlotMetadata) -> Option<PublicKey> {
    let of_ours = metadata.algorithm == SlotAlgorithmId::Asymmetric(AlgorithmId::EccP256);
    let bits = metadata.public.as_ref().filter(|_| of_ours)?.subject_public_key.as_bytes()?;
    Some(PublicKey::from_p256_point(bits.try_into().ok()?))
}

/// What a policy comes to in this slot.
fn policy_of(slot: Slot, (pin, touch): (yubikey::PinPolicy, yubikey::TouchPolicy)) -> KeyPolicy {
    let pin = match pin {
        yubikey::PinPolicy::Never => PinPolicy::Never,
        yubikey::PinPolicy::Once => PinPolicy::Once,
        yubikey::PinPolicy::Always => PinPolicy::Always,
        // The slot's own: NIST SP 800-73-4 part 1, table 4b.
        yubikey::PinPolicy::Default if slot.0 == SIGNATURE => PinPolicy::Always,
        yubikey::PinPolicy::Default => PinPolicy::Once,
    };
    let touch = match touch {
        yubikey::TouchPolicy::Never | yubikey::TouchPolicy::Default => TouchPolicy::Never,
        yubikey::TouchPolicy::Always => TouchPolicy::Always,
        yubikey::TouchPolicy::Cached => TouchPolicy::Cached,
    };
    KeyPolicy { pin, touch }
}

/// A policy as the card takes it.
pub(super) fn card_policy(policy: KeyPolicy) -> (yubikey::PinPolicy, yubikey::TouchPolicy) {
    let pin = match policy.pin {
        PinPolicy::Never => yubikey::PinPolicy::Never,
        PinPolicy::Once => yubikey::PinPolicy::Once,
        PinPolicy::Always => yubikey::PinPolicy::Always,
    };
    let touch = match policy.touch {
        TouchPolicy::Never => yubikey::TouchPolicy::Never,
        TouchPolicy::Always => yubikey::TouchPolicy::Always,
        TouchPolicy::Cached => yubikey::TouchPolicy::Cached,
    };
    (pin, touch)
}
