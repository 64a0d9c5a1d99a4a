//! Somebody who keeps a root key on a token, in a place without a network: a machine of its own, whose daemon has a
//! state folder of its own.

use std::collections::BTreeMap;

use hsm_tests::cli::Cli;
use hsm_tests::config;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{AttestationCa, Controls, Firmware, PivCard};
use hsm_tests::softhsm::{PIN, SO_PIN, SoftHsm};

/// What the guide of ceremonies lets them do, and reading the audit.
const ACTIONS: &[&str] = &["read", "init", "rotate", "refresh", "unlock", "keys", "admin"];

/// One of them.
pub(crate) struct Keyholder {
    name: &'static str,
    home: Home,
    _daemon: Daemon,
    token: Token,
    /// Id of the root key.
    pub(crate) key: String,
}

/// What the key is on.
enum Token {
    Yubikey(Box<Pcscd>),
    /// Kept while the daemon uses it.
    SoftHsm {
        _hsm: SoftHsm,
    },
}

impl Keyholder {
    /// With a YubiKey that this authority vouches for, whose root key wants to be touched each time.
    pub(crate) fn with_yubikey(name: &'static str, serial: u32, authority: &AttestationCa) -> Self {
        let card = PivCard::vouched_for(Firmware::V5_7, serial, authority).set_up(PIN, SO_PIN);
        let pcscd = Pcscd::with_card(NOBODYS, card);
        pcscd.reader().controls().forget();
        let token = config::yubikey(name, serial);
        let daemon = Daemon::offline(&pcscd.environment(), |folder, socket| {
            config::places(folder, socket) + &token + &config::allow(ACTIONS)
        });
        let holder = Self::at(name, daemon, Token::Yubikey(Box::new(pcscd)));
        std::fs::create_dir_all(holder.home.path().join(".config/touchmark")).unwrap();
        std::fs::write(holder.home.path().join(".config/touchmark/attestation-ca.pem"), authority.pem())
            .unwrap();
        holder.making(&["--touch", "always"])
    }

    /// With a token in software.
    pub(crate) fn with_softhsm(name: &'static str) -> Self {
        let hsm = SoftHsm::with_token(name);
        let (module, environment) = (SoftHsm::module(), hsm.environment());
        let env: Vec<String> =
            environment.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
        let env = env.join(", ");
        let token = format!(
            "[[token]]\nname = {name:?}\nkind = \"pkcs11\"\nmodule = {module:?}\ntoken-label = {name:?}\n\
             env = {{ {env} }}\n"
        );
        let daemon = Daemon::offline(&BTreeMap::new(), |folder, socket| {
            config::places(folder, socket) + &token + &config::allow(ACTIONS)
        });
        Self::at(name, daemon, Token::SoftHsm { _hsm: hsm }).making(&[])
    }

    fn at(name: &'static str, daemon: Daemon, token: Token) -> Self {
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { name, home, _daemon: daemon, token, key: String::new() }
    }

    fn making(mut self, policies: &[&str]) -> Self {
        let made = ["key", "create", "root", "--token", self.name, "--label", self.name, "--format", "json"];
        let made = self.with_pin(&made).args(policies).ok().json();
        made["key"]["id"].as_str().unwrap().clone_into(&mut self.key);
        self
    }

    /// A command, typed where there is no network, with the PIN.
    pub(crate) fn with_pin(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(args).arg("--pin-stdin").stdin(format!("{PIN}\n")).offline()
    }

    /// The key file for these repositories, by `ceremony key`.
    pub(crate) fn introduces(&self, stick: &std::path::Path, guns: &[String]) -> String {
        let file = stick.join(format!("{}.key", self.name)).to_str().unwrap().to_owned();
        let guns = guns.iter().map(String::as_str).collect::<Vec<_>>();
        self.with_pin(&[&["ceremony", "key", "--token", self.name, "--out", &file], &*guns].concat()).ok();
        file
    }

    /// Signs what the token can sign of a plan; the transcript's file.
    pub(crate) fn signs(&self, plan: &str, words: &str) -> String {
        let file = format!("{plan}.{}", self.name);
        let sign =
            ["ceremony", "sign", plan, "--token", self.name, "--out", &file, "--expect", words, "--yes"];
        self.with_pin(&sign).ok();
        file
    }

    /// The card, where it is one.
    pub(crate) fn card(&self) -> Option<Controls> {
        match &self.token {
            Token::Yubikey(pcscd) => Some(pcscd.reader().controls()),
            Token::SoftHsm { .. } => None,
        }
    }
}
