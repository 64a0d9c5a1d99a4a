//! What is left outside memory: cores, logs, files, the command lines and environments of processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hsm_tests::scan::{self, Needles};
use hsm_tests::soak;
use rustix::process::Signal;

use crate::stage::Stage;

/// Cores, files that are open, and what other processes were told; with the vault open.
pub(crate) fn by_a_running_daemon(stage: &mut Stage) {
    let (needles, folder) = (stage.needles(), tempfile::tempdir().unwrap());
    let pid = stage.pid();
    scan::core(pid, folder.path(), &needles).assert_clean("core of an open daemon");
    told_nothing(pid, &needles, "the daemon");
    for helper in stage.helpers() {
        told_nothing(helper, &needles, "a helper");
    }
    scan::process(stage.notary.server().pid(), &needles).assert_clean("the trust server");
    scan::process(stage.registry.process().pid(), &needles).assert_clean("the registry");
}

/// State, log, socket folder, temporary files, the person's folder with the trust data, the tokens' own files.
pub(crate) fn in_files(stage: &mut Stage) {
    let needles = stage.needles();
    assert!(stage.daemon.log().contains("TRACE"), "the log has all that can be logged");
    for (folder, what) in [
        (stage.daemon.folder(), "state, log, configuration, socket and temporary files of the daemon"),
        (stage.home.path(), "the person's folder"),
        (stage.hsm.folder(), "the tokens' files"),
    ] {
        scan::tree(folder, &needles).assert_clean(what);
    }
}

/// A process is told no secret by its command line or environment, and keeps none in an open file.
pub(crate) fn told_nothing(pid: u32, needles: &Needles, who: &str) {
    let process = PathBuf::from(format!("/proc/{pid}"));
    for file in ["cmdline", "environ"] {
        scan::tree(&process.join(file), needles).assert_clean(&format!("{file} of {who}"));
    }
    let open = scan::open_files(pid, needles);
    assert!(open.exposed.is_empty(), "open files of {who}: {open:?}");
}

/// A daemon that dies of SIGABRT leaves no core, in a folder in which another program leaves one.
pub(crate) fn by_a_daemon_that_dies(stage: &mut Stage) {
    let folder = stage.daemon.folder().to_owned();
    assert_eq!(cores(&folder), Vec::<PathBuf>::new());
    stage.daemon.process().signal(Signal::ABORT);
    let status = stage.daemon.process().wait_end(std::time::Duration::from_secs(20)).expect("it is dead");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::ABORT.as_raw()));
    assert_eq!(cores(&folder), Vec::<PathBuf>::new(), "a daemon leaves no core");

    let mut other = Command::new("/bin/sh");
    other.args(["-c", "ulimit -c unlimited && kill -ABRT $$"]).current_dir(&folder);
    other.stderr(Stdio::null()).status().unwrap();
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with(['/', '|']) {
        soak::say(&format!(
            "NOT SEEN: whether a core would have come; this machine has them elsewhere: {pattern}"
        ));
        return;
    }
    assert_eq!(cores(&folder).len(), 1, "another program's core");
}

fn cores(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("core")).collect()
}
