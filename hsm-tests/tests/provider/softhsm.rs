//! SoftHSM: the token of tests and of `--dev`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hsm_tests::cli::Ran;
use hsm_tests::softhsm::SoftHsm;
use touchmarkd::token::UnwrapMethod;

use crate::bench::{Removable, Rig};

impl Rig for SoftHsm {
    const METHOD: UnwrapMethod = UnwrapMethod::Ecdh;
    const TAKES_KEYS: bool = true;
    const SAYS_LOW: bool = true;

    fn empty() -> Self {
        Self::empty()
    }

    fn module() -> PathBuf {
        Self::module()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.environment()
    }

    fn pkcs11_tool(&self, args: &[&str]) -> Ran {
        self.pkcs11_tool(args)
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
