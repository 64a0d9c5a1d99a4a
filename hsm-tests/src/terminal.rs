//! A command on a terminal of its own, and somebody who types: util-linux's `script` makes the terminal.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::{Cli, tool};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running command that sees a terminal on stdin, stdout and stderr.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Screen>,
    /// How much of the screen has been waited for.
    seen: usize,
}

#[derive(Debug, Default)]
struct Screen {
    shown: Mutex<(Vec<u8>, Power)>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Power {
    #[default]
    On,
    Off,
}

impl Terminal {
    /// Starts the command. Its arguments may have anything but a single quote in them.
    #[must_use]
    pub fn start(cli: &Cli) -> Self {
        let plain = cli.command();
        let words = std::iter::once(plain.get_program()).chain(plain.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let script = Cli::new(tool("script")).args(["--quiet", "--return", "--flush", "--command"]);
        let mut command = script.arg(line.join(" ")).arg("/dev/null").command();
        command.env_clear().env("SHELL", "/bin/sh").env("TERM", "xterm");
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = plain.get_current_dir() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("script starts");
        let (keyboard, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let screen = Arc::new(Screen::default());
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || shared.show(output));
        Self { child, keyboard, screen, seen: 0 }
    }

    /// Waits until the text comes up, after what has been waited for so far.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.lock();
        loop {
            let new = String::from_utf8_lossy(&shown.0[self.seen..]).into_owned();
            if let Some(at) = find(&shown.0[self.seen..], text) {
                self.seen += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(shown.1 == Power::On && !left.is_zero(), "waited for: {text}\non the terminal:\n{new}");
            shown = self.screen.changed.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").and_then(|()| self.keyboard.flush()).expect("a keyboard");
    }

    /// Types a line at every prompt that contains one of these texts, until the command ends. See [`Self::end`].
    #[track_caller]
    pub fn answer(mut self, prompts: &[(&str, &str)]) -> (Option<i32>, String) {
        while let Some(line) = self.next_prompt(prompts) {
            self.type_line(line);
        }
        self.end()
    }

    /// Everything on the terminal so far.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().0).into_owned()
    }

    /// Waits for the command's end: its exit code and everything that was on the terminal.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.lock();
        while shown.1 == Power::On {
            let left = deadline.saturating_duration_since(Instant::now());
            let so_far = String::from_utf8_lossy(&shown.0).into_owned();
            assert!(!left.is_zero(), "the command did not end; on the terminal:\n{so_far}");
            shown = self.screen.changed.wait_timeout(shown, left).unwrap().0;
        }
        let text = String::from_utf8_lossy(&shown.0).into_owned();
        drop(shown);
        (self.child.wait().expect("the end of script").code(), text)
    }

    /// The answer to the next prompt; None when the command has ended without one.
    #[track_caller]
    fn next_prompt<'p>(&mut self, prompts: &[(&str, &'p str)]) -> Option<&'p str> {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.lock();
        loop {
            let new = &shown.0[self.seen..];
            let ends = prompts.iter().filter_map(|(text, line)| Some((find(new, text)? + text.len(), *line)));
            if let Some((end, line)) = ends.min_by_key(|(end, _)| *end) {
                self.seen += end;
                return Some(line);
            }
            if shown.1 == Power::Off {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "neither prompt nor end; on the terminal:\n{}",
                String::from_utf8_lossy(&shown.0)
            );
            shown = self.screen.changed.wait_timeout(shown, left).unwrap().0;
        }
    }
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|piece| piece == text.as_bytes())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok(); // the command gets SIGHUP with its terminal
            self.child.wait().ok();
        }
    }
}

impl Screen {
    /// Also after a test has failed while it looked.
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, Power)> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, mut output: impl Read) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            self.lock().0.extend_from_slice(&piece[..length]);
            self.changed.notify_all();
        }
        self.lock().1 = Power::Off;
        self.changed.notify_all();
    }
}
