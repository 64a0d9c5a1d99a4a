use super::*;

/// A `/proc` with these processes: id, name, program, and what they have loaded where that may be seen.
fn machine(processes: &[(&str, &str, &str, Option<&str>)]) -> tempfile::TempDir {
    let proc = tempfile::tempdir().unwrap();
    for (id, name, program, maps) in processes {
        let process = proc.path().join(id);
        std::fs::create_dir(&process).unwrap();
        std::fs::write(process.join("comm"), format!("{name}\n")).unwrap();
        std::os::unix::fs::symlink(program, process.join("exe")).unwrap();
        if let Some(maps) = maps {
            std::fs::write(process.join("maps"), maps).unwrap();
        }
    }
    proc
}

const USES: Option<&str> = Some("7f00-7f10 r-xp 0 0:0 1 /usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0\n");

#[test]
fn whoever_uses_the_service_is_named_and_neither_it_nor_we_are() {
    let proc = machine(&[
        ("self", "touchmarkd", "/usr/bin/touchmarkd", USES),
        ("10", "touchmarkd", "/usr/bin/touchmarkd", USES),
        ("11", "pcscd", "/usr/sbin/pcscd", USES),
        ("12", "bash", "/bin/bash", Some("7f00-7f10 r-xp 0 0:0 1 /usr/lib/libc.so.6\n")),
        ("130", "ykman", "/usr/bin/python3", USES),
        ("20", "opensc-tool", "/usr/bin/opensc-tool", USES),
    ]);
    assert_eq!(others(proc.path()), ["opensc-tool (process 20)", "ykman (process 130)"]);
}

#[test]
fn of_another_users_processes_those_that_are_known_to_keep_cards_are_named() {
    let proc = machine(&[
        ("12", "scdaemon", "/usr/lib/gnupg/scdaemon", None),
        ("13", "bash", "/bin/bash", Some("")),
        ("14", "scdaemon", "/usr/lib/gnupg/scdaemon", Some("")),
    ]);
    assert_eq!(others(proc.path()), ["scdaemon (process 12)", "scdaemon (process 14)"]);
    assert!(others(Path::new("/nowhere")).is_empty());
}
