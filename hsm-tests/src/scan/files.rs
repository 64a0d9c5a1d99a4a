//! Files and cores.

use std::fs;
use std::path::Path;

use super::matcher::find;
use super::{Findings, Needles};
use crate::cli::{Cli, tool};

pub(super) fn scan(path: &Path, needles: &Needles) -> Findings {
    let fail = |why: std::io::Error| -> ! { panic!("{}: {why}", path.display()) };
    let kind = fs::symlink_metadata(path).unwrap_or_else(|why| fail(why)).file_type();
    let mut findings = Findings::default();
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap_or_else(|why| fail(why)) {
            findings = findings.and(scan(&entry.unwrap_or_else(|why| fail(why)).path(), needles));
        }
    } else if kind.is_file() {
        findings = scan_file(path, needles);
    }
    findings
}

pub(super) fn scan_open(pid: u32, needles: &Needles) -> Findings {
    let folder = format!("/proc/{pid}/fd");
    let open = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{folder}: {why}"));
    // What was closed in the meantime is not open.
    let files = open.flatten().map(|entry| entry.path());
    let files = files.filter(|path| fs::metadata(path).is_ok_and(|file| file.is_file()));
    files.fold(Findings::default(), |all, path| all.and(scan_file(&path, needles)))
}

fn scan_file(path: &Path, needles: &Needles) -> Findings {
    let bytes = fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let exposed = find(&bytes, 0, &path.display().to_string(), needles);
    Findings { exposed, bytes: bytes.len() as u64, ..Findings::default() }
}

pub(super) fn scan_core(pid: u32, folder: &Path, needles: &Needles) -> Findings {
    let prefix = folder.join("core");
    Cli::new(tool("gcore")).arg("-o").arg(&prefix).arg(pid.to_string()).ok();
    let core = folder.join(format!("core.{pid}"));
    let findings = scan(&core, needles);
    fs::remove_file(&core).unwrap_or_else(|why| panic!("{}: {why}", core.display()));
    findings
}
