//! The PIV application of a YubiKey in software: bytes in, bytes out. Its own code, after what other people's programs
//! send and what Yubico writes about the answers; nobody has compared it with a real card.
//!
//! It knows P-256 alone, one application, and three kinds of firmware. Counters, policies and who is logged in are a
//! YubiKey's; secrets lie in plain memory, as nothing here is one.

mod apdu;
mod application;
mod attestation;
mod controls;
mod keys;
mod management;
mod objects;
mod pins;
#[cfg(test)]
mod tests;
mod tlv;

use std::collections::BTreeMap;
use std::time::Instant;

use ring::rand::{SecureRandom, SystemRandom};

pub use apdu::Status;
use apdu::{Command, Pieces};
pub use attestation::AttestationCa;
use attestation::Attester;
pub use controls::{Controls, Malformed, Touch};
use keys::{Key, Slot};
pub use management::DEFAULT_MANAGEMENT_KEY;
use management::{Algorithm, Management};
use objects::Objects;
pub use pins::{DEFAULT_PIN, DEFAULT_PUK, OWN_PIN, OWN_PUK};
use pins::{NewValue, Reference};

/// The PIV application's name; five bytes of it are enough to select it.
const AID: &[u8] = &[0xa0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];
/// The application that manages the whole device.
const MANAGEMENT_AID: &[u8] = &[0xa0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];
/// GET RESPONSE.
const GET_RESPONSE: u8 = 0xc0;

/// Which YubiKey it is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// 5.2.4: tells nothing of keys and PINs (no metadata).
    V5_2,
    /// 5.4.3: a new card's management key is for 3DES.
    V5_4,
    /// 5.7.1: a new card's management key is for AES-192, and keys can be moved and deleted.
    V5_7,
}

impl Firmware {
    /// Major, minor, patch.
    #[must_use]
    pub fn version(self) -> [u8; 3] {
        match self {
            Self::V5_2 => [5, 2, 4],
            Self::V5_4 => [5, 4, 3],
            Self::V5_7 => [5, 7, 1],
        }
    }

    fn management(self) -> Algorithm {
        match self {
            Self::V5_2 | Self::V5_4 => Algorithm::TripleDes,
            Self::V5_7 => Algorithm::Aes192,
        }
    }
}

/// What is printed on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Model {
    firmware: Firmware,
    serial: u32,
}

/// One card.
#[derive(Debug)]
pub struct PivCard {
    model: Model,
    /// What it signs about itself: the same, for a card that is sound.
    attested: Model,
    controls: Controls,
    applet: Applet,
    pieces: Pieces,
    session: Session,
    pin: Reference,
    puk: Reference,
    management: Management,
    keys: BTreeMap<Slot, Key>,
    objects: Objects,
    attester: Attester,
    touched: Option<Instant>,
}

/// Which application is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applet {
    None,
    Piv,
    Management,
}

/// Who is logged in.
#[derive(Clone, Copy, Debug)]
struct Session {
    pin: Pin,
    manager: Manager,
}

/// Whether the PIN was given in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pin {
    Missing,
    /// By the command before this one.
    Fresh,
    /// Earlier.
    Stale,
}

/// Whether the management key was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Unknown,
    Known,
}

impl Session {
    const NONE: Self = Self { pin: Pin::Missing, manager: Manager::Unknown };
}

impl PivCard {
    /// A new card, as from the factory, with a CA of its own.
    #[must_use]
    pub fn new(firmware: Firmware, serial: u32) -> Self {
        Self::vouched_for(firmware, serial, &AttestationCa::new())
    }

    /// A new card that this CA vouches for.
    #[must_use]
    pub fn vouched_for(firmware: Firmware, serial: u32, authority: &AttestationCa) -> Self {
        let f9 = Key::of_the_factory();
        let (attester, certificate) = Attester::new(authority, &f9);
        Self {
            model: Model { firmware, serial },
            attested: Model { firmware, serial },
            controls: Controls::default(),
            applet: Applet::None,
            pieces: Pieces::default(),
            session: Session::NONE,
            pin: Reference::new(DEFAULT_PIN),
            puk: Reference::new(DEFAULT_PUK),
            management: Management::new(firmware.management()),
            keys: [(Slot::ATTESTATION, f9)].into(),
            objects: Objects::new(&certificate),
            attester,
            touched: None,
        }
    }

    /// [`PivCard::set_up`] with [`OWN_PIN`] and [`OWN_PUK`].
    #[must_use]
    pub fn owned(self) -> Self {
        self.set_up(OWN_PIN, OWN_PUK)
    }

    /// As somebody has it who has given it a PIN, a PUK and a management key; the last is behind the PIN, where Yubico's
    /// programs keep it.
    ///
    /// # Panics
    /// When PIN or PUK cannot be one.
    #[must_use]
    pub fn set_up(mut self, pin: &str, puk: &str) -> Self {
        self.pin.set(NewValue::of(pin));
        self.puk.set(NewValue::of(puk));
        let key = self.management.renew();
        let kept = tlv::tlv(0x88, &tlv::tlv(0x89, &key));
        let object = [tlv::tlv(0x5c, &[0x5f, 0xc1, 0x09]), tlv::tlv(0x53, &kept)].concat();
        self.objects.put(&object).expect("an object");
        self
    }

    /// A new one that somebody has given a PIN, and nothing else.
    ///
    /// # Panics
    /// When it cannot be one.
    #[must_use]
    pub fn with_pin(mut self, pin: &str) -> Self {
        self.pin.set(NewValue::of(pin));
        self
    }

    /// One that is not what it says: it attests another serial number.
    #[must_use]
    pub fn attesting_as(mut self, serial: u32) -> Self {
        self.attested.serial = serial;
        self
    }

    /// Somebody has given wrong PINs until none is taken any more.
    pub fn block_pin(&mut self) {
        self.pin.block();
    }

    /// A hand on it, for when somebody else has it.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The number printed on it.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.model.serial
    }

    /// How many wrong PINs it still takes.
    #[must_use]
    pub fn pin_tries(&self) -> u8 {
        self.pin.left()
    }

    /// How many wrong PUKs it still takes.
    #[must_use]
    pub fn puk_tries(&self) -> u8 {
        self.puk.left()
    }

    /// The private key in a slot: what no real card gives away, for finding out whether it is anywhere else.
    #[must_use]
    pub fn secret_in(&self, slot: u8) -> Option<[u8; 32]> {
        self.keys.get(&Slot::try_from(slot).ok()?).map(Key::secret)
    }

    /// Whether these are its PIN and its PUK. Costs no try.
    #[must_use]
    pub fn opens_with(&self, pin: &str, puk: &str) -> bool {
        self.pin.is(NewValue::of(pin)) && self.puk.is(NewValue::of(puk))
    }

    /// The number of its management key's algorithm, and the key.
    #[must_use]
    pub fn management_key(&self) -> (u8, &[u8]) {
        self.management.key()
    }

    /// The option by which Yubico's tool is told its management key.
    #[must_use]
    pub fn key_option(&self) -> String {
        let (_, key) = self.management_key();
        key.iter().fold("--key=".to_owned(), |option, byte| option + &format!("{byte:02x}"))
    }

    /// Somebody makes a key in that slot; its public point.
    ///
    /// # Panics
    /// When there is no such slot.
    pub fn put_a_key_into(&mut self, slot: u8) -> [u8; 65] {
        let slot = Slot::try_from(slot).expect("a slot");
        let key = Key::of_the_factory();
        let point = key.point();
        self.keys.insert(slot, key);
        point
    }

    /// The public point of the key in that slot.
    #[must_use]
    pub fn key_in(&self, slot: u8) -> Option<[u8; 65]> {
        Some(self.keys.get(&Slot::try_from(slot).ok()?)?.point())
    }

    /// Power on, power off or reset: nobody is logged in, nothing is selected.
    pub fn reset(&mut self) {
        self.applet = Applet::None;
        self.pieces = Pieces::default();
        self.log_out();
        self.touched = None;
    }

    /// Obeys one command: the answer with its status word at the end.
    pub fn apdu(&mut self, command: &[u8]) -> Vec<u8> {
        if self.session.pin != Pin::Missing && self.controls.was_between(command) {
            self.log_out();
        }
        let answer = match self.controls.meet(command) {
            Some(forced) => Err(forced),
            None => Command::parse(command).and_then(|command| self.receive(command)),
        };
        answer.unwrap_or_else(|Status(word)| word.to_be_bytes().to_vec())
    }

    fn receive(&mut self, command: Command) -> Result<Vec<u8>, Status> {
        if command.ins == GET_RESPONSE {
            return self.pieces.fetch();
        }
        let answer = match self.pieces.take(command)? {
            None => return Ok(Status::OK.0.to_be_bytes().to_vec()),
            Some(command) => (self.execute(&command)?, command.room(), command.ins),
        };
        let (data, room, ins) = answer;
        let data = self.controls.deform(ins, data);
        Ok(self.pieces.answer(data, room))
    }

    fn execute(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        match (self.applet, command.ins) {
            (_, 0xa4) => self.select(command),
            (Applet::Piv, _) => self.obey(command),
            (Applet::None | Applet::Management, _) => Err(Status::NO_INSTRUCTION),
        }
    }

    fn select(&mut self, Command { p1, data, .. }: &Command) -> Result<Vec<u8>, Status> {
        if *p1 != 4 {
            return Err(Status::NOT_FOUND);
        }
        let answer = if data.len() >= 5 && AID.starts_with(data) {
            self.applet = Applet::Piv;
            let authority = tlv::tlv(0x79, &tlv::tlv(0x4f, &AID[..5]));
            tlv::tlv(0x61, &[tlv::tlv(0x4f, &AID[5..]), authority].concat())
        } else if data == MANAGEMENT_AID {
            self.applet = Applet::Management;
            let [major, minor, patch] = self.model.firmware.version();
            format!("Virtual mgr - FW version {major}.{minor}.{patch}").into_bytes()
        } else {
            return Err(Status::NOT_FOUND);
        };
        self.log_out();
        Ok(answer)
    }

    fn log_out(&mut self) {
        self.session = Session::NONE;
        self.management.forget();
    }
}

/// So many bytes from the operating system.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).expect("randomness from the operating system");
    bytes
}
