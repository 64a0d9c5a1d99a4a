//! Published roots, by which the record of a ceremony is judged: what somebody got elsewhere and believes.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{
    CheckSignature, Gun, Pin, RoleName, Root, RootCertificate, RootSource, Trusted, Unverified, Verified,
};

use super::file;
use crate::error::Error;

/// Roots by repository and version.
#[derive(Debug, Default)]
pub struct Anchors {
    roots: BTreeMap<Gun, BTreeMap<u64, Verified<Root>>>,
}

impl Anchors {
    /// Reads root files; of a folder every file whose name ends in `.json` and that is a root.
    ///
    /// # Errors
    /// `USAGE`: one cannot be read, or a folder has none. `SIGNATURE_INVALID`: a file that was named is no root that its
    /// own keys signed.
    pub fn read(paths: &[PathBuf], checker: &Arc<dyn CheckSignature + Send + Sync>) -> Result<Self, Error> {
        let mut anchors = Self::default();
        for path in paths {
            if path.is_dir() {
                anchors.read_folder(path, checker)?;
                continue;
            }
            anchors.insert(&file::read(path)?, checker).map_err(|why| {
                let message = format!("{} is no published root: {why}", file::name(path));
                Error::new(Reason::SignatureInvalid, message)
                    .hint("--root takes the root.json of a trust server")
            })?;
        }
        Ok(anchors)
    }

    fn read_folder(
        &mut self,
        folder: &Path,
        checker: &Arc<dyn CheckSignature + Send + Sync>,
    ) -> Result<(), Error> {
        let unreadable =
            |cause: std::io::Error| Error::usage(format!("cannot read {}: {cause}", file::name(folder)));
        let mut found = false;
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|end| end == "json") && path.is_file() {
                found |= self.insert(&file::read(&path)?, checker).is_ok();
            }
        }
        if found {
            return Ok(());
        }
        Err(Error::usage(format!("no file in {} is a published root", file::name(folder)))
            .hint("--root takes root.json of a trust server, or a folder with some"))
    }

    /// Takes a root file that its own keys signed, for the repository that its certificates name.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn insert(
        &mut self,
        file: &[u8],
        checker: &Arc<dyn CheckSignature + Send + Sync>,
    ) -> Result<(), String> {
        let parsed = Unverified::<Root>::parse(file).map_err(|why| why.to_string())?;
        let gun = parsed
            .document_unverified()
            .keys_of(&RoleName::Root)
            .find_map(|key| RootCertificate::from_pem(key.public()).ok()?.common_name().parse::<Gun>().ok())
            .ok_or("none of its certificates names a repository")?;
        let source = RootSource::First { file, pin: &Pin::FirstUse };
        let trusted = Trusted::start(&gun, source, Arc::clone(checker)).map_err(|why| why.to_string())?;
        let root = trusted.root();
        self.roots.entry(gun).or_default().insert(root.version.get(), root.clone());
        Ok(())
    }

    /// The roots of a repository, by version.
    #[must_use]
    pub fn of(&self, gun: &Gun) -> Option<&BTreeMap<u64, Verified<Root>>> {
        self.roots.get(gun)
    }

    /// All roots.
    pub fn all(&self) -> impl Iterator<Item = (&Gun, &Verified<Root>)> {
        self.roots.iter().flat_map(|(gun, roots)| roots.values().map(move |root| (gun, root)))
    }
}
