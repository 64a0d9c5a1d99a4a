//! Where things are when the file does not say: systemd's directories, else the user's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::ConfigError;
use super::error::Reading;

/// The process's surroundings that the configuration depends on, read once in `main`.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Effective user id.
    pub uid: u32,
    /// The variables of [`Surroundings::VARIABLES`] that are set and not empty.
    pub variables: BTreeMap<&'static str, String>,
}

impl Surroundings {
    /// What is read of the environment.
    pub const VARIABLES: [&'static str; 8] = [
        "CONFIGURATION_DIRECTORY",
        "STATE_DIRECTORY",
        "RUNTIME_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_RUNTIME_DIR",
        "HOME",
    ];

    /// Of the calling process.
    #[must_use]
    pub fn of_process() -> Self {
        let set =
            |name: &'static str| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?));
        Self {
            uid: rustix::process::geteuid().as_raw(),
            variables: Self::VARIABLES.into_iter().filter_map(set).collect(),
        }
    }

    /// The first of several directories that a variable may name, if it is absolute. systemd separates by `:`.
    fn directory(&self, name: &str) -> Option<PathBuf> {
        let first = self.variables.get(name)?.split(':').next()?;
        Some(PathBuf::from(first)).filter(|path| path.is_absolute())
    }

    /// Where the file is looked for.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        if let Some(unit) = self.directory("CONFIGURATION_DIRECTORY") {
            return Some(unit.join("touchmarkd.toml"));
        }
        let home = || self.directory("HOME").map(|home| home.join(".config"));
        Some(self.directory("XDG_CONFIG_HOME").or_else(home)?.join("touchmark/touchmarkd.toml"))
    }

    /// Where systemd put the credential `name` for this unit.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory("CREDENTIALS_DIRECTORY")?.join(name))
    }
}

/// The socket's path.
pub(super) fn socket(
    reading: &Reading<'_>,
    written: Option<&Spanned<String>>,
    surroundings: &Surroundings,
) -> Result<PathBuf, ConfigError> {
    let path = match written {
        Some(written) => reading.path("socket", written)?,
        None => match surroundings.directory("RUNTIME_DIRECTORY") {
            Some(unit) => unit.join("touchmarkd.sock"),
            None => surroundings
                .directory("XDG_RUNTIME_DIR")
                .map(|dir| touchmark_proto::socket::user(&dir))
                .ok_or_else(|| {
                    let reason = "not given, and neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set";
                    ConfigError::missing(reading.file, "socket", reason)
                })?,
        },
    };
    let length = path.as_os_str().len();
    if length > touchmark_proto::socket::PATH_MAX {
        let reason = format!(
            "`{}` has {length} bytes; a socket's path has at most {}",
            path.display(),
            touchmark_proto::socket::PATH_MAX
        );
        return Err(match written {
            Some(written) => reading.at(written.span(), "socket", reason),
            None => ConfigError::missing(reading.file, "socket", &reason),
        });
    }
    if path.file_name().is_none() || path.parent().is_none_or(|parent| parent == Path::new("/")) {
        let reason = format!("`{}` is not inside a folder of its own", path.display());
        return Err(match written {
            Some(written) => reading.at(written.span(), "socket", reason),
            None => ConfigError::missing(reading.file, "socket", &reason),
        });
    }
    Ok(path)
}

/// The state folder.
pub(super) fn state(
    reading: &Reading<'_>,
    written: Option<&Spanned<String>>,
    surroundings: &Surroundings,
) -> Result<PathBuf, ConfigError> {
    if let Some(written) = written {
        return reading.path("state", written);
    }
    if let Some(unit) = surroundings.directory("STATE_DIRECTORY") {
        return Ok(unit);
    }
    let home = || surroundings.directory("HOME").map(|home| home.join(".local/state"));
    surroundings.directory("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("touchmark")).ok_or_else(|| {
        let reason = "not given, and none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set";
        ConfigError::missing(reading.file, "state", reason)
    })
}
