//! SoftHSM with a folder and a configuration of its own: no state that two tests could share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, Ran, tool};
use crate::place::Place;

/// User PIN of every token made here.
pub const PIN: &str = "648219";
/// PIN of the security officer.
pub const SO_PIN: &str = "99887766";

/// Where Debian's package, and others, put the module.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// A folder of SoftHSM tokens.
#[derive(Debug)]
pub struct SoftHsm {
    place: Place,
}

impl SoftHsm {
    /// Without a token: one empty slot.
    #[must_use]
    pub fn empty() -> Self {
        Self::at(Place::new())
    }

    /// With one token of this label, [`PIN`] and [`SO_PIN`].
    #[must_use]
    pub fn with_token(label: &str) -> Self {
        let hsm = Self::empty();
        hsm.add_token(label);
        hsm
    }

    /// In this folder, which may have tokens already.
    #[must_use]
    pub fn at(place: Place) -> Self {
        let tokens = place.folder("tokens");
        let lines =
            ["directories.tokendir = ", &tokens.display().to_string(), "\nobjectstore.backend = file\n"];
        let rest = "log.level = ERROR\n";
        std::fs::write(place.join("softhsm2.conf"), lines.concat() + rest).expect("SoftHSM's configuration");
        Self { place }
    }

    /// The folder with its tokens and its configuration.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    /// The module.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn module() -> PathBuf {
        let found = MODULES.iter().map(Path::new).find(|file| file.is_file());
        found.unwrap_or_else(|| panic!("SoftHSM is not installed: none of {MODULES:?}")).to_owned()
    }

    /// What the module reads from the environment.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let file = self.place.join("softhsm2.conf").display().to_string();
        BTreeMap::from([("SOFTHSM2_CONF".to_owned(), file)])
    }

    /// One more token of this label.
    pub fn add_token(&self, label: &str) {
        self.add_token_with_pin(label, PIN);
    }

    /// One more token of this label and this user PIN.
    pub fn add_token_with_pin(&self, label: &str, pin: &str) {
        let util = self.cli(&tool("softhsm2-util")).args(["--init-token", "--free", "--label", label]);
        util.args(["--so-pin", SO_PIN, "--pin", pin]).ok();
    }

    /// Takes all tokens away, as if they were pulled out.
    pub fn pull_out(&self) {
        self.rename("tokens", "pulled");
        self.place.folder("tokens");
    }

    /// Puts them back.
    pub fn put_back(&self) {
        std::fs::remove_dir(self.place.join("tokens")).expect("the empty token folder");
        self.rename("pulled", "tokens");
    }

    /// Puts other tokens in their place, none the first time, and at the next call these again.
    pub fn exchange(&self) {
        self.place.folder("others");
        self.rename("tokens", "aside");
        self.rename("others", "tokens");
        self.rename("aside", "others");
    }

    /// The folder of its tokens.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.place.join("tokens")
    }

    /// Destroys the token of this label, as its owner would, whoever uses it.
    pub fn delete_token(&self, label: &str) {
        self.cli(&tool("softhsm2-util")).args(["--delete-token", "--token", label]).ok();
    }

    /// `pkcs11-tool` of OpenSC on this module.
    pub fn pkcs11_tool(&self, args: &[&str]) -> Ran {
        let module = Self::module();
        self.cli(&tool("pkcs11-tool")).arg("--module").arg(module).args(args).ok()
    }

    fn cli(&self, program: &Path) -> Cli {
        let environment = self.environment().into_iter();
        environment.fold(Cli::new(program), |cli, (name, value)| cli.env(&name, value))
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.place.join(from), self.place.join(to))
            .expect("the token folder under another name");
    }
}
