//! The helper process of one token: reads requests on stdin, answers on stdout, ends when stdin closes.
//!
//! One thread owns the token. The main thread only reads, so that the helper ends with its parent even while the
//! module hangs.

mod serve;

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::TokenProvider;
use super::frame::{HEADER, Header};
use super::message::Request;
use super::pkcs11::Pkcs11Provider;
use super::secret::Secret;

pub(super) use serve::Server;

/// How long the token may take to log out after stdin has closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a module may use, in bytes.
const MEMORY: u64 = 1 << 30;

/// `touchmarkd token-helper`.
#[must_use]
pub fn main() -> ExitCode {
    main_with(Pkcs11Provider::default)
}

/// The helper with tokens of another kind; `provider` runs on the thread that will own the token.
#[must_use]
pub fn main_with<P: TokenProvider + 'static>(provider: impl FnOnce() -> P + Send + 'static) -> ExitCode {
    let (input, output) = match harden().and_then(|()| take_stdio()) {
        Ok(pipes) => pipes,
        Err(error) => {
            tell(&format!("the helper cannot protect itself: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let (requests, served) = spawn(provider, output);
    // No buffer between: a secret must not stay behind in it.
    let ended = read_requests(input, &requests);
    drop(requests);
    if let Err(error) = &ended {
        tell(&format!("unreadable request: {error}"));
    }
    if served.recv_timeout(FAREWELL) == Err(mpsc::RecvTimeoutError::Timeout) {
        // The module hangs, and would hang the destructors that a normal exit runs, too.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    }
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

fn read_requests(mut input: impl Read, to: &mpsc::Sender<Incoming>) -> std::io::Result<()> {
    while let Some(incoming) = read_request(&mut input)? {
        if to.send(incoming).is_err() {
            break;
        }
    }
    Ok(())
}

/// Starts the thread that owns the token. The receiver closes when it is done.
fn spawn<P: TokenProvider + 'static>(
    provider: impl FnOnce() -> P + Send + 'static,
    output: File,
) -> (mpsc::Sender<Incoming>, mpsc::Receiver<()>) {
    let (requests, incoming) = mpsc::channel();
    let (done, served) = mpsc::channel();
    std::thread::spawn(move || {
        let ended = Server::new(provider(), output).run(incoming.iter());
        if ended.is_err() {
            // The daemon is gone, or the token room is in disorder after a panic: start anew.
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        }
        drop(done);
    });
    (requests, served)
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
