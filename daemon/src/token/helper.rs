//! The helper process of one token: reads requests on stdin, answers on stdout, ends when stdin closes.
//!
//! The main thread does everything. Another one only waits for stdin to close, so that the helper ends with its parent
//! even while the module hangs.

mod serve;

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::TokenProvider;
use super::frame::{HEADER, Header};
use super::message::Request;
use super::provider::AnyProvider;
use super::secret::Secret;

pub(super) use serve::Server;

/// How long the token may take to log out after stdin has closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a module may use, in bytes.
const MEMORY: u64 = 1 << 30;

/// `touchmarkd token-helper`.
#[must_use]
pub fn main() -> ExitCode {
    main_with(AnyProvider::default)
}

/// The helper with tokens of another kind.
#[must_use]
pub fn main_with<P: TokenProvider>(provider: impl FnOnce() -> P) -> ExitCode {
    let (mut input, output) = match harden().and_then(|()| take_stdio()).and_then(end_with_parent) {
        Ok(pipes) => pipes,
        Err(error) => {
            tell(&format!("the helper cannot protect itself: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut unreadable = None;
    // No buffer between: a secret must not stay behind in it.
    let requests = std::iter::from_fn(|| match read_request(&mut input) {
        Ok(next) => next,
        Err(error) => {
            unreadable = Some(error);
            None
        }
    });
    if Server::new(provider(), output).run(requests).is_err() {
        // The daemon is gone, or the token room is in disorder after a panic: start anew.
        end();
    }
    match unreadable {
        None => ExitCode::SUCCESS,
        Some(error) => {
            tell(&format!("unreadable request: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A request as it was read.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Number to answer under.
    pub(super) number: u32,
    /// What is asked.
    pub(super) request: Request,
    /// The secrets that came with it.
    pub(super) secrets: [Option<Secret>; 2],
}

/// Reads the next request; `None` at the end of the input.
///
/// # Errors
/// Whatever the input says; `InvalidData` for what is no request.
pub(super) fn read_request(input: &mut impl Read) -> std::io::Result<Option<Incoming>> {
    let mut header = [0; HEADER];
    if let Err(error) = input.read_exact(&mut header) {
        return if error.kind() == std::io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let header = Header::decode(&header).map_err(std::io::Error::other)?;
    let mut body = vec![0; header.body];
    input.read_exact(&mut body)?;
    let request = serde_json::from_slice(&body)?;
    let mut read = |len: usize| if len == 0 { Ok(None) } else { Secret::read(input, len).map(Some) };
    let [first, second] = header.secrets;
    Ok(Some(Incoming { number: header.number, request, secrets: [read(first)?, read(second)?] }))
}

/// One line for the daemon's log.
pub(super) fn tell(line: &str) {
    use std::io::Write as _;
    // With nobody listening there is nobody to tell.
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Starts the thread that ends the helper some time after stdin has closed.
fn end_with_parent((input, output): (File, File)) -> std::io::Result<(File, File)> {
    let watched = input.try_clone()?;
    std::thread::Builder::new().spawn(move || {
        // Asked for nothing, it tells that the other end has closed.
        while let Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(&watched, PollFlags::empty())], None)
        {
        }
        std::thread::sleep(FAREWELL);
        // The module hangs, or the destructors that a normal exit runs.
        end();
    })?;
    Ok((input, output))
}

fn end() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// No core dumps, no tracing by others of the same user, files for nobody else; and a module that eats memory ends
/// itself, or is ended by the kernel, before it troubles anybody else.
fn harden() -> std::io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::setrlimit(Resource::Data, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) })?;
    // Not everywhere there is a /proc to say it in.
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}

/// Takes the pipes away from the module: what it prints to stdout must not be taken for an answer.
fn take_stdio() -> std::io::Result<(File, File)> {
    let keep = |fd: std::os::fd::BorrowedFd<'_>| -> std::io::Result<File> {
        let kept: OwnedFd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        Ok(File::from(kept))
    };
    let pipes = (keep(rustix::stdio::stdin())?, keep(rustix::stdio::stdout())?);
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(pipes)
}

#[cfg(test)]
mod tests;
