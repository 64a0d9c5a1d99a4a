//! `make quickstart` ends well, leaves nothing running, and with KEEP=1 leaves everything usable.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use hsm_tests::cli::{Cli, Ran, shipped_folder};
use hsm_tests::place::Place;

const PATIENCE: Duration = Duration::from_secs(300);

fn quickstart(folder: &Path, keep: &str) -> Ran {
    let quickstart = Cli::new(env!("CARGO_BIN_EXE_quickstart")).arg(folder).env("KEEP", keep);
    quickstart.env("TOUCHMARK_BIN_DIR", shipped_folder()).deadline(PATIENCE).run().exits(0)
}

/// The programs that work inside the folder.
fn running_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let inside = processes.filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|place| place.starts_with(folder))
    });
    inside.filter_map(|process| std::fs::read_to_string(process.path().join("comm")).ok()).collect()
}

#[test]
fn the_quickstart_ends_well_and_leaves_nothing_running() {
    let place = Place::new();
    let folder = place.join("q");
    let ran = quickstart(&folder, "0").says("Successfully signed");
    assert_eq!(ran.stdout.lines().last(), Some("quickstart: OK"));
    assert_eq!(running_in(&folder), Vec::<String>::new());
}

#[test]
fn kept_it_goes_on_until_it_is_stopped() {
    let place = Place::new();
    let folder = place.join("q");
    quickstart(&folder, "1").says("Still running.");
    assert!(running_in(&folder).len() >= 4, "daemon, notary-server, notary-signer, registry");

    let status = format!(". {}/env && touchmark status", folder.display());
    Cli::new("/bin/sh").args(["-c", &status]).ok();

    Cli::new(folder.join("stop")).ok();
    assert_eq!(running_in(&folder), Vec::<String>::new());
}
