//! Whether a module may be loaded: its code sees every PIN, so nobody else may be able to put other code there.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Everybody may write.
const EVERYBODY: u32 = 0o002;
/// In a folder: only owners may remove and rename.
const STICKY: u32 = 0o1000;

/// Sees that a module belongs to root or this user, and that not everybody can write to it or to a folder above it.
/// What groups may do is for whoever makes the groups.
///
/// # Errors
/// What is wrong, and what to type.
pub(super) fn trusted(module: &Path) -> Result<(), String> {
    let file = std::fs::canonicalize(module).map_err(|error| error.to_string())?;
    let own = rustix::process::geteuid().as_raw();
    let look = |path: &Path| std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()));
    let found = look(&file)?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    if found.uid() != 0 && found.uid() != own {
        return Err(format!(
            "it belongs to uid {}, who could put other code there; chown root {}",
            found.uid(),
            file.display()
        ));
    }
    // The way to it may be links.
    for path in file.ancestors().chain(module.ancestors().skip(1)) {
        if is_open(&look(path)?) {
            return Err(format!("everybody can write to {0}; chmod o-w {0}", path.display()));
        }
    }
    Ok(())
}

/// Whether everybody can change a file, or what lies in a folder.
fn is_open(found: &Metadata) -> bool {
    let sticky_folder = found.is_dir() && found.mode() & STICKY != 0;
    found.mode() & EVERYBODY != 0 && !sticky_folder
}

#[cfg(test)]
mod tests;
