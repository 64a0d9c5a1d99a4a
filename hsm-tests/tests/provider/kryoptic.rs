//! kryoptic: another software token, stricter than SoftHSM. It is in no distribution and takes minutes to build, so
//! these tests are counted as ignored; `make kryoptic` builds it and runs them. It cannot be pulled out: it keeps its
//! open file and does not notice that the name is gone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::place::Place;
use touchmarkd::token::{TokenKey, TokenKind, UnwrapMethod};

use crate::bench::{Rig, pkcs11, pkcs11_tool_sees};

struct Kryoptic(Place);

impl Rig for Kryoptic {
    const METHOD: UnwrapMethod = UnwrapMethod::Ecdh;
    const TAKES_KEYS: bool = true;
    const SAYS_LOW: bool = false;

    fn empty() -> Self {
        Self(Place::new())
    }

    fn kind(&self, label: &str, serial: Option<&str>) -> TokenKind {
        pkcs11(Self::module(), label, serial)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("KRYOPTIC_CONF".to_owned(), self.0.join("token.sql").display().to_string())])
    }

    fn is_seen_from_outside(&self, key: &TokenKey) {
        pkcs11_tool_sees(key, |args| self.pkcs11_tool(args));
    }
}

impl Kryoptic {
    fn module() -> PathBuf {
        std::env::var_os("KRYOPTIC_MODULE").expect("KRYOPTIC_MODULE=/path/to/libkryoptic_pkcs11.so").into()
    }

    /// OpenSC's `pkcs11-tool` on the same token.
    fn pkcs11_tool(&self, args: &[&str]) -> Ran {
        let environment = self.environment().into_iter();
        let cli = environment.fold(Cli::new(tool("pkcs11-tool")), |cli, (name, value)| cli.env(&name, value));
        cli.arg("--module").arg(Self::module()).args(args).ok()
    }
}

passes!(Kryoptic, ignore = "`make kryoptic` runs it");
