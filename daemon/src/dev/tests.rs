use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn everything_lies_under_the_folder_and_is_tight() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("dev");
    let config = prepare(&folder, own_uid()).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(config.socket, folder.join("touchmarkd.sock"));
    assert!(config.state.starts_with(&folder));
    let token = config.tokens.first().unwrap();
    assert_eq!(token.pin, PinSource::File(folder.join("pin")));
    let conf = fs::read_to_string(&token.env["SOFTHSM2_CONF"]).unwrap();
    assert!(conf.contains(&format!("directories.tokendir = {}", folder.join("tokens").display())), "{conf}");
}

#[test]
fn a_folder_of_somebody_else_or_too_deep_is_refused() {
    let base = tempfile::tempdir().unwrap();
    assert!(matches!(prepare(base.path(), own_uid() + 1), Err(DevError::Owner { .. })));
    let deep = base.path().join("x".repeat(100));
    assert!(matches!(prepare(&deep, own_uid()), Err(DevError::TooLong(_))));
}
