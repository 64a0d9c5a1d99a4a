//! Roots that somebody decided on, in a file: `TOUCHMARK_PINS`, else `pins.toml` beside the configuration.
//!
//! ```toml
//! first-use = "refuse"                  # no pin, no trust; absent: trust on first use
//! [roots]
//! "registry.example.com/team/app" = ["c9c3796d..."]   # ids of root keys as root.json lists them
//! "registry.example.com/other/*"  = ["0d34a416..."]   # every repository that begins so
//! ```
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use touchmark_tuf::{Gun, KeyId, shown};

use crate::error::Error;

/// What to do with a repository that nobody pinned and nobody read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstUse {
    /// Trust the root that the server shows, and say so.
    #[default]
    Accept,
    /// Refuse.
    Refuse,
}

/// The pins of one file.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    file: PathBuf,
    first_use: FirstUse,
    exact: BTreeMap<Gun, Vec<KeyId>>,
    prefixes: BTreeMap<String, Vec<KeyId>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default, skip_serializing_if = "is_accept")]
    first_use: FirstUse,
    #[serde(default)]
    roots: BTreeMap<String, Vec<String>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_accept(first_use: &FirstUse) -> bool {
    *first_use == FirstUse::Accept
}

impl Pins {
    /// Reads a file that has to be there.
    ///
    /// # Errors
    /// `USAGE`: it is not there, or wrong; the entry is named.
    pub fn load(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file)
            .map_err(|cause| Error::usage(format!("cannot read the pins in {}: {cause}", file.display())))?;
        let written: Written =
            toml::from_str(&text).map_err(|cause| Error::usage(format!("{}: {cause}", file.display())))?;
        let mut pins = Self { file: file.to_owned(), first_use: written.first_use, ..Self::default() };
        for (name, ids) in written.roots {
            let bad = |what: String| {
                Error::usage(format!("{}: roots.\"{}\": {what}", file.display(), shown(&name)))
            };
            let ids = ids
                .iter()
                .map(|id| {
                    id.parse()
                        .map_err(|_| bad(format!("'{}' is no key id of 64 hexadecimal digits", shown(id))))
                })
                .collect::<Result<Vec<KeyId>, _>>()?;
            if ids.is_empty() {
                return Err(bad("no key id".to_owned()));
            }
            match name.strip_suffix('*') {
                Some(prefix) => drop(pins.prefixes.insert(prefix.to_owned(), ids)),
                None => {
                    let gun =
                        name.parse().map_err(|cause| bad(format!("no full repository name: {cause}")))?;
                    pins.exact.insert(gun, ids);
                }
            }
        }
        Ok(pins)
    }

    /// Reads a file that need not be there.
    ///
    /// # Errors
    /// `USAGE`: it is wrong.
    pub fn load_if_there(file: &Path) -> Result<Self, Error> {
        match fs::metadata(file) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                Ok(Self { file: file.to_owned(), ..Self::default() })
            }
            _ => Self::load(file),
        }
    }

    /// One repository's pin, of no file; nothing else is trusted.
    #[must_use]
    pub fn of_one(gun: &Gun, ids: Vec<KeyId>) -> Self {
        Self { first_use: FirstUse::Refuse, exact: [(gun.clone(), ids)].into(), ..Self::default() }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The root keys of which one must be a repository's: its own entry, else the longest prefix that fits.
    #[must_use]
    pub fn of(&self, gun: &Gun) -> Option<&[KeyId]> {
        let longest = || self.prefixes.iter().rfind(|(prefix, _)| gun.as_str().starts_with(prefix.as_str()));
        self.exact.get(gun).or_else(|| longest().map(|(_, ids)| ids)).map(Vec::as_slice)
    }

    /// Every entry of the file: repositories, and beginnings of names with a `*`.
    pub fn entries(&self) -> impl Iterator<Item = (String, &[KeyId])> {
        let exact = self.exact.iter().map(|(gun, ids)| (gun.to_string(), ids.as_slice()));
        exact.chain(self.prefixes.iter().map(|(prefix, ids)| (format!("{prefix}*"), ids.as_slice())))
    }

    /// What to do where there is no pin.
    #[must_use]
    pub fn first_use(&self) -> FirstUse {
        self.first_use
    }

    /// Pins a repository and writes the file, whole or not at all. Comments in it are lost.
    ///
    /// # Errors
    /// `USAGE`: the file cannot be written.
    pub fn set(&mut self, gun: &Gun, ids: Vec<KeyId>) -> Result<(), Error> {
        self.exact.insert(gun.clone(), ids);
        let texts = |ids: &Vec<KeyId>| ids.iter().map(ToString::to_string).collect();
        let mut roots: BTreeMap<String, Vec<String>> =
            self.exact.iter().map(|(gun, ids)| (gun.to_string(), texts(ids))).collect();
        roots.extend(self.prefixes.iter().map(|(prefix, ids)| (format!("{prefix}*"), texts(ids))));
        let written = Written { first_use: self.first_use, roots };
        let text = toml::to_string(&written).map_err(|cause| Error::internal(cause.to_string()))?;
        let bad =
            |cause: std::io::Error| Error::usage(format!("cannot write {}: {cause}", self.file.display()));
        if let Some(folder) = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(bad)?;
        }
        let temporary = self.file.with_extension(format!("{}.new", std::process::id()));
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.file)).map_err(bad)
    }
}

#[cfg(test)]
mod tests;
