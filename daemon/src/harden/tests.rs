use super::*;

#[test]
fn the_process_gives_up_dumps_and_loose_modes() {
    let held = process();
    assert_eq!(held.no_core, Holds::Yes);
    assert_eq!(held.not_dumpable, Holds::Yes);
    assert_eq!(held.no_new_privileges, Holds::Yes);
    assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
    assert_eq!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    std::fs::write(&file, b"x").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_does_not_hold_is_said_with_its_reason() {
    let mut held = process();
    held.no_core = Holds::No("Operation not permitted".into());
    assert_eq!(
        held.warnings().first().map(String::as_str),
        Some("hardening: no core dumps: no, Operation not permitted")
    );
}
