//! SIGKILL, an input/output error and a full disk at every single write and sync of one operation, made by strace.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::place::Place;
use hsm_tests::soak;
use hsm_tests::strace::{Strace, Whom, thread};

/// Everything that changes a file, in any way that the daemon's store might take.
const CHANGES: &str = "pwrite64,pwritev,fsync,fdatasync,ftruncate,fallocate,rename,renameat2,unlink";
/// How answers and questions travel: to clients and to token helpers.
const ANSWERS: &str = "write,writev,sendto,sendmsg";
/// How long a daemon may take to meet its fault after the answer: outcomes are written a little later.
const LATE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Sign,
    Init,
    Import,
    Lock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The process ends before the call.
    Kill,
    /// The call fails once.
    Broken,
    /// There is no room for this call, and then there is.
    Full,
    /// There is no room from this call on.
    StaysFull,
}

impl Fault {
    fn inject(self, call: &str, nth: usize) -> String {
        match self {
            Self::Kill => format!("{call}:signal=SIGKILL:when={nth}"),
            Self::Broken => format!("{call}:error=EIO:when={nth}"),
            Self::Full => format!("{call}:error=ENOSPC:when={nth}"),
            Self::StaysFull => format!("{call}:error=ENOSPC:when={nth}+"),
        }
    }

    /// A full disk at a write is room that is wanted; at a sync nobody knows what is on the disk any more.
    fn is_want_of_room(self, call: &str) -> bool {
        matches!(self, Self::Full | Self::StaysFull) && !call.contains("sync")
    }
}

/// A dev daemon, a Notary, and a person with one signed repository.
struct World {
    daemon: Daemon,
    home: Home,
    place: Place,
    /// What the ledger was seen to hold: it never changes.
    ledger: BTreeMap<(String, String, u64), String>,
    names: usize,
    starts: Vec<Duration>,
    _notary: Notary,
}

impl World {
    fn new() -> Self {
        let (notary, daemon, mut home) = (Notary::start(&Ca::new()), Daemon::dev(), Home::new());
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let (place, ledger) = (Place::new(), BTreeMap::new());
        let world = Self { daemon, home, place, ledger, names: 0, starts: Vec::new(), _notary: notary };
        world.touchmark(&["init", &repository("signed")]).ok();
        world
    }

    fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(["--format", "json"]).args(args)
    }

    /// The operation on something new.
    fn command(&mut self, operation: Operation) -> Cli {
        self.names += 1;
        let name = format!("n{}", self.names);
        match operation {
            Operation::Sign => {
                let tag = format!("{}:{name}", repository("signed"));
                let digest = format!("sha256:{:064x}", self.names);
                self.touchmark(&["sign", &tag, "--digest", &digest, "--size", "500"])
            }
            Operation::Init => self.touchmark(&["init", &repository(&name)]),
            Operation::Import => {
                let file = self.key_file(&name).display().to_string();
                self.touchmark(&[
                    "key",
                    "import",
                    &file,
                    "--role",
                    "targets",
                    "--repository",
                    &repository(&name),
                ])
            }
            Operation::Lock => self.touchmark(&["lock"]),
        }
    }

    fn key_file(&self, name: &str) -> PathBuf {
        let file = self.place.join(name);
        let openssl = Cli::new(tool("openssl")).args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
        openssl.arg("-out").arg(&file).ok();
        file
    }

    fn store(&mut self) -> Whom {
        Whom::Thread(thread(self.daemon.process().pid(), "store"))
    }

    /// The calls that change a file, each with how often the operation makes it.
    fn changes(&mut self, operation: Operation) -> BTreeMap<String, usize> {
        let (store, command) = (self.store(), self.command(operation));
        let strace = Strace::attach(store, CHANGES, None);
        command.ok();
        self.settle();
        let mut counts = BTreeMap::new();
        strace.let_go().into_iter().for_each(|call| *counts.entry(call).or_default() += 1);
        if operation == Operation::Lock {
            self.touchmark(&["unlock"]).ok();
        }
        counts
    }

    /// What is written behind an answer is on the disk before the audit's head is told.
    fn settle(&self) {
        self.touchmark(&["audit", "verify"]).ok();
    }

    /// The operation meets the fault, and is then done again.
    fn meet(&mut self, operation: Operation, whom: Whom, call: &str, fault: Fault, nth: usize) {
        let what = format!("{operation:?}, {call} {nth}, {fault:?}");
        let command = self.command(operation);
        let strace = Strace::attach(whom, call, Some(&fault.inject(call, nth)));
        let ran = command.run();
        judge(&what, &ran, fault, call);
        match fault {
            Fault::Kill => drop(self.daemon.process().wait_end(LATE)),
            // Also what the operation left to be written behind meets it.
            _ => drop(self.touchmark(&["audit", "verify"]).run()),
        }
        strace.let_go();
        if fault.is_want_of_room(call) {
            assert!(self.daemon.process().is_running(), "{what}: the daemon has ended");
        } else {
            self.restart();
        }
        self.agrees(&what);
        if operation == Operation::Lock && fault.is_want_of_room(call) {
            let state = self.touchmark(&["status"]).ok().json();
            assert_eq!(state["vault"]["state"], "locked", "{what}: {state}");
        }
        if ran.code() != Some(0) {
            let again = command.run();
            assert!(again.code() == Some(0), "{what}: done again\n{again}\nafter\n{ran}");
        }
        if operation == Operation::Lock {
            self.touchmark(&["unlock"]).ok();
        }
    }

    fn restart(&mut self) {
        if self.daemon.process().is_running() {
            self.daemon.process().kill();
        }
        let begun = Instant::now();
        self.daemon.start_again();
        let status = self.touchmark(&["status"]).run();
        assert!(status.code() == Some(0), "{status}\n{}", self.daemon.log());
        self.starts.push(begun.elapsed());
    }

    /// The audit is whole, and no version has other content than it had.
    fn agrees(&mut self, what: &str) {
        let audit = self.touchmark(&["audit", "verify"]).run();
        assert!(audit.code() == Some(0), "{what}: {audit}");
        let ledger = self.touchmark(&["ledger", "show"]).ok().json();
        for entry in ledger["entries"].as_array().unwrap() {
            let text = |field: &str| entry[field].as_str().unwrap().to_owned();
            assert_ne!(text("state"), "reserved", "{what}: {entry}");
            if text("state") == "released" {
                let slot = (text("gun"), text("role"), entry["version"].as_u64().unwrap());
                let known = self.ledger.entry(slot).or_insert_with(|| text("sha256"));
                assert_eq!(*known, text("sha256"), "{what}: {entry}");
            }
        }
    }
}

fn repository(name: &str) -> String {
    format!("localhost:5000/crash/{name}")
}

/// It worked, or it says why not.
fn judge(what: &str, ran: &Ran, fault: Fault, call: &str) {
    let (code, reason, words) = match fault {
        Fault::Kill => (3, "DAEMON_UNREACHABLE", "touchmarkd"),
        _ if fault.is_want_of_room(call) => (5, "AUDIT_UNAVAILABLE", "the disk that holds /tmp/"),
        _ => (5, "AUDIT_UNAVAILABLE", "cannot be trusted since an input/output error"),
    };
    // A helper that was just started is traced too, and may be what is killed.
    let helper = ran.stderr.contains("the token's helper process ended unexpectedly");
    if ran.code() == Some(0) || fault == Fault::Kill && ran.code() == Some(4) && helper {
        return;
    }
    let told = ran.code() == Some(code) && ran.stderr.contains(reason) && ran.stderr.contains(words);
    assert!(told, "{what}: wanted exit code {code} with {reason}: {words}\n{ran}");
}

/// Every place where `operation` can be hit, or about `few` of them.
fn faults(world: &mut World, operation: Operation, few: usize) -> Vec<(String, Fault, usize)> {
    let counts = world.changes(operation);
    assert!(counts.values().sum::<usize>() > 2, "{operation:?} writes nothing: {counts:?}");
    let mut all = Vec::new();
    for (call, count) in &counts {
        for nth in 1..=*count {
            for fault in [Fault::Kill, Fault::Broken, Fault::Full, Fault::StaysFull] {
                all.push((call.clone(), fault, nth));
            }
        }
    }
    let step = soak::rounds((all.len() / few).max(1) | 1, 1); // odd: so that every fault has its turn
    all.into_iter().step_by(step).collect()
}

#[test]
fn a_fault_at_any_write_or_sync_is_told_and_costs_nothing() {
    let mut world = World::new();
    let mut met = 0;
    for operation in [Operation::Sign, Operation::Init, Operation::Import, Operation::Lock] {
        let faults = faults(&mut world, operation, 6);
        soak::say(&format!("{operation:?}: {} faults", faults.len()));
        for (call, fault, nth) in faults {
            let store = world.store();
            world.meet(operation, store, &call, fault, nth);
            met += 1;
        }
    }
    soak::say(&format!("{met} faults met"));
    world.starts.sort_unstable();
    let starts = &world.starts;
    soak::at_most("start after a fault, median, ms", starts[starts.len() / 2].as_millis(), 1000);
    soak::at_most("start after a fault, slowest, ms", starts[starts.len() - 1].as_millis(), 1000);
}

#[test]
fn a_daemon_killed_at_any_answer_or_question_loses_nothing() {
    let mut world = World::new();
    for operation in [Operation::Sign, Operation::Init] {
        for call in ANSWERS.split(',') {
            for nth in 1..=soak::rounds(1, 8) {
                let whom = Whom::Process(world.daemon.process().pid());
                world.meet(operation, whom, call, Fault::Kill, nth);
            }
        }
    }
}
