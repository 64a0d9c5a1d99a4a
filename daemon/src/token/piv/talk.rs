//! Commands that the crate has no word for, through a connection of its own. What the card was told by others, a PIN or
//! the management key, holds for the card and so for this connection.

use std::ffi::CString;

use pcsc::{Card, Context, Disposition, Error, Protocols, Scope, ShareMode};

/// The longest answer to any of these, in bytes: what SELECT tells of the PIV application, and the status.
const ROOM: usize = 258;
/// "Done" (ISO/IEC 7816-4, 5.1.3).
const DONE: [u8; 2] = [0x90, 0x00];
/// SELECT of the PIV application (NIST SP 800-73-4, part 2, 3.1.1) by the beginning of its name.
const SELECT: [u8; 10] = [0x00, 0xa4, 0x04, 0x00, 0x05, 0xa0, 0x00, 0x00, 0x03, 0x08];
/// Yubico's GET SERIAL, from firmware 5.0 on: four bytes, the most significant first.
const GET_SERIAL: [u8; 4] = [0x00, 0xf8, 0x00, 0x00];

/// Sends commands to the card in a reader, with nobody between them, and leaves it as it is.
pub(super) fn talk<T>(reader: &str, words: impl FnOnce(&Card) -> Result<T, Error>) -> Result<T, Error> {
    let reader = CString::new(reader).map_err(|_| Error::UnknownReader)?;
    let mut card = Context::establish(Scope::System)?.connect(&reader, ShareMode::Shared, Protocols::T1)?;
    // Whatever comes of it: a connection that is dropped resets the card.
    let said = card.transaction().and_then(|alone| words(&alone));
    drop(card.disconnect(Disposition::LeaveCard));
    said
}

/// What the card answers, and the status after it.
pub(super) fn ask(card: &Card, command: &[u8]) -> Result<(Vec<u8>, [u8; 2]), Error> {
    let mut room = [0; ROOM];
    let (data, status) = card.transmit(command, &mut room)?.split_last_chunk().ok_or(Error::CommDataLost)?;
    Ok((data.to_vec(), *status))
}

/// The serial number of a YubiKey. Its PIV application is selected only where nobody has selected it, so that no login
/// ends. `None`: its firmware does not tell it in this way, or it is no YubiKey.
pub(super) fn serial(reader: &str) -> Option<u32> {
    let serial = |card: &Card| {
        let (data, status) = ask(card, &GET_SERIAL)?;
        Ok(data.try_into().ok().filter(|_| status == DONE).map(u32::from_be_bytes))
    };
    let said = talk(reader, |card| match serial(card)? {
        None if ask(card, &SELECT)?.1 == DONE => serial(card),
        said => Ok(said),
    });
    said.ok().flatten()
}
