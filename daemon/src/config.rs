//! The configuration: read as written (`written`), checked and completed to what is meant ([`Config`]).
//!
//! Nothing here touches a token, a socket or the state: reading a file and asking who is who on this
//! machine is all. Every refusal names file, line, field and reason, and its text is pinned by a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod accounts;
mod allow;
mod error;
mod place;
mod token;
mod units;
mod written;

pub use accounts::{Account, Accounts, GroupEntry, SystemAccounts};
pub use allow::Allow;
pub use error::ConfigError;
pub use place::Surroundings;
pub use token::{PinSource, TokenEntry};
pub use units::{Span, shown};

use crate::policy::{MaxExpiry, Policy};
use error::Reading;

/// What the daemon is told, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it came from; `None`: the defaults, no file was found.
    pub file: Option<PathBuf>,
    /// Absolute path of the socket, at most 107 bytes.
    pub socket: PathBuf,
    /// Who beside the daemon's own user may reach the socket.
    pub socket_group: Option<GroupEntry>,
    /// Absolute path of the state folder.
    pub state: PathBuf,
    /// When the vault closes by itself.
    pub locking: Locking,
    /// The longest life of a document that is signed.
    pub max_expiry: MaxExpiry,
    /// The tokens, names distinct.
    pub tokens: Vec<TokenEntry>,
    /// Who may do what; empty: the own user alone.
    pub allow: Vec<Allow>,
}

/// When the vault closes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locking {
    /// After this long without a signature.
    pub idle: Option<Duration>,
    /// After this long in any case.
    pub at_most: Option<Duration>,
    /// Before the machine sleeps.
    pub on_sleep: OnSleep,
}

/// What happens to the vault when the machine goes to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSleep {
    /// It is locked.
    Lock,
    /// It stays as it is.
    Stay,
}

impl Default for Locking {
    fn default() -> Self {
        Self { idle: Some(units::hours(8)), at_most: Some(units::hours(24)), on_sleep: OnSleep::Lock }
    }
}

impl Config {
    /// Reads the file at `path`, or at the default place when `None`. A missing file is an error only when
    /// it was named.
    ///
    /// # Errors
    /// The first thing wrong, with file, line, field and reason.
    pub fn load(
        path: Option<&Path>,
        surroundings: &Surroundings,
        accounts: &dyn Accounts,
    ) -> Result<Self, ConfigError> {
        let (path, named) = match path {
            Some(path) => (path.to_path_buf(), true),
            None => match surroundings.config_file() {
                Some(path) => (path, false),
                None => return Self::parse("", None, surroundings, accounts),
            },
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, Some(&path), surroundings, accounts),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                Self::parse("", None, surroundings, accounts)
            }
            Err(error) => Err(ConfigError::file(&path, format!("cannot be read: {error}"))),
        }
    }

    /// The policy that the file means, for a daemon that runs as `own_uid`.
    #[must_use]
    pub fn policy(&self, own_uid: u32) -> Policy {
        Policy::new(own_uid, self.allow.iter().map(|allow| allow.grant.clone()).collect(), self.max_expiry)
    }

    /// Checks and completes the text of a file; `file` is for messages and for relative ground.
    ///
    /// # Errors
    /// The first thing wrong, with file, line, field and reason.
    pub fn parse(
        text: &str,
        file: Option<&Path>,
        surroundings: &Surroundings,
        accounts: &dyn Accounts,
    ) -> Result<Self, ConfigError> {
        let reading = Reading { text, file };
        let written: written::File = toml::from_str(text).map_err(|error| reading.syntax(&error))?;
        let socket = place::socket(&reading, written.socket.as_ref(), surroundings)?;
        let state = place::state(&reading, written.state.as_ref(), surroundings)?;
        let socket_group = match &written.socket_group {
            None => None,
            Some(name) => Some(accounts.group(name.get_ref()).ok_or_else(|| {
                reading.at(
                    name.span(),
                    "socket-group",
                    format!("there is no group `{}` on this machine", name.get_ref()),
                )
            })?),
        };
        let reach = allow::Reach { own_uid: surroundings.uid, group: socket_group.as_ref(), accounts };
        let allow = written
            .allow
            .iter()
            .map(|allow| allow::read(&reading, allow, &reach))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            file: file.map(Path::to_path_buf),
            socket,
            socket_group,
            state,
            locking: locking(&reading, &written)?,
            max_expiry: max_expiry(&reading, &written)?,
            tokens: tokens(&reading, &written)?,
            allow,
        })
    }
}

fn locking(reading: &Reading<'_>, written: &written::File) -> Result<Locking, ConfigError> {
    let default = Locking::default();
    let time = |field: &str, value: &Option<toml::Spanned<String>>, default| match value {
        None => Ok(default),
        Some(text) if text.get_ref() == "never" => Ok(None),
        Some(text) => reading.duration(field, text).map(Some),
    };
    Ok(Locking {
        idle: time("lock-after", &written.lock_after, default.idle)?,
        at_most: time("unlock-at-most", &written.unlock_at_most, default.at_most)?,
        on_sleep: match written.lock_on_sleep {
            Some(false) => OnSleep::Stay,
            Some(true) | None => OnSleep::Lock,
        },
    })
}

fn max_expiry(reading: &Reading<'_>, written: &written::File) -> Result<MaxExpiry, ConfigError> {
    let mut most = MaxExpiry::default();
    if let Some(written) = &written.max_expiry {
        for (field, value, place) in [
            ("max-expiry.root", &written.root, &mut most.root),
            ("max-expiry.targets", &written.targets, &mut most.targets),
        ] {
            if let Some(text) = value {
                *place = reading.duration(field, text)?;
            }
        }
    }
    Ok(most)
}

fn tokens(reading: &Reading<'_>, written: &written::File) -> Result<Vec<TokenEntry>, ConfigError> {
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    let files = if written.allow_pin_file { token::PinFiles::Allowed } else { token::PinFiles::Refused };
    let mut entries = Vec::new();
    for written in &written.token {
        let name = &written.name;
        if seen.insert(name.get_ref(), ()).is_some() {
            let reason = format!("`{}` is the name of two tokens; each needs its own", name.get_ref());
            return Err(reading.at(name.span(), "token.name", reason));
        }
        entries.push(token::read(reading, written, files)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
