//! kryoptic: another software token, stricter than SoftHSM. It is in no distribution and takes minutes to build, so
//! these tests are counted as ignored; `make kryoptic` builds it and runs them. It cannot be pulled out: it keeps its
//! open file and does not notice that the name is gone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::place::Place;
use touchmarkd::token::UnwrapMethod;

use crate::bench::Rig;

struct Kryoptic(Place);

impl Rig for Kryoptic {
    const METHOD: UnwrapMethod = UnwrapMethod::Ecdh;
    const TAKES_KEYS: bool = true;
    const SAYS_LOW: bool = false;

    fn empty() -> Self {
        Self(Place::new())
    }

    fn module() -> PathBuf {
        std::env::var_os("KRYOPTIC_MODULE").expect("KRYOPTIC_MODULE=/path/to/libkryoptic_pkcs11.so").into()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("KRYOPTIC_CONF".to_owned(), self.0.join("token.sql").display().to_string())])
    }

    fn pkcs11_tool(&self, args: &[&str]) -> Ran {
        let environment = self.environment().into_iter();
        let cli = environment.fold(Cli::new(tool("pkcs11-tool")), |cli, (name, value)| cli.env(&name, value));
        cli.arg("--module").arg(Self::module()).args(args).ok()
    }
}

passes!(Kryoptic, ignore = "`make kryoptic` runs it");
