//! A short temporary folder: a Unix socket in it stays within `sun_path`'s 107 bytes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder for one fixture's files.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    /// A new, empty folder (mode 0700) below `/tmp`, its path ten bytes long, as long as `/run/pcscd`; removed with
    /// everything in it when dropped.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "makes a folder on disk: no default value")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("t").rand_bytes(4).tempdir_in("/tmp");
        let folder = folder.expect("a folder in /tmp");
        Self { path: folder.path().to_owned(), _temporary: Some(folder) }
    }

    /// This folder, made if it is not there, and never removed.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        Self { path: path.to_owned(), _temporary: None }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name in the folder; nothing is made there.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A folder in the folder, made if it is not there.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.join(name);
        std::fs::create_dir_all(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        folder
    }
}
