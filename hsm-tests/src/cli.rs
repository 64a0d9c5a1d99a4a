//! Commands as a person types them: a clean environment, a deadline, and all they printed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where Debian keeps programs; the environment's own PATH plays no part.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest a command may take before it is killed and the test fails.
const DEADLINE: Duration = Duration::from_secs(180);

/// The file of a program of another project.
///
/// # Panics
/// When it is not installed: a missing component is a failure.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let found = SYSTEM_PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.is_file());
    found
        .unwrap_or_else(|| panic!("{name} is not installed; scripts/install.sh installs what the tests need"))
}

/// The file of a program of this workspace: in `TOUCHMARK_BIN_DIR`, else beside the running test.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn shipped(name: &str) -> PathBuf {
    let file = shipped_folder().join(name);
    assert!(file.is_file(), "{} is not built; run: cargo build -p touchmarkd -p touchmark", file.display());
    file
}

/// The folder of the shipped programs.
#[must_use]
pub fn shipped_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("TOUCHMARK_BIN_DIR") {
        return PathBuf::from(folder);
    }
    let this = std::env::current_exe().expect("the running program's own file");
    let folder = this.parent().expect("its folder");
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

/// Whether [`Cli::offline`] can be had: root alone makes such a namespace in which files still belong to root. Where not,
/// that is written to stderr, past the test runner's capture.
#[must_use]
pub fn can_be_offline() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "SKIPPED: what needs a place without a network, because only root may make one").ok();
    false
}

/// A command about to run. Its environment is empty but for PATH, LANG and what is given here.
#[derive(Clone, Debug)]
pub struct Cli {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdin: Vec<u8>,
    streams: Streams,
    deadline: Duration,
}

/// Where a command's stderr goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    Apart,
    Together,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    line: String,
    status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Cli {
    /// A program by its file.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let path = OsString::from(SYSTEM_PATH);
        let env = vec![("PATH".into(), path), ("LANG".into(), "C.UTF-8".into())];
        let (args, folder, stdin, streams) = (Vec::new(), None, Vec::new(), Streams::Apart);
        Self { program: program.into(), args, env, folder, stdin, streams, deadline: DEADLINE }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(have, _)| have != name);
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The same where there is no network: in a namespace of its own, with no interface that is up. See
    /// [`can_be_offline`].
    #[must_use]
    pub fn offline(mut self) -> Self {
        let mut args: Vec<OsString> = ["--net", "--"].map(OsString::from).into();
        args.push(self.program.into_os_string());
        args.append(&mut self.args);
        Self { program: tool("unshare"), args, ..self }
    }

    /// The same where one file is another one: for this command alone, in a mount namespace of its own.
    #[must_use]
    pub fn where_this_is(mut self, file: &Path, other: &Path) -> Self {
        let mut args: Vec<OsString> = vec!["--mount".into()];
        if !rustix::process::geteuid().is_root() {
            args.push("--map-root-user".into());
        }
        let bind = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
        args.extend(["--", "sh", "-c", bind, "sh"].map(OsString::from));
        args.extend([
            other.as_os_str().to_owned(),
            file.as_os_str().to_owned(),
            self.program.into_os_string(),
        ]);
        args.append(&mut self.args);
        Self { program: tool("unshare"), args, ..self }
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// What it reads from stdin; by default nothing, and never a terminal.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// What it writes to stderr comes up in its stdout, in the order in which a terminal would show both.
    #[must_use]
    pub fn merged(mut self) -> Self {
        self.streams = Streams::Together;
        self
    }

    /// How long it may take, instead of three minutes.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The command for whoever wants to start it in another way.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Its variables as lines for a shell to read, with this folder first in PATH. Programs are run with a few
    /// variables, so PATH keeps what the shell has, and HOME and LANG are left alone.
    #[must_use]
    pub fn exports(&self, programs: &Path) -> String {
        let own = self
            .env
            .iter()
            .filter(|(name, _)| !["PATH", "HOME", "LANG", "NO_COLOR"].iter().any(|no| name == no));
        let line = |(name, value): &(OsString, OsString)| {
            format!("export {}='{}'\n", name.to_string_lossy(), value.to_string_lossy())
        };
        format!("export PATH='{}':\"$PATH\"\n", programs.display()) + &own.map(line).collect::<String>()
    }

    /// Starts it with its output to files, so that it can be signalled or awaited.
    #[must_use]
    pub fn spawn(&self) -> Running {
        let [mut stdin, stdout, stderr] = [(); 3].map(|()| tempfile::tempfile().expect("a temporary file"));
        stdin.write_all(&self.stdin).and_then(|()| stdin.rewind()).expect("stdin's bytes");
        let mut command = self.command();
        let second = if self.streams == Streams::Together { &stdout } else { &stderr };
        command.stdin(stdin).stdout(share(&stdout)).stderr(share(second));
        let child = command.spawn().unwrap_or_else(|why| panic!("cannot start {}: {why}", self.line()));
        Running { line: self.line(), child, stdout, stderr, deadline: Instant::now() + self.deadline }
    }

    /// Runs it to its end, whatever the end is.
    #[must_use]
    pub fn run(&self) -> Ran {
        self.spawn().wait()
    }

    /// Runs it; anything but exit code 0 fails the test.
    pub fn ok(&self) -> Ran {
        self.run().exits(0)
    }

    /// The command as a person would type it, without its environment.
    #[must_use]
    pub fn line(&self) -> String {
        let program = self.program.file_name().unwrap_or(self.program.as_os_str());
        let words = std::iter::once(program).chain(self.args.iter().map(OsString::as_os_str));
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

fn share(file: &File) -> Stdio {
    file.try_clone().expect("a second handle of a file").into()
}

/// A command that may still run. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: File,
    stderr: File,
    deadline: Instant,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// What it has written to stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a pid is not 0");
        rustix::process::kill_process(pid, signal).unwrap_or_else(|why| panic!("{signal:?}: {why}"));
    }

    /// Waits until what it has written to stderr contains the text.
    pub fn wait_for_stderr(&mut self, wanted: &str) {
        while !self.stderr().contains(wanted) {
            let ended = self.child.try_wait().expect("the state of a child").is_some();
            let said = self.stderr();
            assert!(!ended || said.contains(wanted), "{} ended without: {wanted}\n{said}", self.line);
            assert!(Instant::now() < self.deadline, "{} never said: {wanted}\n{said}", self.line);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end; past the deadline it is killed and the test fails.
    #[must_use]
    pub fn wait(mut self) -> Ran {
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
                return Ran { line: self.line.clone(), status, stdout, stderr };
            }
            if Instant::now() > self.deadline {
                self.child.kill().ok();
                panic!("{} did not end in time; stderr:\n{}", self.line, text(&self.stderr));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

fn text(file: &File) -> String {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(file.metadata().map_or(0, |data| data.len())).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).expect("the output so far");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ran {
    /// The exit code; None after a signal.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Itself if it exited with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code() == Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Itself if it failed with any code but 0; a signal does not count.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.code().is_some_and(|code| code != 0), "expected a failure\n{self}");
        self
    }

    /// Itself if stdout or stderr contains the text.
    #[track_caller]
    pub fn says(self, wanted: &str) -> Self {
        let said = self.stdout.contains(wanted) || self.stderr.contains(wanted);
        assert!(said, "expected to read: {wanted}\n{self}");
        self
    }

    /// Itself if neither stdout nor stderr contains the text.
    #[track_caller]
    pub fn says_nothing_of(self, unwanted: &str) -> Self {
        let said = self.stdout.contains(unwanted) || self.stderr.contains(unwanted);
        assert!(!said, "expected not to read: {unwanted}\n{self}");
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("stdout is not JSON: {why}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(to, "$ {}", self.line)?;
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => writeln!(to, "exit code {code}")?,
            (None, signal) => writeln!(to, "ended by signal {signal:?}")?,
        }
        write!(to, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}
