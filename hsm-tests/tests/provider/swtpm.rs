//! tpm2-pkcs11 on swtpm: the closest thing to hardware here. It agrees on no secrets and takes no keys.

use std::collections::BTreeMap;

use hsm_tests::swtpm::SwTpm;
use touchmarkd::token::{TokenKey, TokenKind, UnwrapMethod};

use crate::bench::{Removable, Rig, pkcs11, pkcs11_tool_sees};

impl Rig for SwTpm {
    const METHOD: UnwrapMethod = UnwrapMethod::RsaOaep;
    const TAKES_KEYS: bool = false;
    const SAYS_LOW: bool = false;

    fn empty() -> Self {
        Self::start()
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

impl Removable for SwTpm {
    fn pull_out(&self) {
        self.pull_out();
    }

    fn put_back(&self) {
        self.put_back();
    }
}

passes!(SwTpm);
passes!(@one SwTpm, (), a_token_that_was_pulled_out_comes_back);
