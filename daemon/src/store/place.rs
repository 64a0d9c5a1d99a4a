//! Where the database lies: a local disk, a folder and files of our own, and whether it is still the same place.
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{OFlags, StatFs, statfs};
use touchmark_tuf::Sha256Digest;

use super::{FILE, StoreError};

/// File systems whose locks and syncs are somebody else's promise: `statfs(2)` magic numbers.
const NETWORK: [(u32, &str); 13] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE (a network or user-space file system)"),
    (0x0102_1997, "9P"),
    (0x0000_564c, "NCP"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
];

/// Where this state lives, as far as it can be told: a copy or a restored backup has another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity(pub(super) Sha256Digest);

/// Makes the folder (0700) and an empty file (0600) where they are missing. Returns the file's path.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, StoreError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StoreError::Place { path, source: Arc::new(source) }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    let system = statfs(dir).map_err(io::Error::from).map_err(at(dir))?;
    if let Some(kind) = network_kind(&system) {
        return Err(StoreError::Network { path: dir.to_owned(), kind });
    }
    let path = dir.join(FILE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(no_follow());
    let file = options.open(&path).map_err(at(&path))?;
    private(&file).map_err(at(&path))?;
    // The folder's entry has to be on the disk before anything relies on the file.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
    Ok(path)
}

/// Of the machine's id, the file's number and its time of birth. The device number is left out: it changes with the
/// order in which disks are found.
pub(super) fn identity(path: &Path) -> Result<Identity, StoreError> {
    let machine = fs::read("/etc/machine-id").unwrap_or_default();
    let data = fs::metadata(path)
        .map_err(|source| StoreError::Place { path: path.to_owned(), source: Arc::new(source) })?;
    let born =
        data.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |at| at.as_nanos());
    let text = format!("{}\n{}\n{born}", Sha256Digest::of(&machine), data.ino());
    Ok(Identity(Sha256Digest::of(text.as_bytes())))
}

fn network_kind(system: &StatFs) -> Option<&'static str> {
    // The field's width and sign differ between architectures; magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let magic = system.f_type as u32;
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, kind)| *kind)
}

fn private(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { file.set_permissions(Permissions::from_mode(0o600)) }
}

fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}
