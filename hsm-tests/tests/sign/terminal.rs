//! A terminal of its own (`script`, a pseudo terminal) with a shell line in it, typed into like by a person: only
//! after the prompt has come.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use hsm_tests::cli::tool;
use hsm_tests::home::Home;

/// A running shell line.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// Runs it with the person's environment.
    pub(crate) fn run(home: &Home, line: &str) -> Self {
        let script = home.cli(&tool("script")).args(["-qfec", line, "/dev/null"]).env("SHELL", "/bin/sh");
        let mut command = script.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("script");
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, screen, shown: String::new() }
    }

    /// Reads until the screen shows this.
    pub(crate) fn wait_for(&mut self, wanted: &str) {
        let mut byte = [0];
        while !self.shown.ends_with(wanted) {
            let count = self.screen.read(&mut byte).expect("the screen");
            assert!(count > 0, "the terminal ended without: {wanted}\n{}", self.shown);
            self.shown.push(char::from(byte[0]));
        }
    }

    /// Types.
    pub(crate) fn type_in(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).and_then(|()| self.keys.flush()).expect("the keyboard");
    }

    /// Everything that was shown until its end.
    pub(crate) fn end(mut self) -> String {
        let mut rest = Vec::new();
        // The pseudo terminal ends with an error when its last user leaves.
        let _ended = self.screen.read_to_end(&mut rest);
        self.shown += &String::from_utf8_lossy(&rest);
        self.child.wait().expect("script's end");
        self.shown
    }
}
