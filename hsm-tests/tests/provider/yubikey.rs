//! The virtual YubiKey behind the real pcscd: what every kind of token must do.

use std::collections::BTreeMap;

use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Firmware, PivCard};
use hsm_tests::softhsm::{PIN, SO_PIN};
use touchmarkd::token::{TokenKey, TokenKind, UnwrapMethod};

use crate::bench::{LABEL, Removable, Rig};

/// The serial number of the card that is tested.
pub(crate) const SERIAL: u32 = 12_345_678;

/// A card like those with firmware 5.7.
pub(crate) struct YubiKey(pub(crate) Pcscd);

/// A card with that serial number, and the PIN and PUK of all tests.
pub(crate) fn card(firmware: Firmware, serial: u32) -> PivCard {
    PivCard::new(firmware, serial).set_up(PIN, SO_PIN)
}

impl Rig for YubiKey {
    const METHOD: UnwrapMethod = UnwrapMethod::Ecdh;
    const TAKES_KEYS: bool = true;
    const SAYS_LOW: bool = true;

    fn empty() -> Self {
        Self(Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_7, SERIAL)))
    }

    fn kind(&self, label: &str, _: Option<&str>) -> TokenKind {
        TokenKind::Yubikey { serial: if label == LABEL { SERIAL } else { SERIAL + 1 } }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.0.environment()
    }

    /// By its certificate, which is all that other programs look at.
    fn is_seen_from_outside(&self, key: &TokenKey) {
        let status = self.0.cli("yubico-piv-tool").args(["-r", NOBODYS, "-a", "status"]).ok();
        let slot = format!("Slot {:02x}:", key.id[0]);
        status.says(&slot).says(&key.label);
    }
}

impl Removable for YubiKey {
    fn pull_out(&self) {
        self.0.reader().pull_out();
    }

    fn put_back(&self) {
        self.0.reader().put_back();
    }
}

passes!(@ YubiKey, ():
    a_new_token_signs_and_foreign_judges_agree,
    two_keys_are_not_mixed_up,
    a_hundred_signatures_in_one_session,
    a_wrong_pin_is_sent_once_and_ends_the_login,
    a_token_of_another_name_is_absent,
    the_vault_key_opens_what_was_sealed_to_it,
    a_box_for_another_key_is_refused_and_harms_nothing,
    a_killed_helper_is_replaced,
    a_stopped_helper_starts_again_without_a_login,
    a_deleted_key_is_gone,
    an_imported_key_is_the_same_key,
    a_token_that_was_pulled_out_comes_back,
    a_token_is_never_initialised_twice,
);
passes!(@one YubiKey, (ignore = "a YubiKey has no label: another one is absent"),
    another_token_under_the_same_label_is_a_mismatch);
