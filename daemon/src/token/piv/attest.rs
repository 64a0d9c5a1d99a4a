//! What the card itself says about a key: a certificate that it signs by a key of its factory, in slot f9.

use std::panic::{AssertUnwindSafe, catch_unwind};

use yubikey::Error;
use yubikey::piv::Origin;

use super::slot::Slot;
use super::{PivToken, certificate};
use crate::token::{Attestation, MadeWhere, TokenError};

const ATTEST: &str = "attest a key";
/// Where the certificate of slot f9 is.
const FACTORY: yubikey::ObjectId = 0x005f_ff01;

impl PivToken {
    /// The certificate of the key in the slot that `id` names, and that of slot f9.
    pub(super) fn attest_key(&mut self, id: &[u8]) -> Result<Attestation, TokenError> {
        let slot = Slot::of_id(id).ok_or(TokenError::KeyNotFound)?;
        let found = self.with_card("show its keys", |card| slot.read(card))?;
        let content = found.ok_or(TokenError::KeyNotFound)?;
        if content.origin == Some(Origin::Imported) {
            return Ok(Attestation { made: MadeWhere::Elsewhere, certificates: Vec::new() });
        }
        let malformed =
            || TokenError::Failed { call: ATTEST.to_owned(), code: "a malformed answer".to_owned() };
        let asked = self.with_card(ATTEST, |card| {
            // The crate reads the first byte of an answer that may have none.
            let answer = catch_unwind(AssertUnwindSafe(|| yubikey::piv::attest(card, slot.piv())));
            answer.unwrap_or(Err(Error::ParseError))
        });
        let leaf = asked.map_err(|error| match error {
            TokenError::Failed { .. } => malformed(),
            other => other,
        })?;
        let object = self.with_card(ATTEST, |card| card.fetch_object(FACTORY))?;
        let factory = certificate::der(&object).ok_or_else(malformed)?;
        Ok(Attestation { made: MadeWhere::Here, certificates: vec![leaf.to_vec(), factory.to_vec()] })
    }
}
