//! Files on a stick: read up to a cap; written whole or not at all, and on the stick before it is said.
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_tuf::shown;

use crate::error::Error;

/// The longest file of a ceremony, in bytes.
pub const FILE_MAX: u64 = 256 << 20;

/// Reads a file.
///
/// # Errors
/// `USAGE`: it cannot be read. `CEREMONY_INVALID`: it is longer than any such file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |cause: io::Error| Error::usage(format!("cannot read {}: {cause}", name(path)));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_MAX {
        let message = format!("{} is longer than {FILE_MAX} bytes: it is no file of a ceremony", name(path));
        return Err(Error::new(Reason::CeremonyInvalid, message));
    }
    Ok(bytes)
}

/// Writes a new file; one that is there stays as it is.
///
/// # Errors
/// `USAGE`: it is there already, or cannot be written. Then nothing of it is left.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write(path, bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::usage(format!("{} is there already", name(path))).hint("another --out, or move it away")
        }
        _ => Error::usage(format!("cannot write {}: {cause}; nothing of it is left there", name(path)))
            .hint("see that the stick is in, may be written and has room; then the same command again"),
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// A path as it is shown.
#[must_use]
pub fn name(path: &Path) -> String {
    shown(&path.to_string_lossy()).to_string()
}
