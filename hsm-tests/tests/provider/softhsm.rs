//! SoftHSM: the token of tests and of `--dev`.

use std::collections::BTreeMap;

use hsm_tests::softhsm::SoftHsm;
use touchmarkd::token::{TokenKey, TokenKind, UnwrapMethod};

use crate::bench::{Removable, Rig, pkcs11, pkcs11_tool_sees};

impl Rig for SoftHsm {
    const METHOD: UnwrapMethod = UnwrapMethod::Ecdh;
    const TAKES_KEYS: bool = true;
    const SAYS_LOW: bool = true;

    fn empty() -> Self {
        Self::empty()
    }

    fn kind(&self, label: &str, serial: Option<&str>) -> TokenKind {
        pkcs11(Self::module(), label, serial)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.environment()
    }

    fn is_seen_from_outside(&self, key: &TokenKey) {
        pkcs11_tool_sees(key, |args| self.pkcs11_tool(args));
    }
}

impl Removable for SoftHsm {
    fn pull_out(&self) {
        self.pull_out();
    }

    fn put_back(&self) {
        self.put_back();
    }
}

passes!(SoftHsm);
passes!(@one SoftHsm, (), a_token_that_was_pulled_out_comes_back);
