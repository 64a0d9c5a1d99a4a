//! One writer per repository: `flock` on a file of our own, which Docker never sees.
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use touchmark_tuf::Gun;
use touchmark_tuf::Sha256Digest;

use super::{FILE_MODE, TrustDirError};

/// A writer needs milliseconds; who holds it longer is stopped or stuck, and is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// The lock; let go on drop, or when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path, gun: &Gun) -> Result<Self, TrustDirError> {
        let path = folder.join(format!("{}.lock", Sha256Digest::of(gun.as_str().as_bytes())));
        let unwritable = |cause| TrustDirError::Unwritable { path: path.clone(), cause };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(unwritable)?;
        let start = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR)
                    if start.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(TrustDirError::Busy { path }),
                Err(cause) => return Err(unwritable(cause.into())),
            }
        }
    }
}
