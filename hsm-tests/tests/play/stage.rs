//! The planner's workstation: online, with the vault of tagging keys and no root key that takes part.

use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::Cli;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::place::Place;

pub(crate) struct Stage {
    pub(crate) notary: Notary,
    pub(crate) planner: Home,
    _daemon: Daemon,
    stick: Place,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let (notary, daemon) = (Notary::start(&Ca::new()), Daemon::dev());
        let mut planner = Home::new();
        planner.use_notary(&notary);
        planner.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { notary, planner, _daemon: daemon, stick: Place::new() }
    }

    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        self.planner.touchmark().args(args)
    }

    /// What everybody carries around.
    pub(crate) fn stick(&self) -> &Path {
        self.stick.path()
    }

    pub(crate) fn on_stick(&self, name: &str) -> String {
        self.stick.join(name).to_str().unwrap().to_owned()
    }

    /// Plans; the file, and the words that the planner tells over the telephone.
    pub(crate) fn plans(&self, name: &str, args: &[&str]) -> (String, String) {
        let file = self.on_stick(name);
        self.touchmark(&["ceremony", "plan", "--out", &file]).args(args).ok();
        let shown = self.touchmark(&["ceremony", "show", &file, "--format", "json"]).ok().json();
        let words = shown["fingerprint"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
        (file, words)
    }

    /// Puts transcripts together and sends the result; the record's file.
    pub(crate) fn publishes(&self, plan: &str, transcripts: &[String]) -> String {
        let record = format!("{plan}.ceremony");
        let merge = self.touchmark(&["ceremony", "merge", plan, "--out", &record]).args(transcripts);
        merge.ok();
        self.touchmark(&["ceremony", "publish", &record, "--yes"]).ok();
        record
    }

    /// The published root file of a repository, as this reader has it.
    pub(crate) fn root_of(&self, home: &Home, gun: &str) -> PathBuf {
        home.trust().join("tuf").join(gun).join("metadata/root.json")
    }
}
