//! tpm2-pkcs11 on swtpm: the closest thing to hardware here. It agrees on no secrets and takes no keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hsm_tests::cli::Ran;
use hsm_tests::swtpm::SwTpm;
use touchmarkd::token::UnwrapMethod;

use crate::bench::{Removable, Rig};

impl Rig for SwTpm {
    const METHOD: UnwrapMethod = UnwrapMethod::RsaOaep;
    const TAKES_KEYS: bool = false;
    const SAYS_LOW: bool = false;

    fn empty() -> Self {
        Self::start()
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
