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
        let bytes = fs::read(path).unwrap_or_else(|why| fail(why));
        findings.exposed = find(&bytes, 0, &path.display().to_string(), needles);
        findings.bytes = bytes.len() as u64;
    }
    findings
}

pub(super) fn scan_core(pid: u32, folder: &Path, needles: &Needles) -> Findings {
    let prefix = folder.join("core");
    Cli::new(tool("gcore")).arg("-o").arg(&prefix).arg(pid.to_string()).ok();
    let core = folder.join(format!("core.{pid}"));
    let findings = scan(&core, needles);
    fs::remove_file(&core).unwrap_or_else(|why| panic!("{}: {why}", core.display()));
    findings
}
