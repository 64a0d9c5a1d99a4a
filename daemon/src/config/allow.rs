//! `[[allow]]`: who may do what, and whether they can reach the socket at all.

use std::fmt;
use std::str::FromStr;

use toml::Spanned;

use super::error::Reading;
use super::{Account, Accounts, ConfigError, GroupEntry, written};
use crate::policy::{Action, Glob, Grant, Who};

/// One `[[allow]]` as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// The user or group as the file names it, for `check`.
    pub name: String,
    /// What it grants to whom.
    pub grant: Grant,
}

/// Who can reach the socket.
pub(super) struct Reach<'a> {
    pub(super) own_uid: u32,
    pub(super) group: Option<&'a GroupEntry>,
    pub(super) accounts: &'a dyn Accounts,
}

pub(super) fn read(
    reading: &Reading<'_>,
    written: &written::Allow,
    reach: &Reach<'_>,
) -> Result<Allow, ConfigError> {
    let (name, who) = match (&written.user, &written.group) {
        (Some(user), None) => (format!("user {}", user.get_ref()), Who::User(reach.user(reading, user)?.uid)),
        (None, Some(group)) => {
            (format!("group {}", group.get_ref()), Who::Group(reach.group(reading, group)?.gid))
        }
        (None, None) => {
            let span = written.repositories.span();
            return Err(reading.at(span, "allow", "names nobody; write user = \"NAME\" or group = \"NAME\""));
        }
        (Some(user), Some(_)) => {
            return Err(reading.at(user.span(), "allow.user", "stands beside a group; write two [[allow]]"));
        }
    };
    let grant = Grant {
        who,
        repositories: each(reading, "allow.repositories", &written.repositories, Glob::parse)?,
        tags: written.tags.as_ref().map(|tags| each(reading, "allow.tags", tags, Glob::parse)).transpose()?,
        actions: each(reading, "allow.actions", &written.actions, Action::from_str)?.into_iter().collect(),
    };
    Ok(Allow { name, grant })
}

/// Reads each word of a list that may not be empty.
fn each<T, E: fmt::Display>(
    reading: &Reading<'_>,
    field: &str,
    written: &Spanned<Vec<Spanned<String>>>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ConfigError> {
    if written.get_ref().is_empty() {
        return Err(reading.at(written.span(), field, "is empty, so this [[allow]] would allow nothing"));
    }
    let one = |word: &Spanned<String>| {
        read(word.get_ref()).map_err(|error| reading.at(word.span(), field, error.to_string()))
    };
    written.get_ref().iter().map(one).collect()
}

impl Reach<'_> {
    fn user(&self, reading: &Reading<'_>, written: &Spanned<String>) -> Result<Account, ConfigError> {
        let name = written.get_ref();
        let account = self.accounts.user(name).ok_or_else(|| {
            reading.at(written.span(), "allow.user", format!("there is no user `{name}` on this machine"))
        })?;
        self.check(&account).map_err(|reason| reading.at(written.span(), "allow.user", reason))?;
        Ok(account)
    }

    fn group(&self, reading: &Reading<'_>, written: &Spanned<String>) -> Result<GroupEntry, ConfigError> {
        let name = written.get_ref();
        let refuse = |reason| reading.at(written.span(), "allow.group", reason);
        let group = self
            .accounts
            .group(name)
            .ok_or_else(|| refuse(format!("there is no group `{name}` on this machine")))?;
        let Some(socket) = self.group else {
            return Err(refuse(format!(
                "members of `{name}` cannot reach the socket: without socket-group its folder is 0700; \
                 write socket-group = \"{name}\""
            )));
        };
        if socket.gid != group.gid {
            for member in group.members.iter().filter_map(|member| self.accounts.user(member)) {
                self.check(&member).map_err(refuse)?;
            }
        }
        Ok(group)
    }

    /// The owner and root reach every socket; others need the socket's group.
    fn check(&self, account: &Account) -> Result<(), String> {
        if account.uid == self.own_uid || account.uid == 0 {
            return Ok(());
        }
        let name = &account.name;
        match self.group {
            None => Err(format!(
                "`{name}` cannot reach the socket: without socket-group its folder is 0700; \
                 write socket-group = \"GROUP\" with a group that `{name}` is in"
            )),
            Some(group) if self.accounts.groups_of(account).contains(&group.gid) => Ok(()),
            Some(group) => Err(format!(
                "`{name}` cannot reach the socket: it is for the group `{0}`, and `{name}` is not in it; \
                 type: usermod -aG {0} {name}",
                group.name
            )),
        }
    }
}
