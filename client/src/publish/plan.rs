//! What one role's next document is, given what the server has, what the daemon has, and what is wanted. Pure.
//!
//! The daemon may be ahead: what it signed and nobody published is published as it is, or built upon. Others may
//! have published in between: then their document is the ground, and our own changes are made again on it.
use touchmark_tuf::{
    Document, Expires, Instant, RoleName, TargetChange, TargetName, Targets, Version, next_targets,
};

/// A document that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// As it was understood.
    pub document: Targets,
    /// The bytes that were signed.
    pub signed: Vec<u8>,
    /// The file with its signatures.
    pub file: Vec<u8>,
}

/// Whether the daemon's document is known to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// The server has it, or had it under that version.
    Published,
    /// It was never published; this is the last document before it that was, if there was one.
    Unpublished(Option<Targets>),
}

/// One role as everybody has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The role.
    pub role: RoleName,
    /// The server's current document.
    pub server: Option<Held>,
    /// The daemon's last one, and whether the server knows it.
    pub daemon: Option<(Held, Lineage)>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// These changes.
    Apply(Vec<TargetChange>),
    /// The same content with a new expiry, where it is due.
    Refresh(Due),
    /// Nothing but that all of it is published.
    Publish,
}

/// What is due to be signed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Everything.
    All,
    /// What ends before this.
    Before(Instant),
}

impl Due {
    /// Whether a document with this expiry is due.
    #[must_use]
    pub fn covers(self, expires: &Expires) -> bool {
        match self {
            Self::All => true,
            Self::Before(instant) => expires.instant() < instant,
        }
    }
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The server has it all.
    Nothing,
    /// The daemon's own document goes out as it is.
    Publish(Vec<u8>),
    /// A new document has to be signed.
    Sign {
        /// The document.
        document: Targets,
        /// Whose document carries the version before it.
        base: Base,
    },
}

/// Whose document is the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The server's: the daemon has to be shown it.
    Server,
    /// The daemon's own, or none at all.
    Daemon,
}

/// Why there is no next document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The server's document was read before the daemon's newer one was published. Reading both again helps.
    #[error("{role} was published while it was read")]
    Stale {
        /// The role.
        role: RoleName,
        /// The version that was read.
        read: Version,
        /// The version that has been published.
        published: Version,
    },
    /// Others changed the delegations while changes to them were waiting here. A retry does not help.
    #[error("the delegations of {role} were changed here, unpublished, and by others on the server")]
    DelegationsConflict {
        /// The role.
        role: RoleName,
    },
    /// There is no higher version. A retry does not help.
    #[error("{role} has reached the highest version")]
    LastVersion {
        /// The role.
        role: RoleName,
    },
    /// The changes do not fit. A retry does not help.
    #[error("{role}: {cause}")]
    Edit {
        /// The role.
        role: RoleName,
        /// Why.
        cause: String,
    },
}

/// Decides what has to be done for one role.
///
/// # Errors
/// See [`PlanError`].
pub fn next(state: &State, goal: &Goal, expires: &Expires) -> Result<Next, PlanError> {
    let ground = Ground::of(state)?;
    let mut changes = ground.own;
    if let Goal::Apply(wanted) = goal {
        changes.extend(wanted.iter().cloned());
    }
    // A tag that is gone already needs no removing: two people may revoke one tag.
    let mut content = ground.content.targets.clone();
    changes.retain(|change| match change {
        TargetChange::Set { name, target } => {
            content.insert(name.clone(), target.clone()).as_ref() != Some(target)
        }
        TargetChange::Remove { name } => content.remove(name).is_some(),
        _ => true,
    });
    let renews = match goal {
        Goal::Refresh(due) => ground.version.is_some() && due.covers(&ground.content.expires),
        Goal::Apply(_) | Goal::Publish => false,
    };
    if changes.is_empty() && ground.delegations_stand && !renews {
        return Ok(match (&state.daemon, ground.is_the_daemons) {
            (Some((held, Lineage::Unpublished(_))), true) => Next::Publish(held.file.clone()),
            _ => Next::Nothing,
        });
    }
    let Some(below) = ground.version else {
        return first(&state.role, &ground.content, &changes, expires);
    };
    let before = Targets { version: below, ..ground.content };
    let document =
        next_targets(&before, &changes, expires.clone()).map_err(|cause| edit(&state.role, &cause))?;
    Ok(Next::Sign { document, base: ground.base })
}

/// The first document of a delegation that nobody has signed yet.
fn first(
    role: &RoleName,
    content: &Targets,
    changes: &[TargetChange],
    expires: &Expires,
) -> Result<Next, PlanError> {
    let mut document = next_targets(content, changes, expires.clone()).map_err(|cause| edit(role, &cause))?;
    document.version = Version::FIRST;
    Ok(Next::Sign { document, base: Base::Daemon })
}

fn edit(role: &RoleName, cause: &dyn std::fmt::Display) -> PlanError {
    PlanError::Edit { role: role.clone(), cause: cause.to_string() }
}

/// What the next document is made from.
struct Ground {
    /// The content to start from.
    content: Targets,
    /// Our own unpublished changes that the content lacks.
    own: Vec<TargetChange>,
    /// Whether the content is the daemon's document.
    is_the_daemons: bool,
    /// Whether the content's delegations are those of a document that stands.
    delegations_stand: bool,
    /// The version before the next one.
    version: Option<Version>,
    /// Whose document has that version.
    base: Base,
}

impl Ground {
    fn of(state: &State) -> Result<Self, PlanError> {
        let standing = |held: &Held, is_the_daemons: bool, base: Base| Self {
            content: held.document.clone(),
            own: Vec::new(),
            is_the_daemons,
            delegations_stand: true,
            version: Some(held.document.version()),
            base,
        };
        let (server, daemon, lineage) = match (&state.server, &state.daemon) {
            (None, None) => return Ok(Self::empty()),
            (Some(server), None) => return Ok(standing(server, false, Base::Server)),
            (None, Some((daemon, _))) => return Ok(standing(daemon, true, Base::Daemon)),
            (Some(server), Some((daemon, lineage))) => (server, daemon, lineage),
        };
        if server.signed == daemon.signed {
            return Ok(standing(daemon, false, Base::Daemon));
        }
        // What the server has published cannot be newer than what it has now: it was read too early, and to build on
        // it would take away what came since.
        let newest_published = match lineage {
            Lineage::Published => Some(daemon.document.version()),
            Lineage::Unpublished(ancestor) => ancestor.as_ref().map(Document::version),
        };
        let read = server.document.version();
        if let Some(published) = newest_published.filter(|published| *published > read) {
            return Err(PlanError::Stale { role: state.role.clone(), read, published });
        }
        let is_ahead = match lineage {
            Lineage::Published => server.document.version() > daemon.document.version(),
            // The same number with other bytes: ours was never published, so the daemon gives it up for theirs.
            Lineage::Unpublished(_) => server.document.version() >= daemon.document.version(),
        };
        let (version, base) = if is_ahead {
            (server.document.version(), Base::Server)
        } else {
            // The daemon's own numbers are higher: it goes on after them.
            (daemon.document.version(), Base::Daemon)
        };
        let ancestor = match lineage {
            Lineage::Published => {
                return Ok(Self { version: Some(version), base, ..standing(server, false, base) });
            }
            Lineage::Unpublished(ancestor) => ancestor.clone(),
        };
        if ancestor.as_ref() == Some(&server.document) {
            return Ok(standing(daemon, true, Base::Daemon));
        }
        let ancestor = ancestor.unwrap_or_else(|| Self::empty().content);
        let mut content = server.document.clone();
        let changed_here = ancestor.delegations != daemon.document.delegations;
        if changed_here && daemon.document.delegations != server.document.delegations {
            if ancestor.delegations != server.document.delegations {
                return Err(PlanError::DelegationsConflict { role: state.role.clone() });
            }
            content.delegations = daemon.document.delegations.clone();
        }
        let delegations_stand = content.delegations == server.document.delegations;
        let own = between(&ancestor, &daemon.document);
        Ok(Self { content, own, is_the_daemons: false, delegations_stand, version: Some(version), base })
    }

    fn empty() -> Self {
        let content = Targets {
            delegations: Default::default(),
            expires: Expires::at(Instant::from_unix(0)),
            targets: Default::default(),
            version: Version::FIRST,
        };
        Self {
            content,
            own: Vec::new(),
            is_the_daemons: false,
            delegations_stand: true,
            version: None,
            base: Base::Daemon,
        }
    }
}

/// The changes of tags that lead from one document to the other.
#[must_use]
pub fn between(from: &Targets, to: &Targets) -> Vec<TargetChange> {
    let set = to
        .targets
        .iter()
        .filter(|(name, target)| from.targets.get(*name) != Some(target))
        .map(|(name, target)| TargetChange::Set { name: name.clone(), target: target.clone() });
    let gone = from.targets.keys().filter(|name| !to.targets.contains_key(*name));
    set.chain(gone.map(|name| TargetChange::Remove { name: name.clone() })).collect()
}

/// What a document of ours was made from: `common`, which both sides had, or one of `theirs` (newest first), which were
/// published since under numbers that we had given to documents of our own. It is theirs if all that they changed is
/// in ours; to count that as our change would undo what they took back later.
#[must_use]
pub fn ancestor(common: Targets, theirs: Vec<Targets>, ours: &Targets) -> Targets {
    let holds = |change: &TargetChange| match change {
        TargetChange::Set { name, target } => ours.targets.get(name) == Some(target),
        TargetChange::Remove { name } => !ours.targets.contains_key(name),
        _ => false,
    };
    let is_in_ours = |document: &Targets| between(&common, document).iter().all(holds);
    theirs.into_iter().find(is_in_ours).unwrap_or(common)
}

/// The tag that a change is about; none for delegations.
#[must_use]
pub const fn tag(change: &TargetChange) -> Option<&TargetName> {
    match change {
        TargetChange::Set { name, .. } | TargetChange::Remove { name } => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
