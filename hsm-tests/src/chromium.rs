//! A real browser without a screen: what it makes of a page, what it complains of, how many sheets it prints.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{Cli, Ran, tool};
use crate::place::Place;

/// Set to `1`, it allows a machine without Chromium: what needs one is skipped, and said so.
pub const WITHOUT: &str = "TOUCHMARK_WITHOUT_BROWSER";

/// Chromium, with a profile of its own for each page.
#[derive(Debug)]
pub struct Chromium {
    program: PathBuf,
}

/// What became of a page.
#[derive(Clone, Debug)]
pub struct Dom {
    /// The page as it stands when it has been read.
    pub html: String,
    /// What it wrote to the console: errors of scripts, what its own policy refused.
    pub console: Vec<String>,
}

impl Chromium {
    /// The installed one. None only where the caller allowed it by [`WITHOUT`]; that is written to stderr, past the
    /// test runner's capture.
    #[must_use]
    pub fn find() -> Option<Self> {
        if std::env::var_os(WITHOUT).is_some_and(|value| value == "1") {
            let mut stderr = std::io::stderr().lock();
            writeln!(stderr, "SKIPPED: what needs a browser, because {WITHOUT}=1").ok();
            return None;
        }
        Some(Self { program: tool("chromium") })
    }

    /// Reads a page.
    #[must_use]
    pub fn dom(&self, page: &Path) -> Dom {
        let ran = self.run(page, &["--dump-dom"]);
        let console = ran.stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        Dom { html: ran.stdout, console }
    }

    /// Prints a page, and counts the sheets.
    #[must_use]
    pub fn pages(&self, page: &Path) -> usize {
        let pdf = page.with_extension("pdf");
        let to = format!("--print-to-pdf={}", pdf.display());
        drop(self.run(page, &["--no-pdf-header-footer", &to]));
        let bytes = std::fs::read(&pdf).expect("the printed file");
        let text = String::from_utf8_lossy(&bytes);
        text.split("/Type /Page").skip(1).filter(|after| !after.starts_with('s')).count()
    }

    fn run(&self, page: &Path, args: &[&str]) -> Ran {
        let place = Place::new();
        Cli::new(&self.program)
            .deadline(Duration::from_secs(60))
            .env("HOME", place.path())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=3000"])
            .arg(format!("--user-data-dir={}", place.join("profile").display()))
            .args(args)
            .arg(format!("file://{}", page.display()))
            .ok()
    }
}
