//! What a snapshot has to keep to: it lists what the daemon has signed or verified, and changes nothing by itself.
use touchmark_tuf::{FileMeta, RoleName, Snapshot};

/// The current file of a role.
#[derive(Clone, Debug)]
pub struct KnownFile {
    /// The role.
    pub role: RoleName,
    /// What a snapshot has to say of it.
    pub meta: FileMeta,
}

impl KnownFile {
    /// Of the file as published.
    #[must_use]
    pub fn new(role: RoleName, file: &[u8]) -> Self {
        Self { role, meta: FileMeta::of(file) }
    }

    fn is(&self, role: &RoleName, meta: &FileMeta) -> bool {
        self.role == *role
            && self.meta.sha256 == meta.sha256
            && self.meta.length == meta.length
            && (meta.sha512.is_none() || self.meta.sha512 == meta.sha512)
    }
}

pub(super) fn check(base: Option<&Snapshot>, new: &Snapshot, files: &[KnownFile]) -> Result<(), String> {
    for (role, meta) in &new.meta {
        let unchanged = base.and_then(|base| base.meta.get(role)) == Some(meta);
        if !unchanged && !files.iter().any(|file| file.is(role, meta)) {
            return Err(format!("it lists a {role} file that was neither signed nor verified here"));
        }
    }
    // A role that vanishes from the snapshot vanishes for readers, whatever its own document says.
    match base.and_then(|base| base.meta.keys().find(|role| !new.meta.contains_key(role))) {
        Some(role) => Err(format!("it no longer lists {role}")),
        None => Ok(()),
    }
}
