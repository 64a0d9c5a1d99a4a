//! `strace` on a running program: what it asks of the kernel, and answers that the kernel would not have given.

use std::process::Command;

use crate::cli::tool;
use crate::place::Place;
use crate::process::Process;

/// A program, or one of its threads, that is being traced. Dropped, it is let go.
#[derive(Debug)]
pub struct Strace {
    process: Process,
    place: Place,
}

/// Whom to trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// One thread. Calls are counted by the thread that makes them, so the n-th one is always the same.
    Thread(u32),
    /// All threads of a process.
    Process(u32),
}

impl Strace {
    /// Attaches and watches these calls (`fsync,pwrite64`), with a fault if there is one: what strace knows as
    /// `--inject`, `fsync:error=EIO:when=2`. Returns once it has hold.
    ///
    /// # Panics
    /// When it may not: only root may trace a daemon that is not dumpable.
    #[must_use]
    pub fn attach(whom: Whom, calls: &str, fault: Option<&str>) -> Self {
        let place = Place::new();
        let mut command = Command::new(tool("strace"));
        command.arg("-o").arg(place.join("calls")).args([
            "-e",
            &format!("trace={calls}"),
            "-e",
            "signal=none",
        ]);
        if let Some(fault) = fault {
            command.args(["-e", &format!("inject={fault}")]);
        }
        match whom {
            Whom::Thread(id) => command.args(["-p", &id.to_string()]),
            Whom::Process(id) => command.args(["-f", "-p", &id.to_string()]),
        };
        let log = place.join("strace.log");
        let mut process = Process::start("strace", &mut command, &log);
        process
            .wait_for("attached", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("attached")));
        Self { process, place }
    }

    /// Lets the program go, if it still runs, and says which of the calls it made, in order: their names.
    pub fn let_go(mut self) -> Vec<String> {
        self.process.end();
        let calls = std::fs::read_to_string(self.place.join("calls")).expect("strace's own file");
        let name = |line: &str| {
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            call.split_once('(').map(|(name, _)| name.to_owned())
        };
        calls.lines().filter_map(name).collect()
    }
}

/// The thread of that name.
///
/// # Panics
/// When the process has none, or several.
#[must_use]
pub fn thread(pid: u32, name: &str) -> u32 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let ids = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_it = |id: &u32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/task/{id}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    let found: Vec<u32> = ids.filter(is_it).collect();
    let [id] = found.as_slice() else { panic!("threads of {pid} named {name}: {found:?}") };
    *id
}
