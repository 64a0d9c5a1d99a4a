//! The card alone, by the bytes that programs send.

use std::time::{Duration, Instant};

use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;
use des::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use p256::PublicKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;

use super::tlv::tlv;
use super::{Controls, DEFAULT_MANAGEMENT_KEY, Firmware, Malformed, PivCard, Status, Touch};

mod attests;
mod carries;
mod counts;
mod fails;
mod holds_keys;
mod speaks;

const SELECT: &[u8] = &[0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8];
const PIN: &[u8; 8] = b"123456\xff\xff";
const PUK: &[u8; 8] = b"12345678";
const DIGEST: [u8; 32] = [0x5a; 32];

/// Somebody with a card in the reader.
struct Host(PivCard);

impl Host {
    /// PIV is selected, and that is all.
    fn new(firmware: Firmware) -> Self {
        let mut host = Self(PivCard::new(firmware, 12_345_678));
        host.ok(SELECT);
        host
    }

    /// With the management key and the PIN.
    fn at_home(firmware: Firmware) -> Self {
        let mut host = Self::new(firmware);
        host.manage();
        host.verify();
        host
    }

    /// One command and its answer.
    fn send(&mut self, command: &[u8]) -> (Vec<u8>, Status) {
        let mut answer = self.0.apdu(command);
        let word = answer.split_off(answer.len() - 2);
        (answer, Status(u16::from_be_bytes([word[0], word[1]])))
    }

    /// A command with data, in as many pieces as it needs, and its whole answer.
    fn ask(&mut self, head: [u8; 3], data: &[u8]) -> Result<Vec<u8>, Status> {
        let [ins, p1, p2] = head;
        let mut pieces: Vec<&[u8]> = data.chunks(255).collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            assert_eq!(self.send(&[&[0x10, ins, p1, p2, 255], piece].concat()), (vec![], Status::OK));
        }
        let length = u8::try_from(last.len()).unwrap();
        let (mut all, mut status) = self.send(&[&[0, ins, p1, p2, length], last].concat());
        while status.0 >> 8 == 0x61 {
            let (more, next) = self.send(&[0, 0xc0, 0, 0, 0]);
            all.extend(more);
            status = next;
        }
        if status == Status::OK { Ok(all) } else { Err(status) }
    }

    fn ok(&mut self, command: &[u8]) -> Vec<u8> {
        let (data, status) = self.send(command);
        assert_eq!(status, Status::OK, "{command:02x?}");
        data
    }

    fn verify(&mut self) {
        self.ask([0x20, 0, 0x80], PIN).unwrap();
    }

    /// Mutual authentication with the key of a new card.
    fn manage(&mut self) {
        let algorithm = self.0.model.firmware.management() as u8;
        assert_eq!(self.manage_with(algorithm, &DEFAULT_MANAGEMENT_KEY), Ok(()));
    }

    fn manage_with(&mut self, algorithm: u8, key: &[u8]) -> Result<(), Status> {
        let witness = self.ask([0x87, algorithm, 0x9b], &[0x7c, 2, 0x80, 0])?;
        let challenge = vec![7; witness.len() - 4];
        let decrypted = tlv(0x80, &cipher(algorithm, key, &witness[4..], Way::Decrypt));
        let data = tlv(0x7c, &[decrypted, tlv(0x81, &challenge)].concat());
        let answer = self.ask([0x87, algorithm, 0x9b], &data)?;
        assert_eq!(answer[4..], cipher(algorithm, key, &challenge, Way::Encrypt));
        Ok(())
    }

    /// A new key with these policies; 0 is the slot's own.
    fn generate(&mut self, slot: u8, pin: u8, touch: u8) -> VerifyingKey {
        let policies = [tlv(0x80, &[0x11]), tlv(0xaa, &[pin]), tlv(0xab, &[touch])].concat();
        let answer = self.ask([0x47, 0, slot], &tlv(0xac, &policies)).unwrap();
        assert_eq!(answer[..5], [0x7f, 0x49, 67, 0x86, 65]);
        VerifyingKey::from_sec1_bytes(&answer[5..]).unwrap()
    }

    fn sign(&mut self, slot: u8) -> Result<Signature, Status> {
        let data = tlv(0x7c, &[tlv(0x82, &[]), tlv(0x81, &DIGEST)].concat());
        let answer = self.ask([0x87, 0x11, slot], &data)?;
        assert_eq!([answer[0], answer[2]], [0x7c, 0x82]);
        Ok(Signature::from_der(&answer[4..]).unwrap())
    }

    fn controls(&self) -> Controls {
        self.0.controls()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Encrypt,
    Decrypt,
}

fn cipher(algorithm: u8, key: &[u8], block: &[u8], way: Way) -> Vec<u8> {
    fn one<C: KeyInit + BlockCipherDecrypt + BlockCipherEncrypt>(
        key: &[u8],
        bytes: &[u8],
        way: Way,
    ) -> Vec<u8> {
        let cipher = C::new_from_slice(key).unwrap();
        let mut block: Block<C> = bytes.try_into().unwrap();
        match way {
            Way::Encrypt => cipher.encrypt_block(&mut block),
            Way::Decrypt => cipher.decrypt_block(&mut block),
        }
        block.to_vec()
    }
    match algorithm {
        0x03 => one::<TdesEde3>(key, block, way),
        0x08 => one::<Aes128>(key, block, way),
        0x0a => one::<Aes192>(key, block, way),
        0x0c => one::<Aes256>(key, block, way),
        _ => panic!("no such algorithm"),
    }
}

fn check(key: &VerifyingKey, signature: &Signature) {
    key.verify_prehash(&DIGEST, signature).unwrap();
}
