//! The commands of the PIV application, each with what must be so before it is obeyed.

use std::time::Instant;

use super::apdu::{Command, Status};
use super::keys::{Key, Origin, PinPolicy, Question, Slot, TouchPolicy};
use super::management::{Management, Step};
use super::objects::Reader;
use super::pins::{NewValue, Reference};
use super::tlv::tlv;
use super::{DEFAULT_PIN, DEFAULT_PUK, Firmware, Manager, Pin, PivCard};

impl PivCard {
    /// One command of the PIV application.
    pub(super) fn obey(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        let Command { ins, p1, p2, data, .. } = command;
        let pin = self.session.pin;
        if pin == Pin::Fresh {
            self.session.pin = Pin::Stale;
        }
        match (ins, p1, p2) {
            (0x20, 0, 0x80) => self.verify(data)?,
            (0x24, 0, 0x80 | 0x81) => self.change(*p2, data)?,
            (0x2c, 0, 0x80) => self.unblock(data)?,
            (0x47, 0, slot) => return self.generate(Slot::try_from(*slot)?, data),
            (0x87, algorithm, 0x9b) => return self.authenticate(*algorithm, data),
            (0x87, algorithm, slot) => {
                return self.use_key(Slot::try_from(*slot)?, *algorithm, data, pin);
            }
            (0xcb, 0x3f, 0xff) => return self.objects.get(data, self.reader()),
            (0xdb, 0x3f, 0xff) => self.manager().and_then(|()| self.objects.put(data))?,
            (0xf6, to, from) if self.model.firmware == Firmware::V5_7 => self.move_key(*to, *from)?,
            (0xf7, _, _) if self.model.firmware == Firmware::V5_2 => return Err(Status::NO_INSTRUCTION),
            (0xf7, 0, reference) => return self.metadata(*reference),
            (0xf8, 0, 0) => return Ok(self.model.serial.to_be_bytes().to_vec()),
            (0xf9, slot, 0) => return self.attest(Slot::try_from(*slot)?),
            (0xfa, pin, puk) => self.set_tries(*pin, *puk)?,
            (0xfb, 0, 0) => self.start_over()?,
            (0xfd, 0, 0) => return Ok(self.model.firmware.version().to_vec()),
            (0xfe, algorithm, slot) => self.import(Slot::try_from(*slot)?, *algorithm, data)?,
            (0xff, 0xff, _) => self.manager().and_then(|()| self.management.set(*p2, data))?,
            (0x20 | 0x24 | 0x2c | 0x47 | 0xcb | 0xdb | 0xf7..=0xf9 | 0xfb | 0xfd | 0xff, _, _) => {
                return Err(Status::WRONG_PARAMETERS);
            }
            _ => return Err(Status::NO_INSTRUCTION),
        }
        Ok(Vec::new())
    }

    fn reader(&self) -> Reader {
        if self.session.pin == Pin::Missing { Reader::Anybody } else { Reader::KnowsPin }
    }

    /// Only for who has the management key.
    fn manager(&self) -> Result<(), Status> {
        if self.session.manager == Manager::Known { Ok(()) } else { Err(Status::SECURITY) }
    }

    fn verify(&mut self, pin: &[u8]) -> Result<(), Status> {
        if pin.is_empty() {
            return if self.session.pin == Pin::Missing { Err(self.pin.state()) } else { Ok(()) };
        }
        if pin.len() != 8 {
            return Err(Status::WRONG_LENGTH);
        }
        self.session.pin = Pin::Missing;
        self.pin.check(pin).inspect_err(|_| self.controls.refuse_pin())?;
        self.session.pin = Pin::Fresh;
        Ok(())
    }

    fn change(&mut self, reference: u8, data: &[u8]) -> Result<(), Status> {
        let (old, new) = data.split_at_checked(8).ok_or(Status::WRONG_LENGTH)?;
        let new = NewValue::try_from(new)?;
        let target = if reference == 0x80 { &mut self.pin } else { &mut self.puk };
        target.check(old)?;
        target.set(new);
        Ok(())
    }

    fn unblock(&mut self, data: &[u8]) -> Result<(), Status> {
        let (puk, new) = data.split_at_checked(8).ok_or(Status::WRONG_LENGTH)?;
        let new = NewValue::try_from(new)?;
        self.puk.check(puk)?;
        self.pin.set(new);
        Ok(())
    }

    fn set_tries(&mut self, pin: u8, puk: u8) -> Result<(), Status> {
        self.manager()?;
        if self.session.pin == Pin::Missing {
            return Err(Status::SECURITY);
        }
        if pin == 0 || puk == 0 {
            return Err(Status::WRONG_PARAMETERS);
        }
        self.pin.set_tries(pin);
        self.puk.set_tries(puk);
        self.session.pin = Pin::Missing;
        Ok(())
    }

    /// RESET: only once PIN and PUK are both blocked. Slot f9 stays.
    fn start_over(&mut self) -> Result<(), Status> {
        if !self.pin.is_blocked() || !self.puk.is_blocked() {
            return Err(Status::CONDITIONS);
        }
        self.pin = Reference::new(DEFAULT_PIN);
        self.puk = Reference::new(DEFAULT_PUK);
        self.management = Management::new(self.model.firmware.management());
        self.keys.retain(|slot, _| *slot == Slot::ATTESTATION);
        self.objects.reset();
        self.log_out();
        Ok(())
    }

    fn authenticate(&mut self, algorithm: u8, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.session.manager = Manager::Unknown;
        match self.management.step(algorithm, data)? {
            Step::Next(answer) => Ok(answer),
            Step::Done(answer) => {
                self.touch(self.management.touch())?;
                self.session.manager = Manager::Known;
                Ok(answer)
            }
        }
    }

    fn generate(&mut self, slot: Slot, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.manager()?;
        let key = Key::generate(slot, data)?;
        let answer = tlv(0x7f49, &tlv(0x86, &key.point()));
        self.keys.insert(slot, key);
        Ok(answer)
    }

    fn import(&mut self, slot: Slot, algorithm: u8, data: &[u8]) -> Result<(), Status> {
        self.manager()?;
        self.keys.insert(slot, Key::import(slot, algorithm, data)?);
        Ok(())
    }

    /// MOVE KEY: to another slot, or away (ff).
    fn move_key(&mut self, to: u8, from: u8) -> Result<(), Status> {
        self.manager()?;
        let to = if to == 0xff { None } else { Some(Slot::try_from(to)?) };
        let key = self.keys.remove(&Slot::try_from(from)?).ok_or(Status::NO_KEY)?;
        if let Some(to) = to {
            self.keys.insert(to, key);
        }
        Ok(())
    }

    fn use_key(&mut self, slot: Slot, algorithm: u8, data: &[u8], pin: Pin) -> Result<Vec<u8>, Status> {
        let key = self.keys.get(&slot).ok_or(Status::NO_KEY)?;
        let question = Question::parse(algorithm, data)?;
        let enough = match key.pin {
            PinPolicy::Never => true,
            PinPolicy::Once => pin != Pin::Missing,
            PinPolicy::Always => pin == Pin::Fresh,
        };
        if !enough {
            return Err(Status::SECURITY);
        }
        self.touch(key.touch)?;
        self.key(slot)?.answer(&question)
    }

    fn metadata(&self, reference: u8) -> Result<Vec<u8>, Status> {
        match reference {
            0x80 => Ok(self.pin.metadata()),
            0x81 => Ok(self.puk.metadata()),
            0x9b => Ok(self.management.metadata()),
            slot => Ok(self.key(Slot::try_from(slot).map_err(|_| Status::NO_KEY)?)?.metadata()),
        }
    }

    fn attest(&self, slot: Slot) -> Result<Vec<u8>, Status> {
        let made_here = self.keys.get(&slot).filter(|key| key.origin == Origin::Generated);
        let key = made_here.ok_or(Status::WRONG_DATA)?;
        let f9 = self.key(Slot::ATTESTATION)?;
        Ok(self.attester.attest(f9, &self.attested, slot, key))
    }

    fn key(&self, slot: Slot) -> Result<&Key, Status> {
        self.keys.get(&slot).ok_or(Status::NO_KEY)
    }

    fn touch(&mut self, policy: TouchPolicy) -> Result<(), Status> {
        let fresh = |at: Instant| at.elapsed() < self.controls.cached();
        match policy {
            TouchPolicy::Never => return Ok(()),
            TouchPolicy::Cached if self.touched.is_some_and(fresh) => return Ok(()),
            TouchPolicy::Cached | TouchPolicy::Always => {}
        }
        let touched = self.controls.want_touch().ok_or(Status::SECURITY)?;
        self.touched = Some(touched);
        Ok(())
    }
}
