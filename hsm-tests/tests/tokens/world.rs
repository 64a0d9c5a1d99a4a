//! A daemon whose root key is on a token behind the shim and whose vault opens by a passphrase; a Notary; a person.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::config;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::shim::Shim;
use hsm_tests::soak;
use hsm_tests::softhsm::{PIN, SoftHsm};
use serde_json::Value;

pub(crate) const LABEL: &str = "faulty";
const PASSPHRASE: &str = "correct horse\n";

/// Where the daemon has the token's PIN from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinFrom {
    Person,
    /// A file beside the configuration, with this in it.
    File(&'static str),
}

/// In the long form one world has the machine to itself: what is compared there are times.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) struct World {
    pub(crate) hsm: SoftHsm,
    pub(crate) shim: Shim,
    pub(crate) daemon: Daemon,
    pub(crate) notary: Notary,
    pub(crate) home: Home,
    /// Id of the root key on the token.
    pub(crate) root: String,
    /// The last to go.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// The vault is open and the root key is there.
    pub(crate) fn new(pin: PinFrom) -> Self {
        let alone = soak::is_on().then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
        let hsm = SoftHsm::with_token(LABEL);
        let shim = Shim::before(SoftHsm::module());
        let daemon = daemon(&hsm, &shim, pin);
        let notary = Notary::start(&Ca::new());
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        let mut world = Self { hsm, shim, daemon, notary, home, root: String::new(), _alone: alone };
        world.touchmark(&["vault", "init", "--passphrase", "--pin-stdin"]).stdin(PASSPHRASE).ok();
        let made = world.with_pin(&["key", "create", "root", "--token", "root"]).ok().json();
        made["key"]["id"].as_str().unwrap().clone_into(&mut world.root);
        world
    }

    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    /// With the right PIN for whoever asks.
    pub(crate) fn with_pin(&self, args: &[&str]) -> Cli {
        self.touchmark(args).arg("--pin-stdin").stdin(format!("{PIN}\n"))
    }

    /// `localhost/team/NAME`: there is no registry, digests are given.
    pub(crate) fn repository(name: &str) -> String {
        format!("localhost:5000/team/{name}")
    }

    pub(crate) fn init(&self, name: &str) -> Cli {
        self.with_pin(&["init", &Self::repository(name), "--root", &self.root])
    }

    /// Signs a tag with a key of the vault.
    pub(crate) fn sign(&self, name: &str, tag: usize) -> Cli {
        let (image, digest) =
            (format!("{}:{tag}", Self::repository(name)), format!("sha256:{}", "ab".repeat(32)));
        self.touchmark(&["sign", &image, "--digest", &digest, "--size", "523"])
    }

    /// The tags that the real `notary` believes, as somebody who knows nothing yet.
    pub(crate) fn tags(&self, name: &str) -> Vec<String> {
        let mut judge = Home::new();
        judge.use_notary(&self.notary);
        let list = judge.notary(&self.notary).args(["list", &Self::repository(name)]).ok().stdout;
        let rows = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.len() == 4 && row[3] == "targets").map(|row| row[0].to_owned()).collect()
    }

    /// Everything of one kind in the audit, oldest first.
    pub(crate) fn audit(&self, kind: &str) -> Vec<Value> {
        let shown = self.touchmark(&["audit", "export"]).ok().stdout;
        let rows = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row.to_string().contains(&format!("\"kind\":\"{kind}\""))).collect()
    }

    /// How the versions of a role of a repository stand in the ledger.
    pub(crate) fn ledger(&self, name: &str, role: &str) -> Vec<String> {
        let shown = self.touchmark(&["ledger", "show", &Self::repository(name)]).ok().json();
        let entries = shown["entries"].as_array().unwrap();
        let of_role = entries.iter().filter(|entry| entry["role"] == role);
        of_role.map(|entry| format!("{} {}", entry["version"], entry["state"].as_str().unwrap())).collect()
    }

    /// Waits until the daemon has seen what became of the token: `present`, `absent`, `mismatch`, `failed`.
    pub(crate) fn until_token_is(&self, wanted: &str) {
        self.home.token_that_is("root", wanted);
    }

    /// The daemon's children: those that run, and those that have ended and that nobody has waited for.
    pub(crate) fn children(&mut self) -> (usize, usize) {
        let daemon = self.daemon.process().pid().to_string();
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut count = (0, 0);
        for pid in pids {
            let stat = std::fs::read_to_string(pid.path().join("stat")).unwrap_or_default();
            let Some((_, rest)) = stat.rsplit_once(')') else { continue };
            let fields: Vec<&str> = rest.split_whitespace().collect();
            if fields[1] == daemon {
                if fields[0] == "Z" { count.1 += 1 } else { count.0 += 1 }
            }
        }
        count
    }
}

/// `touchmarkd run` with one token and a person who may do everything.
pub(crate) fn daemon(hsm: &SoftHsm, shim: &Shim, pin: PinFrom) -> Daemon {
    let mut env = hsm.environment();
    env.extend(shim.environment());
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    Daemon::with_config(|folder, socket| {
        let source = match pin {
            PinFrom::Person => "ask".to_owned(),
            PinFrom::File(text) => {
                std::fs::write(folder.join("pin"), text).unwrap();
                Cli::new(tool("chmod")).arg("600").arg(folder.join("pin")).ok();
                format!("file:{}", folder.join("pin").display())
            }
        };
        let token = format!(
            "allow-pin-file = true\n\
             [[token]]\nname = \"root\"\nkind = \"pkcs11\"\nmodule = {module:?}\ntoken-label = {LABEL:?}\n\
             pin = {source:?}\nenv = {{ {env} }}\n",
            module = shim.module(),
            env = env.join(", "),
        );
        config::places(folder, socket) + &token + &config::allow(config::EVERYTHING)
    })
}

/// What a failed command says to a program: reason, message, hint, tries left.
pub(crate) fn refusal(ran: &Ran) -> Value {
    let last = ran.stderr.lines().last().unwrap_or_default();
    let error: Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}\n{ran}"));
    error["error"].clone()
}

/// How long a command took that has to succeed.
pub(crate) fn timed(cli: &Cli) -> Duration {
    let since = Instant::now();
    cli.ok();
    since.elapsed()
}

/// The one in the middle.
pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}
