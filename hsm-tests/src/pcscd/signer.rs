//! A program that signs on a card without a daemon: what the card itself takes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{Pcscd, Reader};

/// The program, waiting for its turn.
#[derive(Debug)]
pub struct Signer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Pcscd {
    /// Starts `program`, the file of `card-signer`, for the key in slot 9c of the card in this reader.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn signer(&self, program: &str, reader: &Reader, pin: &str) -> Signer {
        let mut command = Command::new(program);
        command.args([reader.name(), pin]).envs(self.environment());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("card-signer");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Signer { child, lines }
    }
}

impl Signer {
    /// Signs so often, with the PIN sent once before; the milliseconds that each signature took.
    ///
    /// # Panics
    /// When the card does not sign.
    #[must_use]
    pub fn times(&mut self, signatures: usize) -> Vec<f64> {
        writeln!(self.child.stdin.as_mut().expect("its input"), "{signatures}").expect("it listens");
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("its word");
        let times: Vec<f64> = line.split_whitespace().map(|time| time.parse().expect("a time")).collect();
        assert_eq!(times.len(), signatures, "card-signer has failed");
        times
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
