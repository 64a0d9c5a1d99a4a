//! The steps of one read, in the order of the protocol: root, timestamp, snapshot, targets, delegations; the root
//! refreshed at most once.
use std::sync::Arc;
use std::time::Duration;

use touchmark_tuf::{
    CheckSignature, Pin, RoleName, RootSource, TrustError, Trusted, Unverified, Version, Wanted, limits,
};

use super::view::View;
use super::{Freshness, Ground, Reader};
use crate::checked::Checked;
use crate::http::Deadline;
use crate::notary::{NotaryError, Which};
use crate::trust_dir::Files;

/// The most that all files of one read may have together, in bytes.
const ALL_BYTES: u64 = 64 << 20;
/// How long a server may take for the timestamp before it counts as absent.
const TIMESTAMP_PATIENCE: Duration = Duration::from_secs(20);
/// How many roots a reader may be behind.
const ROOT_CHAIN: u64 = 1000;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The server was of no use.
    #[error(transparent)]
    Server(#[from] NotaryError),
    /// What it served must not be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A file that the trust data lists is not there.
    #[error("the trust server lists {what} and does not have it")]
    Withheld {
        /// The file.
        what: String,
    },
    /// All files together are too much.
    #[error("the trust data is longer than {limit} bytes in all")]
    TooMuch {
        /// The cap in bytes.
        limit: u64,
    },
    /// The server is not there and the cache is of no use any more.
    #[error("{server}; and the cached trust data cannot stand in for it: {cache}")]
    Stale {
        /// What the server said.
        server: NotaryError,
        /// What is wrong with the cache.
        cache: TrustError,
    },
}

/// What the first step goes by.
pub(super) struct Start<'a> {
    pub(super) ground: Ground,
    pub(super) pin: &'a Pin,
}

/// One read under way.
pub(super) struct Session<'a> {
    reader: &'a Reader<'a>,
    before: &'a Files,
    start: Start<'a>,
    deadline: Deadline,
    trusted: Trusted,
    freshness: Freshness,
    broken: Vec<(RoleName, TrustError)>,
    fetched: u64,
}

impl<'a> Session<'a> {
    /// The first root: the cached one, else the server's.
    pub(super) async fn start(
        reader: &'a Reader<'a>,
        before: &'a Files,
        start: Start<'a>,
        deadline: Deadline,
    ) -> Result<Self, ReadError> {
        let served;
        let file = match before.get(&RoleName::Root) {
            Some(kept) => kept,
            None => {
                served =
                    reader.notary.file(&RoleName::Root, Which::Current, limits::ROOT_BYTES, deadline).await?;
                &served
            }
        };
        // A kept root has to fit a pin too: the answer must not depend on what the cache has.
        let source = RootSource::First { file, pin: start.pin };
        let mut trusted = Trusted::start(reader.notary.gun(), source, checker(reader))?;
        for (role, file) in before.iter().filter(|(role, _)| **role != RoleName::Root) {
            trusted.remember(role, file);
        }
        let (freshness, broken) = (Freshness::Server, Vec::new());
        Ok(Self { reader, before, start, deadline, trusted, freshness, broken, fetched: 0 })
    }

    /// Everything below the root, with one refresh of the root where that may help.
    pub(super) async fn finish(mut self) -> Result<View, ReadError> {
        if let Err(cause) = self.below_root().await {
            match &cause {
                ReadError::Trust(refused) if refused.needs_newer_root() => self.refresh_root(cause).await?,
                // A publication between two requests may take away a file that was just listed.
                ReadError::Withheld { .. } => {}
                _ => return Err(cause),
            }
            self.broken.clear();
            self.below_root().await?;
        }
        if matches!(self.start.pin, Pin::KeyIds(_)) {
            let source = RootSource::First { file: self.trusted.root().file(), pin: self.start.pin };
            Trusted::start(self.reader.notary.gun(), source, checker(self.reader))?;
        }
        Ok(View {
            trusted: self.trusted,
            ground: self.start.ground,
            freshness: self.freshness,
            broken: self.broken,
            server: self.reader.notary.server().clone(),
        })
    }

    async fn below_root(&mut self) -> Result<(), ReadError> {
        self.trusted.check_root(self.reader.now)?;
        self.timestamp().await?;
        loop {
            let wanted = self.trusted.wanted();
            let open = |wanted: &&Wanted| !self.broken.iter().any(|(role, _)| *role == wanted.role);
            let Some(next) = wanted.iter().find(open).cloned() else { break };
            let file = self.listed(&next).await?;
            let taken = match &next.role {
                RoleName::Snapshot => self.trusted.snapshot(&file, self.reader.now),
                role => self.trusted.targets(role, &file, self.reader.now),
            };
            match (taken, decides(&next.role)) {
                (Ok(()), _) => {}
                (Err(cause), true) => return Err(cause.into()),
                // A signer whose delegation is broken cannot keep everybody else from reading.
                (Err(cause), false) => self.broken.push((next.role, cause)),
            }
        }
        // Both say so if they could not be taken.
        self.trusted
            .document(&RoleName::Targets)
            .map(drop)
            .ok_or(TrustError::NotRead { role: RoleName::Targets })?;
        Ok(())
    }

    async fn timestamp(&mut self) -> Result<(), ReadError> {
        let patience = self.deadline.within(TIMESTAMP_PATIENCE);
        let role = RoleName::Timestamp;
        let answer = self.reader.notary.file(&role, Which::Current, limits::TIMESTAMP_BYTES, patience).await;
        match (answer, self.before.get(&role)) {
            (Ok(file), _) => Ok(self.trusted.timestamp(&file, self.reader.now)?),
            (Err(server), Some(kept))
                if server.is_absence() || matches!(server, NotaryError::NotFound { .. }) =>
            {
                match self.trusted.timestamp(kept, self.reader.now) {
                    Ok(()) => self.freshness = Freshness::Cache(server.to_string()),
                    Err(cache) => return Err(ReadError::Stale { server, cache }),
                }
                Ok(())
            }
            (Err(server), _) => Err(server.into()),
        }
    }

    /// A file whose digest is known: from the cache if it is the one, else from the server.
    async fn listed(&mut self, wanted: &Wanted) -> Result<Vec<u8>, ReadError> {
        let Wanted { role, sha256, length } = wanted;
        if let Some(kept) = self.before.get(role)
            && touchmark_tuf::Sha256Digest::of(kept) == *sha256
        {
            return Ok(kept.to_vec());
        }
        self.fetched = self.fetched.saturating_add(*length);
        if self.fetched > ALL_BYTES {
            return Err(ReadError::TooMuch { limit: ALL_BYTES });
        }
        let cap = limits::file_bytes(role).min(usize::try_from(*length).unwrap_or(usize::MAX));
        match self.reader.notary.file(role, Which::Digest(*sha256), cap, self.deadline).await {
            Err(NotaryError::NotFound { what, .. }) => Err(ReadError::Withheld { what }),
            other => Ok(other?),
        }
    }

    /// Walks the chain of roots to the newest one. `because` is what made it necessary, and is the answer if the
    /// server is not there.
    async fn refresh_root(&mut self, because: ReadError) -> Result<(), ReadError> {
        let role = RoleName::Root;
        let newest =
            match self.reader.notary.file(&role, Which::Current, limits::ROOT_BYTES, self.deadline).await {
                Ok(file) => file,
                Err(cause) if cause.is_absence() => return Err(because),
                Err(cause) => return Err(cause.into()),
            };
        let Some(target) = version_of(&newest) else {
            return Ok(self.trusted.advance_root(&newest)?); // says what is wrong with it
        };
        while let Some(next) = self.trusted.root().version.next().filter(|next| *next < target) {
            if target.get() - next.get() > ROOT_CHAIN {
                return Err(TrustError::RootGap { have: self.trusted.root().version, got: target }.into());
            }
            match self
                .reader
                .notary
                .file(&role, Which::Version(next), limits::ROOT_BYTES, self.deadline)
                .await
            {
                Ok(file) => {
                    let before = self.trusted.root().version;
                    self.trusted.advance_root(&file)?;
                    if self.trusted.root().version == before {
                        return Err(TrustError::RootGap { have: before, got: target }.into());
                    }
                }
                Err(NotaryError::NotFound { what, .. }) => return Err(ReadError::Withheld { what }),
                Err(cause) => return Err(cause.into()),
            }
        }
        Ok(self.trusted.advance_root(&newest)?)
    }
}

fn checker(reader: &Reader<'_>) -> Arc<dyn CheckSignature + Send + Sync> {
    Arc::<Checked>::clone(reader.checked)
}

/// Whose word a pull goes by; the others are shown only.
fn decides(role: &RoleName) -> bool {
    !matches!(role, RoleName::Delegation(name) if name.as_str() != RoleName::releases().as_str())
}

fn version_of(root: &[u8]) -> Option<Version> {
    Unverified::<touchmark_tuf::Root>::parse(root).ok().map(|root| root.document_unverified().version)
}
