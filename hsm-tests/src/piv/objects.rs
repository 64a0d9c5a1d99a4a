//! Data objects: certificates, CHUID, CCC and what else programs leave on a card.

use std::collections::BTreeMap;

use super::apdu::Status;
use super::tlv::{Fields, tlv};

/// The certificate of slot f9.
const ATTESTATION: &[u8] = &[0x5f, 0xff, 0x01];
/// What the application says of itself; nobody writes it.
const DISCOVERY: &[u8] = &[0x7e];
/// The largest object that a YubiKey takes, in bytes.
const LARGEST: usize = 3063;
/// Fingerprints, face, printed information, iris: read with the PIN alone (NIST SP 800-73-4).
const WITH_PIN: [&[u8]; 4] =
    [&[0x5f, 0xc1, 0x03], &[0x5f, 0xc1, 0x08], &[0x5f, 0xc1, 0x09], &[0x5f, 0xc1, 0x21]];

/// What a card holds besides keys.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<Vec<u8>, Vec<u8>>);

/// Whether the PIN was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Anybody,
    KnowsPin,
}

impl Objects {
    /// With the certificate of slot f9 alone, as from the factory.
    pub(super) fn new(attestation: &[u8]) -> Self {
        let certificate = [tlv(0x70, attestation), tlv(0x71, &[0]), tlv(0xfe, &[])].concat();
        Self([(ATTESTATION.to_vec(), certificate)].into())
    }

    /// What RESET leaves.
    pub(super) fn reset(&mut self) {
        self.0.retain(|id, _| id == ATTESTATION);
    }

    /// GET DATA: `5C id`.
    pub(super) fn get(&self, data: &[u8], reader: Reader) -> Result<Vec<u8>, Status> {
        let id = Fields::parse(data)?.want(0x5c)?;
        if id == DISCOVERY {
            let aid = tlv(0x4f, super::AID);
            return Ok(tlv(0x7e, &[aid, tlv(0x5f2f, &[0x40, 0])].concat()));
        }
        if WITH_PIN.contains(&id) && reader == Reader::Anybody {
            return Err(Status::SECURITY);
        }
        self.0.get(id).map(|value| tlv(0x53, value)).ok_or(Status::NOT_FOUND)
    }

    /// PUT DATA: `5C id, 53 value`; an empty value takes the object away.
    pub(super) fn put(&mut self, data: &[u8]) -> Result<(), Status> {
        let fields = Fields::parse(data)?;
        let (id, value) = (fields.want(0x5c)?, fields.want(0x53)?);
        if !matches!(id, [0x5f, _, _]) {
            return Err(Status::WRONG_DATA);
        }
        if value.len() > LARGEST {
            return Err(Status::NO_SPACE);
        }
        if value.is_empty() {
            self.0.remove(id);
        } else {
            self.0.insert(id.to_vec(), value.to_vec());
        }
        Ok(())
    }
}
