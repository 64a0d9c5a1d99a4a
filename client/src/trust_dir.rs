//! The trust directory, shared with Docker and notary byte for byte: `tuf/GUN/metadata/{root,targets,snapshot,
//! timestamp}.json` and `targets/NAME.json`. Files are whole or absent, and change only after everything verified.
//! Nothing is verified here.
mod lock;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;

use touchmark_tuf::limits;
use touchmark_tuf::{DelegationName, Gun, RoleName};

use self::lock::Lock;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Files that are written at the same time.
const AT_ONCE: usize = 8;
/// Levels of folders that are searched for repositories: more than a GUN of 255 bytes can have.
const DEPTH: usize = 130;

/// The directory; need not exist.
#[derive(Clone, Debug)]
pub struct TrustDir {
    base: PathBuf,
}

/// The files that are kept of one repository, as they were served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<RoleName, Vec<u8>>);

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The directory now has these files.
    Done,
    /// Somebody else changed the directory meanwhile: nothing was written, load and verify again.
    Overtaken,
}

/// Whether there was something to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// It is gone now.
    Gone,
    /// There was nothing.
    Unknown,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustDirError {
    /// A file is there and cannot be read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file or folder cannot be written. Nothing of what was there is lost.
    #[error("cannot write {path}: {cause}", path = path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another process holds the lock of this repository. A retry helps.
    #[error("another process holds {path}", path = path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
}

impl Files {
    /// The file of a role.
    #[must_use]
    pub fn get(&self, role: &RoleName) -> Option<&[u8]> {
        self.0.get(role).map(Vec::as_slice)
    }

    /// Sets the file of a role.
    pub fn insert(&mut self, role: RoleName, file: Vec<u8>) {
        self.0.insert(role, file);
    }

    /// All files, by role.
    pub fn iter(&self) -> impl Iterator<Item = (&RoleName, &[u8])> {
        self.0.iter().map(|(role, file)| (role, file.as_slice()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TrustDir {
    /// The directory `base`, such as `~/.docker/trust`.
    #[must_use]
    pub fn new(base: PathBuf) -> Self {
        Self { base }
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// What is kept of a repository: nothing verified. Files beyond the limits count as absent, but for the root,
    /// whose absence would mean trust on first use.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn load(&self, gun: &Gun) -> Result<Files, TrustDirError> {
        let folder = self.metadata(gun);
        let mut files = Files::default();
        for role in [RoleName::Root, RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
            load_one(&folder, role, &mut files)?;
        }
        for name in delegations(&folder.join("targets"), "", 0)? {
            load_one(&folder, RoleName::Delegation(name), &mut files)?;
        }
        Ok(files)
    }

    /// Puts `files` into place if the directory still is as it was `before`, one process at a time.
    ///
    /// # Errors
    /// Something cannot be written; a file is then either the old or the new one, never a part.
    pub fn commit(&self, gun: &Gun, before: &Files, files: &Files) -> Result<Commit, TrustDirError> {
        let has_all = |kept: &Files| files.iter().all(|(role, file)| kept.get(role) == Some(file));
        if has_all(before) && has_all(&self.load(gun)?) {
            return Ok(Commit::Done); // also in a directory that cannot be written
        }
        let _lock = self.lock(gun)?;
        let now = self.load(gun)?;
        if has_all(&now) {
            return Ok(Commit::Done);
        }
        if now != *before {
            return Ok(Commit::Overtaken);
        }
        let folder = self.metadata(gun);
        make_folder(&folder)?;
        // Root first, timestamp last: a crash in between leaves what a reader can go on from.
        let order = |role: &RoleName| match role {
            RoleName::Root => 0,
            RoleName::Targets => 1,
            RoleName::Delegation(_) => 2,
            RoleName::Snapshot => 3,
            RoleName::Timestamp => 4,
        };
        let mut changed: Vec<_> = files.iter().filter(|(role, file)| now.get(role) != Some(*file)).collect();
        changed.sort_by_key(|(role, _)| order(role));
        let changed = changed.into_iter().map(|(role, file)| (file_of(&folder, role), file));
        replace(&changed.collect::<Vec<_>>())?;
        Ok(Commit::Done)
    }

    /// Forgets root and cache of a repository; keys and staged changes of Docker beside them stay.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn forget(&self, gun: &Gun) -> Result<Forgotten, TrustDirError> {
        let folder = self.metadata(gun);
        if !folder.join("root.json").exists() {
            return Ok(Forgotten::Unknown);
        }
        let _lock = self.lock(gun)?;
        fs::remove_dir_all(&folder).map_err(|cause| TrustDirError::Unwritable { path: folder, cause })?;
        Ok(Forgotten::Gone)
    }

    /// The repositories whose root is kept, in order.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn guns(&self) -> Result<Vec<Gun>, TrustDirError> {
        let mut found = Vec::new();
        let mut folders = vec![(self.base.join("tuf"), String::new())];
        while let Some((folder, name)) = folders.pop() {
            if folder.join("metadata/root.json").is_file()
                && let Ok(gun) = Gun::try_from(name.as_str())
            {
                found.push(gun);
            }
            if name.matches('/').count() < DEPTH {
                let below =
                    |child: &str| if name.is_empty() { child.to_owned() } else { format!("{name}/{child}") };
                folders
                    .extend(entries(&folder)?.into_iter().map(|child| (folder.join(&child), below(&child))));
            }
        }
        found.sort();
        Ok(found)
    }

    fn metadata(&self, gun: &Gun) -> PathBuf {
        self.base.join("tuf").join(gun.as_str()).join("metadata")
    }

    fn lock(&self, gun: &Gun) -> Result<Lock, TrustDirError> {
        let folder = self.base.join(".touchmark");
        make_folder(&folder)?;
        Lock::take(&folder, gun)
    }
}

fn file_of(folder: &Path, role: &RoleName) -> PathBuf {
    folder.join(format!("{role}.json"))
}

fn load_one(folder: &Path, role: RoleName, files: &mut Files) -> Result<(), TrustDirError> {
    let path = file_of(folder, &role);
    let cap = limits::file_bytes(&role);
    let mut bytes = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(length) if length <= cap || role == RoleName::Root => files.insert(role, bytes),
        Ok(_) => {}
        Err(cause) if is_absent(&cause) => {}
        Err(cause) => return Err(TrustDirError::Unreadable { path, cause }),
    }
    Ok(())
}

/// The delegations below `targets/` of a metadata folder; files with other names are not ours.
fn delegations(folder: &Path, prefix: &str, depth: usize) -> Result<Vec<DelegationName>, TrustDirError> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        if let Some(name) = entry.strip_suffix(".json") {
            found.extend(DelegationName::new(&format!("{prefix}{name}")).ok());
        } else if depth < DEPTH {
            found.extend(delegations(&folder.join(&entry), &format!("{prefix}{entry}/"), depth + 1)?);
        }
    }
    Ok(found)
}

/// Names in a folder; none if it is no folder. Links are followed by nobody.
fn entries(folder: &Path) -> Result<Vec<String>, TrustDirError> {
    let unreadable = |cause| TrustDirError::Unreadable { path: folder.to_owned(), cause };
    let list = match fs::symlink_metadata(folder) {
        Ok(metadata) if metadata.is_dir() => fs::read_dir(folder).map_err(unreadable)?,
        Ok(_) => return Ok(Vec::new()),
        Err(cause) if is_absent(&cause) => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let mut names = Vec::new();
    for entry in list {
        names.extend(entry.map_err(unreadable)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn make_folder(folder: &Path) -> Result<(), TrustDirError> {
    let unwritable = |cause| TrustDirError::Unwritable { path: folder.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(unwritable)
}

/// Replaces files: all contents to the disk under temporary names, then the names in this order, then the folders.
/// What is synced at the same time shares a turn of the disk; a turn for each was half of what publishing took.
fn replace(files: &[(PathBuf, &[u8])]) -> Result<(), TrustDirError> {
    let mut drafts = Vec::with_capacity(files.len());
    for several in files.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let write =
                |(path, bytes)| thread::Builder::new().spawn_scoped(scope, move || Draft::write(path, bytes));
            let threads: Vec<_> = several.iter().map(|(path, bytes)| (path, write((path, bytes)))).collect();
            for (path, thread) in threads {
                let thread = thread.map_err(unwritable(path))?;
                let gone = |_| unwritable(path)(io::Error::other("the thread that wrote it is gone"));
                drafts.push(thread.join().map_err(gone)??);
            }
            Ok(())
        })?;
    }
    let mut folders = BTreeMap::new();
    for draft in &drafts {
        fs::rename(&draft.temporary, &draft.path).map_err(unwritable(&draft.path))?;
        folders.insert(draft.path.parent(), &draft.path);
    }
    for (folder, path) in folders {
        folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all()).map_err(unwritable(path))?;
    }
    Ok(())
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> TrustDirError {
    let path = path.to_owned();
    move |cause| TrustDirError::Unwritable { path: path.clone(), cause }
}

/// New content on the disk under a temporary name, which goes with this. The caller holds the lock, so it is ours.
struct Draft {
    path: PathBuf,
    temporary: PathBuf,
}

impl Draft {
    fn write(path: &Path, bytes: &[u8]) -> Result<Self, TrustDirError> {
        make_folder(path.parent().unwrap_or(path))?;
        let temporary = path.with_extension("json.touchmark");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = options.open(&temporary).map_err(unwritable(path))?;
        let draft = Self { path: path.to_owned(), temporary };
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unwritable(path))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.temporary)); // after the rename there is none
    }
}

#[cfg(test)]
mod tests;
