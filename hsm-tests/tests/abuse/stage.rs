//! A daemon for two people, a repository to sign in, and honest clients who go on with their work while it is abused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::soak;
use hsm_tests::softhsm::{PIN, SoftHsm};
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};

use crate::honest::{Honest, served};
use crate::standstill::Watch;
use crate::usage::{Peak, Usage};

/// The repository.
pub(crate) const GUN: &str = "localhost:5000/icho/abuse";
/// Whoever runs the daemon, and signs too.
pub(crate) const OWNER: User = User { uid: 0, gid: 0 };
/// Debian's user `daemon`, whose group is the socket's: may sign.
pub(crate) const ALLOWED: User = User { uid: 1, gid: 1 };
/// Debian's user `bin` in the socket's group: nobody has allowed it anything.
pub(crate) const STRANGER: User = User { uid: 2, gid: 1 };

/// What is promised while anything of this goes on, and the machine runs; where it stood still for more than this part of
/// the time, nothing was measured.
const SERVED_MS: f64 = 100.0;
const STOOD_PERCENT: f64 = 10.0;
const GROWTH_MIB: f64 = 16.0;
/// Connections and all else: what the daemon asks for at its start (RLIMIT_NOFILE).
const DESCRIPTORS: usize = 320;
/// How long the daemon may take to be as it was before.
const AFTERWARDS: Duration = Duration::from_secs(90);

/// Who a thread is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Some other stranger in the socket's group.
    pub(crate) fn stranger(number: u32) -> Self {
        Self { uid: 60_000 + number, gid: 1 }
    }

    /// Makes the calling thread act as this user: connections that it opens bear this uid (unix(7), SO_PEERCRED).
    pub(crate) fn become_in_this_thread(self) {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::thread::set_thread_res_gid(None, gid, None).expect("root, to be somebody else");
        rustix::thread::set_thread_res_uid(None, uid, None).expect("root, to be somebody else");
    }
}

/// What an attacker knows.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) socket: PathBuf,
    until: Instant,
}

impl Scene {
    /// Whether the attack goes on.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Keeps what has been opened until the attack ends.
    pub(crate) fn hold(&self) {
        std::thread::sleep(self.until.saturating_duration_since(Instant::now()));
    }
}

/// Waits until this is so.
pub(crate) fn until(limit: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops those who work when it goes.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// All descriptors that this process may have: an attack has thousands.
fn many_descriptors() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("more descriptors");
}

/// In the long form one stage has the machine to itself.
static ALONE: Mutex<()> = Mutex::new(());

/// The daemon and all that it needs.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    document: Vec<u8>,
    key: String,
    /// What was measured, and what is promised.
    figures: Vec<(String, f64, f64)>,
    _notary: Notary,
    _hsm: SoftHsm,
    /// The last to go.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Stage {
    /// An open vault and one signed tag.
    pub(crate) fn set() -> Self {
        many_descriptors();
        let alone = soak::is_on().then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
        let (notary, hsm, mut home) =
            (Notary::start(&Ca::new()), SoftHsm::with_token("touchmark"), Home::new());
        let daemon = Daemon::with_config(|folder, socket| configuration(&hsm, folder, socket));
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let typed =
            |args: &[&str]| home.touchmark().args(args).arg("--pin-stdin").stdin(format!("{PIN}\n")).ok();
        typed(&["vault", "init", "--token", "root"]);
        let root = typed(&["key", "create", "root", "--token", "root"]).stdout;
        typed(&["init", GUN, "--root", root.trim()]);
        let digest = format!("sha256:{}", "ab".repeat(32));
        home.touchmark().args(["sign", &format!("{GUN}:1"), "--digest", &digest, "--size", "7"]).ok();
        let keys = home.touchmark().args(["--format", "json", "key", "ls"]).ok().json();
        let list = keys.as_array().or_else(|| keys["keys"].as_array()).expect("a list of keys").clone();
        let key = list.iter().find(|key| key["role"] == "targets").expect("the targets key");
        let key = key["id"].as_str().expect("its id").to_owned();
        let document = crate::honest::last_targets(daemon.socket());
        let mut stage =
            Self { daemon, document, key, figures: Vec::new(), _notary: notary, _hsm: hsm, _alone: alone };
        stage.warm_up();
        stage
    }

    /// Somebody who works here.
    pub(crate) fn honest(&self, user: User) -> Honest {
        Honest {
            user,
            socket: self.daemon.socket().to_owned(),
            document: self.document.clone(),
            key: self.key.clone(),
        }
    }

    /// Does this in a thread that is this user.
    pub(crate) fn as_user<T: Send>(&self, user: User, act: impl FnOnce(&Scene) -> T + Send) -> T {
        let scene = Scene { socket: self.daemon.socket().to_owned(), until: Instant::now() };
        std::thread::scope(|threads| {
            let acting = threads.spawn(|| {
                user.become_in_this_thread();
                act(&scene)
            });
            acting.join().expect("a thread of another user")
        })
    }

    /// What the daemon uses now.
    pub(crate) fn usage(&mut self) -> Usage {
        Usage::of(self.daemon.process().pid())
    }

    /// Sets RLIMIT_NOFILE of the running daemon, and returns what it was.
    pub(crate) fn limit_descriptors(&mut self, limit: u64) -> u64 {
        use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
        let pid = Pid::from_raw(self.daemon.process().pid().cast_signed());
        let new = Rlimit { current: Some(limit), maximum: getrlimit(Resource::Nofile).maximum };
        let old = prlimit(pid, Resource::Nofile, new).expect("root, to limit the daemon");
        old.current.unwrap_or(limit)
    }

    /// What a daemon that has been at work for a while has taken stays taken: threads, the heap, the database.
    fn warm_up(&mut self) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let busy: Vec<_> = [OWNER, ALLOWED, OWNER, ALLOWED].map(|user| self.honest(user)).into();
            let busy: Vec<_> = busy
                .into_iter()
                .map(|honest| {
                    scope.spawn({
                        let stop = &stop;
                        move || honest.work(stop)
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(800));
            stop.store(true, Ordering::Relaxed);
            for honest in busy {
                let worked = honest.join().expect("an honest client");
                assert!(worked.failures.is_empty(), "before any attack: {:?}", worked.failures);
            }
        });
    }

    /// Lets each attacker do this while the owner and the allowed user work, for a second (in the long form for 20),
    /// and holds the daemon to what is promised.
    pub(crate) fn under(&mut self, name: &str, attackers: &[User], attack: impl Fn(&Scene) + Sync) {
        self.under_with(name, attackers, attack, |_| false);
    }

    /// The same where an honest client of an attacker's own uid may be told so: such answers are no failure.
    pub(crate) fn under_with(
        &mut self,
        name: &str,
        attackers: &[User],
        attack: impl Fn(&Scene) + Sync,
        may_be_told: impl Fn(&str) -> bool,
    ) {
        let before = self.usage();
        let log_before = self.daemon.log().lines().count();
        let time = Duration::from_millis(u64::try_from(soak::rounds(500, 20_000)).expect("milliseconds"));
        let scene = Scene { socket: self.daemon.socket().to_owned(), until: Instant::now() + time };
        let honest = [self.honest(OWNER), self.honest(ALLOWED)];
        let (stop, mut peak) = (AtomicBool::new(false), Peak::from(before));
        let (watch, began) = (Watch::begin(self.daemon.folder()), Instant::now());
        let worked = std::thread::scope(|scope| {
            let attacks: Vec<_> = attackers
                .iter()
                .map(|user| {
                    let (scene, attack) = (&scene, &attack);
                    scope.spawn(move || {
                        user.become_in_this_thread();
                        attack(scene);
                    })
                })
                .collect();
            let stop = &stop;
            let busy: Vec<_> =
                honest.into_iter().map(|honest| scope.spawn(move || honest.work(stop))).collect();
            let _ended = Ended(stop); // also where something here panics: the threads are waited for
            while attacks.iter().any(|attack| !attack.is_finished()) {
                peak.note(Usage::of(self.daemon.process().pid()));
                std::thread::sleep(Duration::from_millis(25));
            }
            stop.store(true, Ordering::Relaxed);
            for attack in attacks {
                attack.join().expect("an attack that runs to its end");
            }
            busy.into_iter().map(|honest| honest.join().expect("an honest client")).collect::<Vec<_>>()
        });
        assert!(self.daemon.process().is_running(), "{name}: the daemon has ended");
        let (stood, over) = (watch.end(), began.elapsed());
        let after = self.settled(before.descriptors, name);

        for worked in &worked {
            let own = attackers.contains(&worked.user);
            let failed: Vec<_> = worked.failures.iter().filter(|why| !(own && may_be_told(why))).collect();
            assert!(failed.is_empty(), "{name}: {} of {}: {failed:?}", failed.len(), worked.calls.len());
        }
        let (median, worst) = served(name, &worked, &stood);
        let (grown, kept) = (peak.growth(before), after.growth(before));
        soak::say(&format!("{name}: at most {grown} MiB more, {kept} MiB afterwards"));
        let stood = 100.0 * stood.in_all().0.as_secs_f64() / over.as_secs_f64();
        self.figures.extend([
            (format!("{name}: the machine stood still, % of the time"), stood.round(), STOOD_PERCENT),
            (format!("{name}: median call, ms"), median, SERVED_MS),
            (format!("{name}: worst call, ms"), worst, SERVED_MS),
            (format!("{name}: memory at its peak, MiB"), grown, GROWTH_MIB),
            (format!("{name}: memory afterwards, MiB"), kept, GROWTH_MIB),
        ]);
        let said = self.daemon.log().lines().count() - log_before;
        let (descriptors, threads) = (peak.descriptors(), peak.threads());
        soak::say(&format!(
            "{name}: {said} lines of log; at most {descriptors} descriptors, {threads} threads"
        ));
        assert!(descriptors <= DESCRIPTORS, "{name}: {descriptors} descriptors");
        let allowed = 50 + 10 * usize::try_from(time.as_secs()).expect("seconds");
        assert!(
            said <= allowed,
            "{name}: {said} lines of log; its last ones:\n{}",
            self.daemon.process().tail()
        );
    }

    /// Holds the daemon to what is promised, after all attacks: so the figures of all of them are seen.
    pub(crate) fn holds(self) {
        for (what, measured, promised) in &self.figures {
            soak::at_most(what, *measured, *promised);
        }
    }

    /// Waits until the attack's descriptors are closed.
    fn settled(&mut self, descriptors: usize, name: &str) -> Usage {
        let deadline = Instant::now() + AFTERWARDS;
        loop {
            let now = self.usage();
            if now.descriptors <= descriptors {
                return now;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: {} descriptors, {descriptors} before",
                now.descriptors
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn configuration(hsm: &SoftHsm, folder: &Path, socket: &Path) -> String {
    let mode = |path: &Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("a folder's mode");
    };
    let run = socket.parent().expect("the socket's folder");
    mode(folder, 0o711);
    mode(run, 0o750);
    std::os::unix::fs::chown(run, None, Some(ALLOWED.gid)).expect("root, to give the socket's folder away");
    let env: Vec<_> = hsm.environment().iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
    let allow = ["root", "daemon"].map(|user| {
        format!(
            "[[allow]]\nuser = '{user}'\nrepositories = ['**']\nactions = ['read', 'sign', 'revoke', 'refresh', \
             'init', 'delegate', 'rotate', 'unlock', 'keys', 'admin']\n"
        )
    });
    format!(
        "socket = '{}'\nsocket-group = 'daemon'\nstate = '{}'\n[[token]]\nname = 'root'\nkind = 'pkcs11'\n\
         module = '{}'\ntoken-label = 'touchmark'\npin = 'ask'\nenv = {{ {} }}\n{}",
        socket.display(),
        folder.join("state").display(),
        SoftHsm::module().display(),
        env.join(", "),
        allow.concat()
    )
}
