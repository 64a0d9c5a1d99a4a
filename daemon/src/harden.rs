//! What the process gives up before it holds a secret: core dumps, being read by its own user, loose file
//! modes. Each step is a safe system call; nothing here knows of keys, sockets or configuration.

use std::fmt;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Descriptors that a daemon at its connection cap needs: twice the cap, tokens and the database beside it.
pub const DESCRIPTORS_WANTED: u64 = 320;

/// What holds in this process now, for `check`, `status` and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// No core file can be written (`RLIMIT_CORE` is 0 and cannot be raised).
    pub no_core: Holds,
    /// `PR_SET_DUMPABLE` is 0: other processes of this user cannot attach or read its memory.
    pub not_dumpable: Holds,
    /// `PR_SET_NO_NEW_PRIVS`: no child gains privileges by set-uid files.
    pub no_new_privileges: Holds,
    /// Enough file descriptors for the connection cap.
    pub descriptors: Holds,
}

/// Whether one measure holds, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It holds.
    Yes,
    /// It does not; the text says why.
    No(String),
}

impl Hardening {
    /// The measures with their names, in the order in which `check` prints them.
    #[must_use]
    pub fn lines(&self) -> [(&'static str, &Holds); 4] {
        [
            ("no core dumps", &self.no_core),
            ("memory closed to other processes", &self.not_dumpable),
            ("no new privileges", &self.no_new_privileges),
            ("file descriptors", &self.descriptors),
        ]
    }

    /// What does not hold, as sentences for `status`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter_map(|(name, holds)| match holds {
                Holds::Yes => None,
                Holds::No(why) => Some(format!("hardening: {name}: no, {why}")),
            })
            .collect()
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No(why) => write!(f, "no: {why}"),
        }
    }
}

/// Hardens the calling process and reports what holds. To be called before threads, secrets and sockets.
#[must_use]
pub fn process() -> Hardening {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Hardening {
        no_core: no_core(),
        not_dumpable: tried(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        no_new_privileges: tried(rustix::thread::set_no_new_privs(true)),
        descriptors: descriptors(),
    }
}

fn tried<E: fmt::Display>(result: Result<(), E>) -> Holds {
    match result {
        Ok(()) => Holds::Yes,
        Err(error) => Holds::No(error.to_string()),
    }
}

fn no_core() -> Holds {
    tried(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }))
}

/// Raises the soft limit to the hard one where that is needed.
fn descriptors() -> Holds {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= DESCRIPTORS_WANTED) {
        return Holds::Yes;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.maximum.is_none_or(|most| most >= DESCRIPTORS_WANTED) {
        return tried(rustix::process::setrlimit(Resource::Nofile, raised));
    }
    Holds::No(format!(
        "RLIMIT_NOFILE is {}, {DESCRIPTORS_WANTED} are wanted",
        limit.maximum.map_or_else(|| "unlimited".to_owned(), |n| n.to_string())
    ))
}

#[cfg(test)]
mod tests;
