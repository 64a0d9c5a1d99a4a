use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;

use super::trusted;

#[test]
fn a_module_that_everybody_can_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let module = inner.join("module.so");
    create_dir(&inner).unwrap();
    write(&module, "code").unwrap();
    let mode = |path: &std::path::Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for (file, above, is_trusted) in [
        (0o644, 0o755, true),
        (0o664, 0o775, true),
        (0o666, 0o755, false),
        (0o644, 0o777, false),
        (0o644, 0o1777, true),
    ] {
        mode(&module, file);
        mode(&inner, above);
        let refused = trusted(&module);
        assert_eq!(refused.is_ok(), is_trusted, "{file:o} in {above:o}: {refused:?}");
        assert!(refused.map_or_else(|why| why.contains("chmod o-w"), |()| true));
    }
}

#[test]
fn a_module_that_is_not_there_or_no_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(trusted(&folder.path().join("nothing.so")).unwrap_err().contains("No such file"));
    assert!(trusted(folder.path()).unwrap_err().contains("not a file"));
}
