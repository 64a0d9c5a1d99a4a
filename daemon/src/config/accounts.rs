//! Who is who on this machine: users and groups by name and number.

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

/// A group of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// Its id.
    pub gid: u32,
    /// Users listed as members (not those whose primary group it is).
    pub members: Vec<String>,
}

/// The user database.
pub trait Accounts: Send + Sync {
    /// A user by name; digits are a uid where no user has that name.
    fn user(&self, name: &str) -> Option<Account>;
    /// A user by number.
    fn uid(&self, uid: u32) -> Option<Account>;
    /// A group by name; digits are a gid where no group has that name.
    fn group(&self, name: &str) -> Option<GroupEntry>;
    /// All groups of a user, primary and supplementary.
    fn groups_of(&self, account: &Account) -> Vec<u32>;
}

/// The machine's own user database (NSS: files, directory services).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn user(&self, name: &str) -> Option<Account> {
        let found = nix::unistd::User::from_name(name).ok().flatten();
        found.map(account).or_else(|| self.uid(name.parse().ok()?))
    }

    fn uid(&self, uid: u32) -> Option<Account> {
        nix::unistd::User::from_uid(uid.into()).ok().flatten().map(account)
    }

    fn group(&self, name: &str) -> Option<GroupEntry> {
        let by_number = || {
            let gid: u32 = name.parse().ok()?;
            nix::unistd::Group::from_gid(gid.into()).ok().flatten()
        };
        let group = nix::unistd::Group::from_name(name).ok().flatten().or_else(by_number)?;
        Some(GroupEntry { name: group.name, gid: group.gid.as_raw(), members: group.mem })
    }

    fn groups_of(&self, account: &Account) -> Vec<u32> {
        let Ok(name) = std::ffi::CString::new(account.name.as_str()) else { return vec![account.gid] };
        nix::unistd::getgrouplist(&name, account.gid.into()).map_or_else(
            |_| vec![account.gid],
            |groups| groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        )
    }
}

fn account(user: nix::unistd::User) -> Account {
    Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}
