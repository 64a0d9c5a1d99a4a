//! A folder for parsers that read files.
use std::path::Path;

/// An empty folder for `work` alone, gone after it; in memory where that can be, as some of them sync what they write.
pub(crate) fn with_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    work(folder.path())
}
