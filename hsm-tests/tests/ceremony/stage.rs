//! Holders of root keys, each with a machine of their own: a token, a daemon with its state, a home folder. Files go from
//! one to the other by hand.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::config;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::place::Place;
use hsm_tests::shim::Shim;
use hsm_tests::softhsm::{PIN, SoftHsm};
use serde_json::Value;
use touchmark::ceremony::design::{Unchanged, Wishes, design};
use touchmark::ceremony::keyholder::KeyFile;
use touchmark::ceremony::plan::{Also, Plan, Repository};
use touchmark::ceremony::rehearsal;
use touchmark::ceremony::transcript::Share;
use touchmark_tuf::{Document as _, Gun, Instant, Root, Unverified};

/// Made-up repositories of the tests.
pub(crate) const TWO: &[&str] = &["rehearsal.invalid/team/one", "rehearsal.invalid/team/two"];

/// What a token is asked for once a signature.
pub(crate) const SIGN: &str = "C_SignInit";
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with a root key.
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) home: Home,
    pub(crate) shim: Shim,
    /// Id of the root key on the token.
    pub(crate) key: String,
    _daemon: Daemon,
    _hsm: SoftHsm,
}

impl Holder {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_grants(name, &config::allow(config::EVERYTHING))
    }

    /// As the daemon is without an [[allow]], or with these.
    pub(crate) fn with_grants(name: &str, allow: &str) -> Self {
        let hsm = SoftHsm::with_token(name);
        let shim = Shim::before(SoftHsm::module());
        let daemon = daemon(name, &hsm, &shim, allow);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        let mut holder =
            Self { name: name.to_owned(), home, shim, key: String::new(), _daemon: daemon, _hsm: hsm };
        let made = holder.run(&["key", "create", "root", "--token", name, "--label", name]).ok().json();
        made["key"]["id"].as_str().unwrap().clone_into(&mut holder.key);
        holder
    }

    /// Brings the PIN along.
    pub(crate) fn run(&self, args: &[&str]) -> Cli {
        self.home
            .touchmark()
            .args(["--format", "json"])
            .args(args)
            .arg("--pin-stdin")
            .stdin(format!("{PIN}\n"))
    }

    /// The key file of this holder for these repositories.
    pub(crate) fn key_file(&self, desk: &Desk, images: &[&str], more: &[&str]) -> PathBuf {
        let file = desk.place.join(&format!("{}.key", self.name));
        let out = file.to_str().unwrap();
        self.run(&["ceremony", "key", "--token", &self.name, "--out", out]).args(images).args(more).ok();
        file
    }

    /// Signs a plan of a rehearsal, as somebody who was told its fingerprint.
    pub(crate) fn sign(&self, plan: &Path, out: &Path) -> Cli {
        self.sign_in_earnest(plan, out).arg("--rehearsal")
    }

    pub(crate) fn sign_in_earnest(&self, plan: &Path, out: &Path) -> Cli {
        let expect = fingerprint(plan);
        self.run(&["ceremony", "sign"])
            .arg(plan)
            .args(["--token", &self.name, "--expect", &expect, "--yes", "--out"])
            .arg(out)
    }

    /// The audit rows of this kind, oldest first.
    pub(crate) fn audit(&self, kind: &str) -> Vec<Value> {
        let shown = self.home.touchmark().args(["audit", "export"]).ok().stdout;
        let rows = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row.to_string().contains(&format!("\"kind\":\"{kind}\""))).collect()
    }
}

/// The one who plans: no token, no daemon, no network.
pub(crate) struct Desk {
    pub(crate) place: Place,
    pub(crate) home: Home,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { place: Place::new(), home: Home::new() }
    }

    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    /// The plan of a rehearsal that makes repositories with these root keys.
    pub(crate) fn plan(&self, name: &str, images: &[&str], keys: &[&Path], more: &[&str]) -> PathBuf {
        let file = self.place.join(name);
        let mut cli = self.touchmark(&["ceremony", "plan", "--rehearsal"]).args(images).args(more);
        for key in keys {
            cli = cli.arg("--add-root").arg(key);
        }
        cli.arg("--out").arg(&file).ok();
        file
    }

    /// A file on the stick.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }
}

/// One holder, the desk, and the plan of a rehearsal for these repositories.
pub(crate) fn alone(images: &[&str]) -> (Holder, Desk, PathBuf) {
    let (alice, desk) = (Holder::new("alice"), Desk::new());
    let key = alice.key_file(&desk, images, &["--rehearsal"]);
    let plan = desk.plan("p.plan", images, &[&key], &[]);
    alice.shim.forget();
    (alice, desk, plan)
}

/// SHA-256 of a file, as somebody would read it to another one.
pub(crate) fn fingerprint(file: &Path) -> String {
    let sum = Cli::new(tool("sha256sum")).arg(file).ok().stdout;
    sum.split_whitespace().next().unwrap().to_owned()
}

/// Made-up names.
pub(crate) fn fleet(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("rehearsal.invalid/fleet/r{number}")).collect()
}

/// The entries of a transcript.
pub(crate) fn entries(transcript: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(transcript).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Their kinds, in order.
pub(crate) fn kinds(transcript: &Path) -> Vec<String> {
    entries(transcript).iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// How many of a kind there are.
pub(crate) fn count(transcript: &Path, kind: &str) -> usize {
    kinds(transcript).iter().filter(|one| *one == kind).count()
}

/// Waits until so many are signed.
pub(crate) fn until_signed(transcript: &Path, wanted: usize) {
    let since = std::time::Instant::now();
    while count(transcript, "signed") < wanted {
        assert!(since.elapsed() < PATIENCE, "never {wanted} signed: {:?}", entries(transcript).last());
        std::thread::yield_now();
    }
}

/// What a failed command says to a program: reason, message, hint.
pub(crate) fn refusal(ran: &Ran) -> Value {
    let last = ran.stderr.lines().last().unwrap_or_default();
    let error: Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}\n{ran}"));
    error["error"].clone()
}

/// Fails with this reason, and says so.
#[track_caller]
pub(crate) fn refused(ran: &Ran, code: i32, reason: &str, says: &str) {
    let error = refusal(ran);
    assert!(ran.code() == Some(code) && error["reason"] == reason, "expected {code} {reason}\n{ran}");
    assert!(error["message"].as_str().unwrap().contains(says), "expected: {says}\n{ran}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no way on\n{ran}");
}

fn daemon(name: &str, hsm: &SoftHsm, shim: &Shim, allow: &str) -> Daemon {
    let mut env = hsm.environment();
    env.extend(shim.environment());
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    Daemon::with_config(|folder, socket| {
        let token = format!(
            "[[token]]\nname = {name:?}\nkind = \"pkcs11\"\nmodule = {module:?}\ntoken-label = {name:?}\n\
             env = {{ {env} }}\n",
            module = shim.module(),
            env = env.join(", "),
        );
        config::places(folder, socket) + &token + allow
    })
}

#[allow(clippy::disallowed_methods, reason = "a plan is of today")]
fn now() -> Instant {
    Instant::from_system(std::time::SystemTime::now())
}

/// Writes a plan that no command would make.
pub(crate) fn write(desk: &Desk, name: &str, plan: &Plan) -> PathBuf {
    let file = desk.file(name);
    std::fs::write(&file, plan.write()).unwrap();
    file
}

/// The root file that the signatures of a transcript complete.
pub(crate) fn first(transcript: &Path, repository: &Repository) -> Vec<u8> {
    let share = Share::read(&std::fs::read_to_string(transcript).unwrap()).unwrap();
    let signed = share.signed().find(|(_, signed)| signed.repository == repository.gun).unwrap();
    touchmark_tuf::assemble(&repository.root, &signed.1.signatures()).unwrap()
}

/// A plan without a server: new repositories under the keys of these files, in earnest where those are; or, after another
/// plan was signed and published, new expiries under these keys too.
pub(crate) fn designed(desk: &Desk, name: &str, keys: &[&Path], after: Option<(&Plan, &Path)>) -> PathBuf {
    let keys: Vec<KeyFile> = keys.iter().map(|file| KeyFile::load(file).unwrap()).collect();
    let now = now();
    let repository = |gun: &Gun, before: Option<Vec<u8>>| {
        let base = before
            .as_ref()
            .map(|file| Unverified::<Root>::parse(file).unwrap().document_unverified().clone());
        let is_new = base.is_none();
        let wishes = Wishes {
            add: keys.iter().map(|key| key.certificate(gun).unwrap().clone()).collect(),
            targets: is_new.then(|| rehearsal::targets(None)),
            snapshot: is_new.then(rehearsal::snapshot),
            timestamp: is_new.then(rehearsal::timestamp),
            unchanged: Unchanged::Renew,
            ..Wishes::default()
        };
        let root = design(gun, base.as_ref(), &wishes, now).unwrap().write();
        let (roots, also) =
            (before.into_iter().collect(), if is_new { Also::Targets } else { Also::Nothing });
        Repository { gun: gun.clone(), server: String::new(), roots, root, also }
    };
    let (occasion, repositories) = match after {
        Some((plan, transcript)) => {
            let each = plan.repositories.iter();
            (plan.occasion, each.map(|one| repository(&one.gun, Some(first(transcript, one)))).collect())
        }
        None => (keys[0].occasion, keys[0].certificates.keys().map(|gun| repository(gun, None)).collect()),
    };
    let plan = Plan {
        title: name.to_owned(),
        occasion,
        made: Instant::from_unix(now.unix()),
        good_until: Instant::from_unix(now.unix() + 86_400),
        tool: "a test".to_owned(),
        keys: keys.iter().map(|key| key.key.clone()).collect(),
        repositories,
    };
    write(desk, name, &plan)
}
