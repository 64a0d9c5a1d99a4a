//! Who may do what. Pure: it knows neither documents nor keys nor the time, and asks nobody.
pub mod glob;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use touchmark_tuf::{Gun, RoleName, TargetName, shown};

pub use glob::{Glob, GlobError};

/// Clients and daemon may disagree on the time by this much when an expiry is measured.
const EXPIRY_SLACK: Duration = Duration::from_secs(5 * 60);

/// What a caller can be allowed to do. The words are those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// See a repository's keys, documents and audit rows.
    Read,
    /// Add or move a tag.
    Sign,
    /// Take a tag away.
    Revoke,
    /// Sign the same content with a new expiry.
    Refresh,
    /// Make a new signed repository.
    Init,
    /// Change who may sign: delegations.
    Delegate,
    /// Change the keys of a repository, and take over with a new key what the one before it signed.
    Rotate,
    /// Open and close the vault.
    Unlock,
    /// Make, import and remove keys; make and wrap the vault.
    Keys,
    /// Override the ledger, read the whole audit, set up tokens.
    Admin,
}

impl Action {
    /// Every action, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Sign,
        Self::Revoke,
        Self::Refresh,
        Self::Init,
        Self::Delegate,
        Self::Rotate,
        Self::Unlock,
        Self::Keys,
        Self::Admin,
    ];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sign => "sign",
            Self::Revoke => "revoke",
            Self::Refresh => "refresh",
            Self::Init => "init",
            Self::Delegate => "delegate",
            Self::Rotate => "rotate",
            Self::Unlock => "unlock",
            Self::Keys => "keys",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no action; there are read, sign, revoke, refresh, init, delegate, rotate, unlock, keys, admin"
)]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;
    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

/// Who calls, as the kernel says it (`SO_PEERCRED`, `SO_PEERGROUPS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// The user's name, where there is one: for texts and the audit, never for a decision.
    pub name: Option<String>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} (uid {})", shown(name), self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// Whom a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// One user id.
    User(u32),
    /// Everybody in this group, primary or supplementary.
    Group(u32),
}

impl Who {
    fn is(self, caller: &Caller) -> bool {
        match self {
            Self::User(uid) => caller.uid == uid,
            Self::Group(gid) => caller.gid == gid || caller.groups.contains(&gid),
        }
    }
}

/// One `[[allow]]`: grants what it lists and no more; several add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// For whom.
    pub who: Who,
    /// On which repositories.
    pub repositories: Vec<Glob>,
    /// On which tags; `None`: on all.
    pub tags: Option<Vec<Glob>>,
    /// To do what.
    pub actions: BTreeSet<Action>,
}

impl Grant {
    fn covers(&self, gun: &Gun) -> bool {
        self.repositories.iter().any(|glob| glob.matches(gun.as_str()))
    }

    fn allows(&self, gun: Option<&Gun>, need: &Need) -> bool {
        let tag_covered = match (&self.tags, &need.tag) {
            (Some(globs), Some(tag)) => globs.iter().any(|glob| glob.matches(tag.as_str())),
            _ => true,
        };
        self.actions.contains(&need.action) && gun.is_none_or(|gun| self.covers(gun)) && tag_covered
    }
}

/// One thing that a request needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The action.
    pub action: Action,
    /// The tag that it touches; `None`: no tag in particular.
    pub tag: Option<TargetName>,
}

impl Need {
    /// An action on no tag in particular.
    #[must_use]
    pub const fn of(action: Action) -> Self {
        Self { action, tag: None }
    }

    /// An action on one tag.
    #[must_use]
    pub const fn on(action: Action, tag: TargetName) -> Self {
        Self { action, tag: Some(tag) }
    }
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// Yes, once a person has proven to be there: the PIN is asked even where the token is logged in.
    NeedsPin,
    /// No.
    Refused(NotAllowed),
}

impl Decision {
    /// The stricter of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused(why), _) | (_, Self::Refused(why)) => Self::Refused(why),
            (Self::NeedsPin, _) | (_, Self::NeedsPin) => Self::NeedsPin,
            (Self::Allowed, Self::Allowed) => Self::Allowed,
        }
    }
}

/// What was missing. A retry does not help; a line in the configuration does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{caller} may not {action}{}{}", tag_words(.tag.as_ref()), gun_words(.gun.as_ref()))]
pub struct NotAllowed {
    /// Who asked, for texts.
    pub caller: String,
    /// What would have been needed.
    pub action: Action,
    /// On which repository.
    pub gun: Option<Gun>,
    /// On which tag.
    pub tag: Option<TargetName>,
}

fn tag_words(tag: Option<&TargetName>) -> String {
    tag.map(|tag| format!(" the tag {}", shown(tag.as_str()))).unwrap_or_default()
}

fn gun_words(gun: Option<&Gun>) -> String {
    gun.map(|gun| format!(" in {}", shown(gun.as_str()))).unwrap_or_default()
}

/// How far ahead an expiry may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxExpiry {
    /// For root documents.
    pub root: Duration,
    /// For targets, delegations and snapshots.
    pub targets: Duration,
}

impl Default for MaxExpiry {
    /// Notary's own defaults: ten and three years of 365 days.
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { root: Duration::from_secs(3650 * DAY), targets: Duration::from_secs(1095 * DAY) }
    }
}

impl MaxExpiry {
    /// The limit for a role, with the slack for two clocks.
    #[must_use]
    pub fn of(&self, role: &RoleName) -> Duration {
        let limit = if *role == RoleName::Root { self.root } else { self.targets };
        limit.saturating_add(EXPIRY_SLACK)
    }
}

/// The whole policy.
#[derive(Clone, Debug)]
pub struct Policy {
    own_uid: u32,
    grants: Vec<Grant>,
    max_expiry: MaxExpiry,
}

impl Policy {
    /// `own_uid`: the uid that the daemon runs as. No grants: only that uid may call.
    #[must_use]
    pub const fn new(own_uid: u32, grants: Vec<Grant>, max_expiry: MaxExpiry) -> Self {
        Self { own_uid, grants, max_expiry }
    }

    /// How far ahead an expiry may lie.
    #[must_use]
    pub const fn max_expiry(&self) -> MaxExpiry {
        self.max_expiry
    }

    /// The grants that apply to a caller, for `status`.
    pub fn grants<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(|grant| grant.who.is(caller))
    }

    /// Whether the caller may use the socket at all.
    #[must_use]
    pub fn admits(&self, caller: &Caller) -> bool {
        caller.uid == self.own_uid || self.grants(caller).next().is_some()
    }

    /// Whether the caller may know of this repository.
    #[must_use]
    pub fn sees(&self, caller: &Caller, gun: &Gun) -> bool {
        caller.uid == self.own_uid || self.grants(caller).any(|grant| grant.covers(gun))
    }

    /// Whether everything that a change needs is allowed in one repository.
    #[must_use]
    pub fn decide(&self, caller: &Caller, gun: &Gun, needs: &[Need]) -> Decision {
        self.all(caller, Some(gun), needs)
    }

    /// Whether one of two actions, on no tag in particular, is allowed in a repository. A refusal names the second.
    #[must_use]
    pub fn decide_either(&self, caller: &Caller, gun: &Gun, [one, other]: [Action; 2]) -> Decision {
        match self.decide(caller, gun, &[Need::of(one)]) {
            Decision::Refused(_) => self.decide(caller, gun, &[Need::of(other)]),
            decision => decision,
        }
    }

    /// The same in every repository of a key: its signature is good in each of them.
    #[must_use]
    pub fn decide_each<'a>(
        &self,
        caller: &Caller,
        guns: impl IntoIterator<Item = &'a Gun>,
        needs: &[Need],
    ) -> Decision {
        guns.into_iter().map(|gun| self.decide(caller, gun, needs)).fold(Decision::Allowed, Decision::and)
    }

    /// Whether the caller may sign anything at all in a repository: for what changes nothing by itself.
    #[must_use]
    pub fn decide_any(&self, caller: &Caller, gun: &Gun) -> Decision {
        let free =
            [Action::Sign, Action::Revoke, Action::Refresh, Action::Init, Action::Delegate, Action::Rotate];
        let granted = |action: &Action| {
            self.grants(caller).any(|grant| grant.actions.contains(action) && grant.covers(gun))
        };
        if free.iter().any(granted) {
            Decision::Allowed
        } else {
            self.one(caller, Some(gun), &Need::of(Action::Sign))
        }
    }

    /// Whether an action that belongs to no repository (unlock, tokens, the ledger) is allowed.
    #[must_use]
    pub fn may(&self, caller: &Caller, action: Action) -> Decision {
        self.all(caller, None, &[Need::of(action)])
    }

    fn all(&self, caller: &Caller, gun: Option<&Gun>, needs: &[Need]) -> Decision {
        needs.iter().map(|need| self.one(caller, gun, need)).fold(Decision::Allowed, Decision::and)
    }

    fn one(&self, caller: &Caller, gun: Option<&Gun>, need: &Need) -> Decision {
        let own = caller.uid == self.own_uid;
        if own && self.grants.is_empty() {
            return match need.action {
                Action::Read | Action::Sign | Action::Revoke | Action::Refresh | Action::Unlock => {
                    Decision::Allowed
                }
                _ => Decision::NeedsPin,
            };
        }
        let granted = self.grants(caller).any(|grant| grant.allows(gun, need));
        if granted || (own && need.action == Action::Read) {
            return Decision::Allowed;
        }
        Decision::Refused(NotAllowed {
            caller: caller.to_string(),
            action: need.action,
            gun: gun.cloned(),
            tag: need.tag.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
