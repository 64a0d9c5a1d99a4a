//! The one place that prints. Answers go to stdout, everything else to stderr; in JSON mode stdout is exactly one
//! document and stderr one object per line, the error last.
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Format, Global};
use crate::context::Environment;
use crate::error::Error;

/// How this command line wants to be answered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    detail: Detail,
    colour: Colour,
    /// Every bar that this command draws.
    bars: MultiProgress,
}

/// While it is there no bar is drawn: somebody types on that line, or reads it.
#[derive(Debug)]
#[must_use]
pub struct Aside(MultiProgress);

impl Drop for Aside {
    fn drop(&mut self) {
        self.0.set_draw_target(ProgressDrawTarget::stderr());
    }
}

/// Whether somebody still reads the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// As far as anybody knows.
    Yes,
    /// The pipe is closed.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Quiet,
    Normal,
    Verbose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Plain,
    Ansi,
}

impl Output {
    /// As the global flags and `NO_COLOR` say.
    #[must_use]
    pub fn new(global: &Global, environment: &Environment) -> Self {
        let detail = match (global.quiet, global.verbose) {
            (true, _) => Detail::Quiet,
            (false, 0) => Detail::Normal,
            (false, _) => Detail::Verbose,
        };
        Self::with(global.format, detail, environment)
    }

    /// For a command line that could not be parsed: JSON when it says so somewhere.
    #[must_use]
    pub fn before_parsing(arguments: &[OsString], environment: &Environment) -> Self {
        let json = arguments.iter().any(|word| word == "--format=json")
            || arguments
                .windows(2)
                .any(|pair| matches!(pair, [flag, value] if flag == "--format" && value == "json"));
        let format = if json { Format::Json } else { Format::Text };
        Self::with(format, Detail::Normal, environment)
    }

    fn with(format: Format, detail: Detail, environment: &Environment) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { format, detail, colour: Colour::choose(environment), bars }
    }

    /// Whether the answer is one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether `-v` was given.
    #[must_use]
    pub fn is_verbose(&self) -> bool {
        self.detail == Detail::Verbose
    }

    /// The answer of a command: `text` (any number of lines, the last newline is added) or `document`.
    /// A reader that closed the pipe is not an error: it has what it wanted.
    ///
    /// # Errors
    /// Standard output cannot be written (disk full, closed).
    pub fn answer(&self, text: &str, document: &impl Serialize) -> Result<(), Error> {
        match self.format {
            Format::Text if text.is_empty() => Ok(()),
            Format::Text => to_stdout(text.strip_suffix('\n').unwrap_or(text)),
            Format::Json => to_stdout(&to_json(document)),
        }
    }

    /// One more line of a text answer; nothing in JSON mode, where [`Output::answer`] says it all at the end.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        match self.format {
            Format::Text => to_stdout(text),
            Format::Json => Ok(()),
        }
    }

    /// One more answer of a command that goes on until nobody listens any more; whether somebody does.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn each(&self, text: &str) -> Result<Heard, Error> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(Heard::No),
            other => written(other).map(|()| Heard::Yes),
        }
    }

    /// Bytes as they are (completions, an exported key): for commands whose answer is a file.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Something worth knowing, on stderr; silent with `-q`.
    pub fn say(&self, text: &str) {
        self.note(Detail::Normal, "note", text);
    }

    /// Something only `-v` wants to know, on stderr.
    pub fn detail(&self, text: &str) {
        self.note(Detail::Verbose, "detail", text);
    }

    /// Something that may be wrong, on stderr, also with `-q`.
    pub fn warn(&self, text: &str) {
        self.wipe();
        match self.format {
            Format::Text => to_stderr(&format!("{} {text}", self.colour.paint(Paint::Yellow, "warning:"))),
            Format::Json => to_stderr(&ascii(&json!({ "warning": text }).to_string())),
        }
    }

    /// A state in which somebody is waited for. `state` is a stable word ("queued", "needs-pin"...), `text` is
    /// for people, `fields` are added to the JSON object `{"waiting":{"state":...}}`.
    pub fn waiting(&self, state: &str, text: &str, fields: &[(&str, Value)]) {
        self.wipe();
        match self.format {
            Format::Text => to_stderr(text),
            Format::Json => {
                let mut body = serde_json::Map::new();
                body.insert("state".to_owned(), json!(state));
                body.insert("text".to_owned(), json!(text));
                body.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
                to_stderr(&ascii(&json!({ "waiting": body }).to_string()));
            }
        }
    }

    /// The error that ends the command, on stderr.
    pub fn error(&self, error: &Error) {
        self.wipe();
        match self.format {
            Format::Text => {
                to_stderr(&format!("{} {}", self.colour.paint(Paint::Red, "error:"), error.message));
                if let Some(hint) = &error.hint {
                    to_stderr(&format!("  next: {hint}"));
                }
                if let Some(request_id) = &error.request_id {
                    to_stderr(&format!("  request: {request_id}"));
                }
            }
            Format::Json => to_stderr(&ascii(&error.to_json().to_string())),
        }
    }

    /// A progress bar over `total` bytes: seen on a terminal only, and never with `-q` or in JSON mode.
    #[must_use]
    pub fn bytes_bar(&self, label: &str, total: u64) -> ProgressBar {
        if !self.draws() {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new(total));
        let style = ProgressStyle::with_template("{msg:24} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(label.to_owned());
        bar
    }

    /// A progress bar over `total` things, seen where [`Output::bytes_bar`] is.
    #[must_use]
    pub fn count_bar(&self, label: &str, total: usize) -> ProgressBar {
        if !self.draws() {
            return ProgressBar::hidden();
        }
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let bar = self.bars.add(ProgressBar::new(total));
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos} of {len}") {
            bar.set_style(style);
        }
        bar.set_message(label.to_owned());
        bar
    }

    /// No bar is there until the answer is dropped and the bar has moved on.
    pub fn aside(&self) -> Aside {
        self.wipe();
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
        Aside(self.bars.clone())
    }

    /// The bar goes until it moves on.
    fn wipe(&self) {
        // As for every other line: nobody is left to tell.
        drop(self.bars.clear());
    }

    /// How much time is left for something, in a line that is written over; `None`: that line goes. Seen where progress
    /// is.
    pub fn time_left(&self, left: Option<Duration>) {
        if self.draws() {
            let text = left.map(|left| format!("  {} s left", left.as_secs_f64().ceil())).unwrap_or_default();
            let mut stderr = io::stderr().lock();
            // As for every other line: nobody is left to tell.
            drop(write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush()));
        }
    }

    /// Whether progress may be drawn.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.format == Format::Text && self.detail >= Detail::Normal && io::stderr().is_terminal()
    }

    /// What clap has to say: help and version are answers, the rest is an error.
    ///
    /// # Errors
    /// The usage error itself, reason `USAGE`.
    pub fn usage(&self, problem: &clap::Error) -> Result<(), Error> {
        use clap::error::ErrorKind;
        let text = match self.colour {
            Colour::Ansi => problem.render().ansi().to_string(),
            Colour::Plain => problem.render().to_string(),
        };
        match problem.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => to_stdout(text.trim_end()),
            _ => {
                let text = problem.render().to_string();
                let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim()).to_owned();
                Err(Error::usage(message))
            }
        }
    }

    fn note(&self, at_least: Detail, kind: &str, text: &str) {
        if self.detail < at_least {
            return;
        }
        self.wipe();
        match self.format {
            Format::Text => to_stderr(text),
            Format::Json => to_stderr(&ascii(&json!({ kind: text }).to_string())),
        }
    }
}

#[derive(Clone, Copy)]
enum Paint {
    Red,
    Yellow,
}

impl Colour {
    fn choose(environment: &Environment) -> Self {
        let wanted = environment.no_color.as_deref().is_none_or(str::is_empty);
        if wanted && io::stderr().is_terminal() { Self::Ansi } else { Self::Plain }
    }

    fn paint(self, paint: Paint, text: &str) -> String {
        match (self, paint) {
            (Self::Plain, _) => text.to_owned(),
            (Self::Ansi, Paint::Red) => format!("\x1b[1;31m{text}\x1b[0m"),
            (Self::Ansi, Paint::Yellow) => format!("\x1b[1;33m{text}\x1b[0m"),
        }
    }
}

fn to_json(document: &impl Serialize) -> String {
    // Only a map with keys that are no strings can fail, and no answer has one.
    let text = serde_json::to_string_pretty(document);
    ascii(&text.unwrap_or_else(|cause| json!({ "error": cause.to_string() }).to_string()))
}

/// JSON in ASCII: the same value, and nothing in it can draw on a terminal. Outside of strings JSON is ASCII anyway.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' | '\n' => text.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    text += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    text
}

fn to_stdout(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
}

fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::usage(format!("cannot write to standard output: {cause}"))
                .hint("what was asked for is done; ask for the answer again, with another standard output"))
        }
        _ => Ok(()),
    }
}

fn to_stderr(text: &str) {
    // Nobody is left to tell when stderr is closed; the exit code still speaks.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests;
