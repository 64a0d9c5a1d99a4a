//! The folder that a socket or a state lives in: made tight, and refused where others could reach into it.

use std::fs::{self, DirBuilder, Metadata};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use super::ListenError;

/// Write permission for group or others.
const WRITE_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Who may enter the folder beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nobody: mode 0700.
    Own,
    /// A group: mode 0750.
    Group(u32),
}

impl Opening {
    const fn mode(self) -> u32 {
        match self {
            Self::Own => 0o700,
            Self::Group(_) => 0o750,
        }
    }
}

/// Makes the folder where it is missing, and checks it and every folder above it.
///
/// # Errors
/// Everything of [`ListenError`] that is about folders; each says what to type.
pub fn prepare(folder: &Path, opening: Opening, own_uid: u32) -> Result<(), ListenError> {
    if !folder.exists() {
        make(folder, opening)?;
    }
    inspect(folder, opening, own_uid)
}

/// Whether [`prepare`] would refuse a folder because others can reach into it. One that is missing will be made; whose it
/// is, and who may enter it, is not ours to say: another user may run the daemon, and systemd may open the socket.
///
/// # Errors
/// As [`prepare`].
pub fn foresee(folder: &Path, opening: Opening) -> Result<(), ListenError> {
    let Ok(found) = fs::metadata(folder) else { return Ok(()) };
    match inspect(folder, opening, found.uid()) {
        Err(ListenError::Group { .. }) => Ok(()),
        Err(ListenError::Mode { mode, .. }) if mode & WRITE_OTHERS == 0 => Ok(()),
        other => other,
    }
}

fn inspect(folder: &Path, opening: Opening, own_uid: u32) -> Result<(), ListenError> {
    let real = fs::canonicalize(folder).map_err(|e| ListenError::io("cannot find", folder, e))?;
    if real != folder {
        return Err(ListenError::Link { given: folder.to_path_buf(), real });
    }
    for above in folder.ancestors().skip(1) {
        way(above, own_uid)?;
    }
    let found = look(folder)?;
    if !found.is_dir() {
        return Err(ListenError::NotAFolder(folder.to_path_buf()));
    }
    if found.uid() != own_uid {
        return Err(ListenError::Owner { path: folder.to_path_buf(), owner: found.uid(), wanted: own_uid });
    }
    if let Opening::Group(wanted) = opening
        && found.gid() != wanted
    {
        return Err(ListenError::Group { path: folder.to_path_buf(), group: found.gid(), wanted });
    }
    let (mode, wanted) = (found.mode() & 0o7777, opening.mode());
    // Tighter than wanted is the owner's choice; anything beyond is refused.
    if mode & 0o777 & !wanted != 0 {
        return Err(ListenError::Mode { path: folder.to_path_buf(), mode, wanted });
    }
    Ok(())
}

fn make(folder: &Path, opening: Opening) -> Result<(), ListenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| ListenError::io("cannot make the folder", folder, e))?;
    if let Opening::Group(gid) = opening {
        std::os::unix::fs::chown(folder, None, Some(gid))
            .map_err(|e| ListenError::io("cannot give to socket-group", folder, e))?;
        rustix::fs::chmod(folder, rustix::fs::Mode::from_raw_mode(opening.mode()))
            .map_err(|e| ListenError::io("cannot set the mode of", folder, e))?;
    }
    Ok(())
}

/// A folder above: only root and ourselves may be able to replace what is in it.
fn way(path: &Path, own_uid: u32) -> Result<(), ListenError> {
    let found = look(path)?;
    let refuse = |why: String| Err(ListenError::Way { path: path.to_path_buf(), why });
    if found.uid() != 0 && found.uid() != own_uid {
        return refuse(format!("it belongs to uid {}", found.uid()));
    }
    let shared = found.mode() & WRITE_OTHERS != 0 && found.mode() & STICKY == 0;
    // A group of root's that may write (Debian's /var/local, say) is root's business, all others' is not.
    if shared && (found.mode() & 0o002 != 0 || found.uid() != 0) {
        return refuse(format!("its mode is {:04o}", found.mode() & 0o7777));
    }
    Ok(())
}

fn look(path: &Path) -> Result<Metadata, ListenError> {
    fs::symlink_metadata(path).map_err(|e| ListenError::io("cannot look at", path, e))
}
