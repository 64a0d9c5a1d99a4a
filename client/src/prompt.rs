//! Takes secrets and yes-or-no answers from a person. A secret lives in one buffer of fixed size that is wiped;
//! it never becomes a `String`, an argument or an environment variable, and is handed only to `daemon::secret`.

mod input;
pub(crate) mod line;
mod terminal;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use touchmark_proto::reason::Reason;
use zeroize::Zeroizing;

use crate::args::{PinArgs, YesArgs};
use crate::error::Error;

use input::Input;
use line::Line;
use terminal::Terminal;

/// The longest PIN or passphrase, in bytes.
pub const SECRET_MAX: usize = 255;
/// The longest key file, in bytes: the length on the secret connection has 16 bits.
pub const KEY_FILE_MAX: usize = 65_535;
/// What a YubiKey types when it is touched at the wrong moment: at least 16 bytes, in an alphabet that is on the same keys
/// everywhere.
const OTP_MIN: usize = 32;
const MODHEX: &[u8] = b"cbdefghijklnrtuv";
/// How often a new secret that was typed differently twice is asked for.
const REPEATS: usize = 3;

/// One secret in a buffer that never grows and is wiped when dropped.
pub struct Secret {
    bytes: Zeroizing<Box<[u8]>>,
    length: usize,
}

impl Secret {
    /// An empty secret with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Zeroizing::new(vec![0; capacity].into_boxed_slice()), length: 0 }
    }

    /// The bytes so far; only for writing them to the secret connection.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds one byte; `false` if there is no room.
    fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.length) else { return false };
        *place = byte;
        self.length += 1;
        true
    }

    /// The same secret in another buffer that is wiped.
    fn again(&self) -> Self {
        let mut copy = Self::with_capacity(self.length);
        copy.length = self.length;
        copy.bytes.copy_from_slice(self.expose());
        copy
    }

    fn pop(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    /// Reads a key file straight into the buffer.
    ///
    /// # Errors
    /// The file cannot be read, is empty or longer than [`KEY_FILE_MAX`].
    pub fn from_file(path: &Path) -> Result<Self, PromptError> {
        let unreadable = |source: io::Error| PromptError::File { path: path.to_path_buf(), source };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut secret = Self::with_capacity(KEY_FILE_MAX);
        loop {
            let room = secret.bytes.get_mut(secret.length..).unwrap_or_default();
            if room.is_empty() {
                return Err(PromptError::TooLong { max: KEY_FILE_MAX });
            }
            match io::Read::read(&mut file, room).map_err(unreadable)? {
                0 => break,
                count => secret.length += count,
            }
        }
        if secret.is_empty() {
            return Err(unreadable(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty")));
        }
        Ok(secret)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Where secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The controlling terminal, without echo.
    Terminal,
    /// An inherited descriptor (`--pin-fd`): one secret a line.
    Fd(i32),
    /// Standard input (`--pin-stdin`): one secret a line.
    Stdin,
}

impl From<&PinArgs> for Source {
    fn from(args: &PinArgs) -> Self {
        match (args.pin_fd, args.pin_stdin) {
            (Some(number), _) => Self::Fd(number),
            (None, true) => Self::Stdin,
            (None, false) => Self::Terminal,
        }
    }
}

/// What to do where a person would be asked for a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Ask on the terminal.
    Ask,
    /// A flag said yes.
    Given,
}

impl From<YesArgs> for Consent {
    fn from(args: YesArgs) -> Self {
        if args.yes { Self::Given } else { Self::Ask }
    }
}

/// How often a secret is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A known secret.
    Once,
    /// A new one.
    Twice,
}

/// Why no secret or answer came.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nobody can be asked. A retry on a terminal or with the flag helps.
    #[error("{what} is needed and there is no terminal to ask on")]
    NoTerminal {
        /// What would have been asked.
        what: String,
        /// The flag that answers it.
        flag: &'static str,
    },
    /// The input ended before a secret came.
    #[error("the input ended where {what} was expected")]
    Ended {
        /// What was expected.
        what: String,
    },
    /// More bytes than a secret may have.
    #[error("what was given is longer than {max} bytes")]
    TooLong {
        /// The most bytes.
        max: usize,
    },
    /// An empty line where a secret is needed.
    #[error("{what} cannot be empty")]
    Empty {
        /// What was expected.
        what: String,
    },
    /// A YubiKey typed a one-time password, again and again.
    #[error("a YubiKey typed a one-time password where {what} was expected; nothing was sent")]
    OneTimePassword {
        /// What was expected.
        what: String,
    },
    /// A new secret was typed in two ways, repeatedly.
    #[error("what was typed the second time was different")]
    Differs,
    /// The person said no.
    #[error("{what}: not confirmed")]
    Declined {
        /// What was asked.
        what: String,
    },
    /// Ctrl-C at the prompt.
    #[error("interrupted")]
    Interrupted,
    /// The terminal or descriptor failed.
    #[error("cannot read {from}: {source}")]
    Io {
        /// Which input.
        from: String,
        /// Why.
        source: io::Error,
    },
    /// A key file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<PromptError> for Error {
    fn from(error: PromptError) -> Self {
        let message = error.to_string();
        match error {
            PromptError::NoTerminal { flag, .. } => {
                Self::new(Reason::NoTerminal, message).hint(format!("run it on a terminal, or give {flag}"))
            }
            PromptError::Interrupted => Self::new(Reason::Interrupted, message),
            PromptError::Ended { .. } | PromptError::Empty { .. } => Self::new(Reason::PinRequired, message)
                .hint("run it on a terminal, or give one line with --pin-fd N or --pin-stdin"),
            PromptError::Io { .. } => Self::new(Reason::Usage, message)
                .hint("--pin-fd N wants a descriptor that is open: --pin-fd 3 3<FILE"),
            PromptError::TooLong { .. }
            | PromptError::OneTimePassword { .. }
            | PromptError::Differs
            | PromptError::Declined { .. }
            | PromptError::File { .. } => Self::new(Reason::Usage, message),
        }
    }
}

/// The one who asks for secrets: knows where they come from.
#[derive(Debug)]
pub struct Prompter {
    source: Source,
    last_try: Consent,
    lines: tokio::sync::Mutex<Option<Input>>,
    given: tokio::sync::Mutex<BTreeMap<String, Secret>>,
}

impl Prompter {
    /// Asks nothing yet. `last_try`: whether the last try of a token may be spent without asking.
    #[must_use]
    pub fn new(source: Source, last_try: Consent) -> Self {
        Self { source, last_try, lines: Default::default(), given: Default::default() }
    }

    /// As the flags say.
    #[must_use]
    pub fn from_args(args: &PinArgs) -> Self {
        Self::new(args.into(), if args.last_try { Consent::Given } else { Consent::Ask })
    }

    /// Asks before the last PIN try of a token is spent.
    ///
    /// # Errors
    /// The answer is no, or nobody is there to give it: see [`confirm`].
    pub async fn confirm_last_try(&self, token: &str) -> Result<(), PromptError> {
        let question = format!("One try is left; a wrong PIN locks token \"{token}\". Go on?");
        confirm(&question, self.last_try, "--last-try").await
    }

    /// Whether a person sits at the other end and can be asked again.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.source == Source::Terminal
    }

    /// Reads one secret of at most `max` bytes. `label` is shown as the prompt; it must be escaped already.
    ///
    /// # Errors
    /// See [`PromptError`].
    pub async fn secret(&self, label: &str, max: usize, typed: Typed) -> Result<Secret, PromptError> {
        match self.source {
            Source::Terminal => self.ask_terminal(label, max, typed).await,
            // A program types its secret once: there is nobody who could mistype it.
            Source::Fd(_) | Source::Stdin => self.read_line(label, max).await,
        }
    }

    /// Keeps what a program gave for `what`, for the further calls of this command that want it. A person is asked
    /// each time, and sees each time what for.
    pub async fn keep(&self, what: &str, secret: &Secret) {
        if !self.is_person() {
            self.given.lock().await.insert(what.to_owned(), secret.again());
        }
    }

    /// What was kept for `what`.
    pub async fn kept(&self, what: &str) -> Option<Secret> {
        self.given.lock().await.get(what).map(Secret::again)
    }

    async fn ask_terminal(&self, label: &str, max: usize, typed: Typed) -> Result<Secret, PromptError> {
        let mut terminal = Terminal::open().map_err(|_| PromptError::NoTerminal {
            what: label.to_owned(),
            flag: "--pin-fd N or --pin-stdin",
        })?;
        let mut trouble = PromptError::Differs;
        for _ in 0..REPEATS {
            let first = match terminal.ask(&format!("{label}: "), terminal::Echo::Off, max).await {
                Err(PromptError::TooLong { max }) => {
                    terminal.say(&format!("That was longer than {max} bytes; nothing was sent.")).await?;
                    trouble = PromptError::TooLong { max };
                    continue;
                }
                Ok(typed) if is_one_time_password(typed.expose()) => {
                    terminal.say(TOUCHED_EARLY).await?;
                    trouble = PromptError::OneTimePassword { what: label.to_owned() };
                    continue;
                }
                other => other?,
            };
            if first.is_empty() {
                return Err(PromptError::Empty { what: label.to_owned() });
            }
            if typed == Typed::Once {
                return Ok(first);
            }
            let second = terminal.ask(&format!("{label}, once more: "), terminal::Echo::Off, max).await?;
            if same(first.expose(), second.expose()) {
                return Ok(first);
            }
            terminal.say("The two differ.").await?;
            trouble = PromptError::Differs;
        }
        Err(trouble)
    }

    async fn read_line(&self, what: &str, max: usize) -> Result<Secret, PromptError> {
        let mut lines = self.lines.lock().await;
        let input = match lines.as_mut() {
            Some(input) => input,
            None => lines.insert(Input::open(self.source)?),
        };
        let mut line = Line::new(max);
        loop {
            match input.byte().await? {
                Some(byte) => {
                    if line.push(byte) {
                        break;
                    }
                }
                None if line.is_untouched() => return Err(PromptError::Ended { what: what.to_owned() }),
                None => break,
            }
        }
        let secret = line.finish()?;
        if secret.is_empty() {
            return Err(PromptError::Empty { what: what.to_owned() });
        }
        Ok(secret)
    }
}

/// Asks a question that only "yes" (or `y`) answers with yes. `flag` is the flag that answers it.
///
/// # Errors
/// [`PromptError::Declined`] for every other answer, [`PromptError::NoTerminal`] naming the flag.
pub async fn confirm(question: &str, consent: Consent, flag: &'static str) -> Result<(), PromptError> {
    if consent == Consent::Given {
        return Ok(());
    }
    let no_terminal = |_| PromptError::NoTerminal { what: format!("an answer to \"{question}\""), flag };
    let mut terminal = Terminal::open().map_err(no_terminal)?;
    let answer = terminal.ask(&format!("{question} [yes/no] "), terminal::Echo::On, 16).await?;
    if matches!(answer.expose(), b"yes" | b"y" | b"Yes" | b"YES") {
        return Ok(());
    }
    Err(PromptError::Declined { what: question.to_owned() })
}

const TOUCHED_EARLY: &str = "That was a one-time password: the YubiKey was touched, and typed it. Nothing was sent. \
    Touch it only when you are told to.";

/// Whether a YubiKey has typed this, or the end of it. It goes by the alphabet alone: a PIN or passphrase that ends so is
/// none that a person would type.
fn is_one_time_password(typed: &[u8]) -> bool {
    typed.iter().rev().take_while(|byte| MODHEX.contains(byte)).count() >= OTP_MIN
}

/// Compares without stopping at the first difference. Both come from one person's keyboard: this is habit.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Core dumps off and not dumpable: a PIN passes through this process. Called once, before anything is read.
///
/// # Errors
/// The kernel refuses, which it does for neither call on Linux.
pub fn harden() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests;
