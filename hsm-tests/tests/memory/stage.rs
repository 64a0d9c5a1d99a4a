//! The shipped daemon and everybody around it, with secrets that the test knows, and what is seen of them at rest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;
use hsm_tests::scan::{self, Findings, Needles};
use hsm_tests::softhsm::SoftHsm;
use p256::ecdsa::SigningKey;
use touchmark_tuf::PublicKey;

use crate::secrets::{pem, word};

/// Keys of the vault that `key ls` does not show: the vault's own key, which is no signing key, and the audit's.
const UNLISTED: usize = 2;

/// A daemon that can be looked into, with two tokens that ask for their PIN; a trust server, a registry, a person.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) home: Home,
    pub(crate) notary: Notary,
    pub(crate) registry: Registry,
    pub(crate) hsm: SoftHsm,
    /// PINs of the tokens `root` and `spare`.
    pub(crate) pins: [String; 2],
    words: BTreeMap<String, String>,
    keys: BTreeMap<String, [u8; 32]>,
    scans: usize,
}

impl Stage {
    /// Without a vault.
    pub(crate) fn set() -> Self {
        let (notary, registry, hsm) = (Notary::start(&Ca::new()), Registry::start(), SoftHsm::empty());
        let pins = [word(), word()];
        let labels = ["root", "spare"];
        labels.iter().zip(&pins).for_each(|(label, pin)| hsm.add_token_with_pin(label, pin));
        let host = registry.host();
        let daemon = Daemon::of_glass(|folder, socket| {
            let mut env = hsm.environment();
            env.extend(["RUST_LOG", "TOUCHMARKD_LOG"].map(|name| (name.to_owned(), "trace".to_owned())));
            let env: Vec<_> = env.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
            let (module, env) = (SoftHsm::module(), env.join(", "));
            let token = |name| {
                format!(
                    "[[token]]\nname = '{name}'\nkind = 'pkcs11'\nmodule = '{}'\ntoken-label = '{name}'\n\
                     pin = 'ask'\nenv = {{ {env} }}\n",
                    module.display(),
                )
            };
            format!(
                "socket = '{}'\nstate = '{}'\n{}[[allow]]\nuser = 'root'\nrepositories = ['{host}/icho/*']\n\
                 actions = ['read', 'sign', 'revoke', 'refresh', 'init', 'delegate', 'unlock', 'keys', 'admin']\n",
                socket.display(),
                folder.join("state").display(),
                labels.map(token).concat(),
            )
        });
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        home.set("RUST_LOG", "trace");
        let temporary = home.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        home.set("TMPDIR", &temporary.to_string_lossy());
        let words =
            labels.iter().zip(&pins).map(|(label, pin)| (format!("PIN of {label}"), pin.clone())).collect();
        Self { daemon, home, notary, registry, hsm, pins, words, keys: BTreeMap::new(), scans: 0 }
    }

    /// A new PIN or passphrase to be looked for from now on.
    pub(crate) fn word(&mut self, name: &str) -> String {
        let word = word();
        self.words.insert(name.to_owned(), word.clone());
        word
    }

    /// A new private key to be looked for from now on.
    pub(crate) fn key(&mut self, name: &str) -> [u8; 32] {
        let key = crate::secrets::key();
        self.keys.insert(name.to_owned(), key);
        key
    }

    /// A command of the person.
    pub(crate) fn touchmark(&self, args: &[&str]) -> Ran {
        self.home.touchmark().args(args).run()
    }

    /// A command that reads what it asks for from stdin, a line each.
    pub(crate) fn given(&self, lines: &[&str], args: &[&str]) -> Ran {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.home.touchmark().args(args).arg("--pin-stdin").stdin(lines).run()
    }

    /// `HOST/icho/NAME`.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/icho/{name}", self.registry.host())
    }

    /// A key file in the person's folder, through `openssl`; without a passphrase as it is.
    pub(crate) fn key_file(&self, name: &str, key: &[u8; 32], openssl: &[&str], passphrase: &str) -> PathBuf {
        let file = self.home.path().join(name);
        let made = Cli::new(tool("openssl")).args(openssl).args(["-passout", &format!("pass:{passphrase}")]);
        std::fs::write(&file, made.stdin(pem(key)).ok().stdout).unwrap();
        file
    }

    /// Everything that is looked for.
    pub(crate) fn needles(&self) -> Needles {
        let words = self.words.iter();
        let needles = words.fold(Needles::default(), |all, (name, word)| all.secret(name, word.as_bytes()));
        self.keys.iter().fold(needles, |all, (name, key)| all.named_key(name, key))
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.daemon.process().pid()
    }

    /// The helper processes of the daemon's tokens.
    pub(crate) fn helpers(&mut self) -> Vec<u32> {
        let pid = self.pid();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let children = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
        let children: Vec<_> = children.map(Result::unwrap).collect();
        children.iter().flat_map(|line| line.split_whitespace()).map(|pid| pid.parse().unwrap()).collect()
    }

    /// Looks into the daemon at rest with the vault open: nothing is exposed; in locked memory there are the keys that
    /// `key ls` lists, each of them once, and nothing of any PIN or passphrase.
    #[track_caller]
    pub(crate) fn is_open_and_clean(&mut self, after: &str) {
        let listed = self.listed();
        let picture = scan::picture(self.pid());
        let slots = picture.locked_slots();
        assert_eq!(slots.len(), listed.len() + UNLISTED, "{after}: slots of locked memory that are in use");
        let ids: Vec<_> = slots.iter().map(key_id).collect();
        for id in &listed {
            assert!(ids.contains(&Some(id.clone())), "{after}: key {id} is not seen in locked memory");
        }
        for slot in &slots {
            if self.keys.values().all(|known| known != slot) {
                let name = format!("key {} that was made in the vault", self.keys.len());
                self.keys.insert(name, *slot);
            }
        }
        let findings = picture.search(&self.needles());
        findings.assert_clean(after);
        for (name, key) in &self.keys {
            let hits = || findings.protected.iter().filter(|hit| hit.needle.contains(name));
            if slots.contains(key) {
                let whole = hits().filter(|hit| hit.needle.ends_with(", big endian") && hit.len == 32);
                assert_eq!(whole.count(), 1, "{after}: {name} in locked memory");
            } else {
                assert_eq!(hits().count(), 0, "{after}: {name} is gone from the vault");
            }
        }
        self.no_word_in(&findings, after);
        self.scans += 1;
    }

    /// The same with the vault closed: there is nothing anywhere.
    #[track_caller]
    pub(crate) fn is_closed_and_clean(&mut self, after: &str) {
        let picture = scan::picture(self.pid());
        let findings = picture.search(&self.needles());
        findings.assert_clean(after);
        assert!(findings.protected.is_empty(), "{after}: {:?}", findings.protected);
        assert_eq!(picture.locked_slots().len(), 0, "{after}: locked memory is not all zero");
        self.scans += 1;
    }

    /// Looks until this many copies of a PIN are in locked memory, and never one elsewhere: a look for what happens only
    /// between two moments.
    #[track_caller]
    pub(crate) fn until_a_word_is_held(&mut self, name: &str, copies: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let findings = scan::process(self.pid(), &self.needles());
            findings.assert_clean(&format!("until {name} is held {copies} times"));
            if (findings.protected.iter().filter(|hit| hit.needle == name).count() >= copies.max(1))
                == (copies > 0)
            {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is not held {copies} times: {findings:?}");
        }
    }

    /// Scans of the daemon at rest so far, all of them clean, and how much was looked for in the last one.
    pub(crate) fn count(&self) -> String {
        format!("{} scans for {} keys and {} words", self.scans, self.keys.len(), self.words.len())
    }

    /// A PIN or passphrase is wiped as soon as it has served, in locked memory too.
    #[track_caller]
    fn no_word_in(&self, findings: &Findings, after: &str) {
        let is_word = |needle: &str| self.words.contains_key(needle);
        let kept: Vec<_> = findings.protected.iter().filter(|hit| is_word(&hit.needle)).collect();
        assert!(kept.is_empty(), "{after}: {kept:?}");
    }

    /// Ids of the keys in the vault.
    fn listed(&self) -> Vec<String> {
        let keys = self.touchmark(&["key", "ls", "--format", "json"]).exits(0).json();
        let keys = keys["keys"].as_array().unwrap().iter().filter(|key| key["token"] == "");
        keys.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// The id of the key with this scalar; none when it is no scalar.
fn key_id(scalar: &[u8; 32]) -> Option<String> {
    let point = SigningKey::from_slice(scalar).ok()?.verifying_key().to_sec1_point(false);
    let public = PublicKey::from_p256_point(point.as_bytes().try_into().unwrap());
    Some(public.canonical_id().to_string())
}
