//! Another program that has the card.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Pcscd, Reader};

/// How it has the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody else may even connect.
    Exclusively,
    /// Everybody else waits for its transaction to end.
    InATransaction,
}

impl Hold {
    fn word(self) -> &'static str {
        match self {
            Self::Exclusively => "exclusively",
            Self::InATransaction => "in-a-transaction",
        }
    }
}

/// The program. It lets go of the card, and ends, when this is dropped.
#[derive(Debug)]
pub struct Holder(Child);

impl Pcscd {
    /// Has `program`, the file of `card-holder`, take the card in this reader.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn hold(&self, program: &str, reader: &Reader, how: Hold) -> Holder {
        let mut command = Command::new(program);
        command.args([how.word(), reader.name()]).envs(self.environment());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("card-holder");
        let mut holder = Holder(child);
        let mut said = String::new();
        let stdout = holder.0.stdout.as_mut().expect("its output");
        BufReader::new(stdout).read_line(&mut said).expect("its word");
        assert_eq!(said, "held\n", "{how:?}");
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
