//! One program in the background: its output in a file, ended by its own pid, never by name.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to become ready on a loaded two-core machine.
pub const READY: Duration = Duration::from_secs(60);
/// How long a program may take to end after SIGTERM before it is killed.
const END: Duration = Duration::from_secs(15);
/// Between two looks at something that cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A running program. Dropped, it is asked to end (SIGTERM), then killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    left_running: bool,
}

impl Process {
    /// Starts the command with stdin closed and stdout and stderr appended to `log`.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log);
        let out = out.unwrap_or_else(|why| panic!("log of {name} at {}: {why}", log.display()));
        let err = out.try_clone().expect("a second handle of the log");
        let started = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = started.unwrap_or_else(|why| panic!("cannot start {name} ({command:?}): {why}"));
        Self { name: name.to_owned(), child, log: log.to_owned(), left_running: false }
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until something accepts on 127.0.0.1 at this port.
    pub fn wait_for_port(&mut self, port: u16) {
        let what = format!("listening on 127.0.0.1:{port}");
        self.wait_for(&what, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    /// Waits until `ready` says so. A program that ends instead, or takes longer than [`READY`], fails the
    /// test with the last lines of its log.
    pub fn wait_for(&mut self, what: &str, ready: impl FnMut() -> bool) {
        self.try_wait_for(what, ready).unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same for whoever can do without the program.
    ///
    /// # Errors
    /// That it ended or took too long, with the last lines of its log.
    pub fn try_wait_for(&mut self, what: &str, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + READY;
        let fail = |this: &Self, how: &str| {
            Err(format!("{} {how} before it was {what}; its log ends:\n{}", this.name, this.tail()))
        };
        while !ready() {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return fail(self, &format!("ended ({status})"));
            }
            if Instant::now() > deadline {
                return fail(self, &format!("ran for {READY:?}"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a pid is not 0");
        kill_process(pid, signal).unwrap_or_else(|why| panic!("{signal:?} to {}: {why}", self.name));
    }

    /// Stops it where it is (SIGSTOP): connections to it hang.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end (SIGTERM) and waits; after 15 seconds it is killed and the test fails.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(END).unwrap_or_else(|| {
            self.child.kill().ok();
            panic!("{} ignored SIGTERM for {END:?}; its log ends:\n{}", self.name, self.tail());
        })
    }

    /// Kills it (SIGKILL) and waits.
    pub fn kill(&mut self) -> ExitStatus {
        self.child.kill().unwrap_or_else(|why| panic!("SIGKILL to {}: {why}", self.name));
        self.child.wait().expect("the end of a killed child")
    }

    /// Waits for it to end of itself; None if it has not within `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Gives up the program: it goes on when this value is dropped and when the test ends.
    pub fn leave_running(&mut self) {
        self.left_running = true;
    }

    /// What dropping it does: it is asked to end, then killed, unless it was left running. Whether it has ended.
    pub fn end(&mut self) -> bool {
        if self.left_running || !matches!(self.child.try_wait(), Ok(None)) {
            return !self.left_running;
        }
        self.resume(); // a stopped process would not see SIGTERM
        self.signal(Signal::TERM);
        if self.wait_end(END).is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
        true
    }

    /// The last forty lines of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
