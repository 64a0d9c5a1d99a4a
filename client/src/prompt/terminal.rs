//! The controlling terminal: echo off while a secret is typed, restored whatever happens.
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::input::{watched, when_ready};
use super::line::Line;
use super::{PromptError, Secret};

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// An answer.
    On,
    /// A secret.
    Off,
}

/// The open terminal.
pub(super) struct Terminal {
    fd: AsyncFd<OwnedFd>,
}

impl Terminal {
    /// Opens `/dev/tty`: also there where stdin, stdout and stderr are all redirected.
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::open("/dev/tty", flags, Mode::empty())?;
        Ok(Self { fd: watched(fd)? })
    }

    /// Shows `prompt` and reads one line.
    pub(super) async fn ask(&mut self, prompt: &str, echo: Echo, max: usize) -> Result<Secret, PromptError> {
        let quiet = (echo == Echo::Off).then(|| Quiet::start(&self.fd)).transpose().map_err(failed)?;
        self.write(prompt).await.map_err(failed)?;
        let line = self.line(max).await;
        if quiet.is_some() {
            drop(quiet);
            self.write("\n").await.map_err(failed)?;
        }
        line
    }

    /// Shows a line.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), PromptError> {
        self.write(&format!("{text}\n")).await.map_err(failed)
    }

    async fn line(&self, max: usize) -> Result<Secret, PromptError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut line = Line::new(max);
        loop {
            let byte = tokio::select! {
                // What was typed before and after a Ctrl-C is no answer.
                biased;
                _ = interrupt.recv() => return Err(PromptError::Interrupted),
                _ = terminate.recv() => return Err(PromptError::Interrupted),
                _ = hangup.recv() => return Err(PromptError::Interrupted),
                byte = when_ready(&self.fd, |byte| rustix::io::read(self.fd.get_ref(), byte)) => byte,
            };
            match byte.map_err(failed)? {
                Some(byte) if line.push(byte) => break,
                Some(_) => {}
                // Ctrl-D: not an answer.
                None => return Err(PromptError::Interrupted),
            }
        }
        // A Ctrl-C just before the end of the line may have to be noticed yet: it counts more than the line.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Err(PromptError::Interrupted),
            line = std::future::ready(line.finish()) => line,
        }
    }

    async fn write(&self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(self.fd.get_ref(), rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN) => self.fd.writable().await?.clear_ready(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

fn failed(source: io::Error) -> PromptError {
    PromptError::Io { from: "the terminal".to_owned(), source }
}

/// Echo is off while this lives. It keeps a descriptor of its own, so that it can restore after the terminal's
/// owner has gone.
struct Quiet {
    fd: OwnedFd,
    saved: Termios,
}

impl Quiet {
    fn start(fd: &AsyncFd<OwnedFd>) -> io::Result<Self> {
        let fd = rustix::io::dup(fd.get_ref())?;
        let saved = tcgetattr(&fd)?;
        let mut quiet = saved.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        quiet.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
        // Flush: what was typed (or touched) before the question is no answer to it.
        tcsetattr(&fd, OptionalActions::Flush, &quiet)?;
        Ok(Self { fd, saved })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that has gone.
        let _gone = tcsetattr(&self.fd, OptionalActions::Now, &self.saved);
    }
}
