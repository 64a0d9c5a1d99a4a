//! A small disk of its own, which can be full: a tmpfs.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::cli::{Cli, tool};
use crate::place::Place;

/// What takes up the room.
const BALLAST: &str = "ballast";

/// A mounted file system. Dropped, it is unmounted.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    _place: Place,
}

impl SmallDisk {
    /// One of so many MiB. None for anybody but root, who alone may mount; that is written to stderr, past the test
    /// runner's capture.
    ///
    /// # Panics
    /// When root may not mount either.
    #[must_use]
    pub fn mounted(mib: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            writeln!(
                std::io::stderr().lock(),
                "SKIPPED: what needs a full disk, because only root may mount one"
            )
            .ok();
            return None;
        }
        let place = Place::new();
        let path = place.folder("disk");
        let mount =
            Cli::new(tool("mount")).args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "tmpfs"]);
        mount.arg(&path).ok();
        Some(Self { path, _place: place })
    }

    /// Its top folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path.join(BALLAST)).expect("the ballast");
        for size in [64 * 1024, 4096, 1] {
            let block = vec![0; size];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(why) if why.kind() == ErrorKind::StorageFull => break,
                    Err(why) => panic!("the ballast: {why}"),
                }
            }
        }
    }

    /// Gives the room back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path.join(BALLAST)).expect("the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once for whoever comes next, even where something still has a file open there.
        drop(Cli::new(tool("umount")).arg("--lazy").arg(&self.path).run());
    }
}
