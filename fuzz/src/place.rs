//! A folder for parsers that read files.
use std::path::Path;

/// An empty folder for `work` alone, gone after it.
pub(crate) fn with_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path())
}
