//! Signing and publishing one repository: read what the server has, ask the daemon what it has, decide (`plan`),
//! have it signed, send it, read it back. Lost races are run again on what won. Prints nothing.

mod bases;
mod dev;
mod init;
mod last;
pub mod plan;
pub mod roles;
pub mod root;
pub mod rotate;
mod send;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{
    Document as _, Expires, RoleName, Root, Sha256Digest, Snapshot, TargetChange, TargetName, Targets,
    Trusted, Verified, Version,
};

use crate::ceremony::item::REHEARSAL;
use crate::cmd::audit::{self, Head};
use crate::context::Ctx;
use crate::daemon::{Daemon, DocumentToSign, LastDocument, SignJob, SignedJob};
use crate::error::Error;
use crate::image::Image;
use crate::notary::Notary;
use crate::reader::View;

pub use init::Choice;
pub(crate) use init::server_key;
pub use plan::{Due, Goal};
pub use server::glance;

use plan::{Base, Next, State};
use roles::{Keyring, Signing, choose};
use send::{Fate, Files, ReadBack, Sent};

/// How often a lost race is run again. Whoever loses one makes room for somebody who wins it, so among eight signers
/// at once the last one may lose many.
const ATTEMPTS: u32 = 32;
/// What clients of Notary have always given root documents.
pub const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// What they have always given targets, delegations and snapshots.
pub const TARGETS_LIFE: Duration = Duration::from_secs(3 * 365 * 24 * 60 * 60);

/// What ends within this time is due: half a year, as clients of Notary warn.
pub const DUE: Duration = Duration::from_secs(182 * 24 * 60 * 60);

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The roles that were sent; none if the server had it all.
    pub published: Vec<RoleName>,
    /// What the daemon signed, in its words.
    pub differences: Vec<String>,
    /// The last audit row of it and its hash in hex.
    pub audit: Option<(u64, String)>,
    /// Attempts that somebody else won.
    pub lost: u32,
    /// The version of the targets document that went with a new root.
    targets: Option<Version>,
    fate: Fate,
    /// Versions that were published, by what was seen so far.
    published_before: BTreeMap<RoleName, Version>,
}

impl Report {
    fn sent(&mut self, roles: impl IntoIterator<Item = RoleName>) {
        for role in roles {
            if !self.published.contains(&role) {
                self.published.push(role);
            }
        }
    }
}

/// One repository, the daemon that signs for it and the server that publishes it.
#[derive(Debug)]
pub struct Publisher<'a> {
    ctx: &'a Ctx,
    daemon: &'a Daemon,
    image: &'a Image,
    notary: Notary,
}

/// How one attempt ended.
enum Attempt {
    /// The server has it all.
    Done,
    /// What was signed before has been dealt with (a first version, or one that nobody had sent); what is wanted comes
    /// next.
    Begun,
    /// Somebody else was first.
    Lost,
    /// We were first, and took away what somebody else had just published: these changes.
    Overwrote(Vec<TargetChange>),
    /// The same with what was waiting; what is wanted comes after it.
    Displaced(Vec<TargetChange>),
}

/// What server and daemon have of a repository: what an attempt goes by. `None`: the server has nothing of it.
#[derive(Debug)]
pub struct Sight(Option<Seen>);

#[derive(Debug)]
struct Seen {
    last: Vec<LastDocument>,
    view: View,
    ring: Keyring,
    /// What the daemon has signed under which version.
    given: BTreeMap<RoleName, server::Given>,
}

/// What has to be signed and sent for one goal.
struct Work {
    sign: Vec<(Signing, Targets, Base)>,
    ready: Vec<(Signing, Vec<u8>)>,
    /// What the daemon had of the roles that are to be signed.
    seen: Vec<(RoleName, Option<Sha256Digest>)>,
}

impl<'a> Publisher<'a> {
    /// For one image.
    ///
    /// # Errors
    /// No usable trust server; `POLICY_REFUSED` where dev state would be published beyond this machine; `REHEARSAL_ONLY`
    /// for a repository that is made up for rehearsals.
    pub async fn new(ctx: &'a Ctx, daemon: &'a Daemon, image: &'a Image) -> Result<Self, Error> {
        refuse_rehearsal(image)?;
        let notary = ctx.notary(image)?;
        if daemon.status().dev {
            dev::refuse_dev(&notary.server().join("")).await?;
        }
        Ok(Self { ctx, daemon, image, notary })
    }

    /// Does what it takes until the server has it.
    ///
    /// # Errors
    /// `NO_TRUST_DATA` for a repository without any; `KEY_UNKNOWN`; the daemon's refusal; the server's; after
    /// several lost races `PUBLISH_CONFLICT`. What was signed is kept by the daemon.
    pub async fn run(&self, goal: &Goal) -> Result<Report, Error> {
        self.run_from(None, goal).await
    }

    /// The same, beginning with what [`Publisher::look`] saw a moment ago.
    ///
    /// # Errors
    /// As [`Publisher::run`].
    pub async fn run_from(&self, sight: Option<Result<Sight, Error>>, goal: &Goal) -> Result<Report, Error> {
        let mut report = Report::default();
        let done = self.attempts(sight, goal.clone(), &mut report).await;
        done.map_err(|error| send::unfinished(self.image, report.fate, error))?;
        Ok(report)
    }

    /// Looks at what server and daemon have; nothing of it changes by that.
    ///
    /// # Errors
    /// As [`Publisher::run`].
    pub async fn look(&self, goal: &Goal) -> Result<Sight, Error> {
        self.look_with(goal, glance(self.ctx, self.image)).await
    }

    /// The same, with a [`glance`] at the server that may have begun earlier.
    ///
    /// # Errors
    /// As [`Publisher::run`].
    pub async fn look_with(
        &self,
        goal: &Goal,
        glance: impl Future<Output = Result<Option<View>, Error>>,
    ) -> Result<Sight, Error> {
        let had = async {
            // Whatever the daemon gave out until now must be in its ledger.
            let last = self.last().await?;
            let (keys, given) = futures_util::join!(self.daemon.key_list(), self.given());
            Ok::<_, Error>((last, keys, given))
        };
        let (had, early) = futures_util::join!(had, glance);
        let (last, keys, given) = had?;
        // What the daemon knows may have been published after the server was read.
        let view = if server::is_enough(&early, &last) { early? } else { self.current(goal, &last).await? };
        let Some(view) = view else { return Ok(Sight(None)) };
        let ring = Keyring::of(self.image.gun(), &keys?);
        Ok(Sight(Some(Seen { last, view, ring, given: given? })))
    }

    async fn attempts(
        &self,
        mut first: Option<Result<Sight, Error>>,
        goal: Goal,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut goals = vec![goal];
        for attempt in 0..ATTEMPTS {
            let Some(goal) = goals.last() else { return Ok(()) };
            let sight = match first.take() {
                Some(sight) => sight,
                None => self.look(goal).await,
            };
            let ended = match sight {
                Ok(sight) => self.attempt(goal, sight, report).await,
                Err(cause) => Err(cause),
            };
            match ended {
                Ok(Attempt::Done) => {
                    goals.pop();
                    continue;
                }
                Ok(Attempt::Begun) => continue,
                Ok(Attempt::Overwrote(theirs)) => {
                    goals.pop();
                    goals.push(Goal::Apply(theirs));
                }
                Ok(Attempt::Displaced(theirs)) => goals.push(Goal::Apply(theirs)),
                Ok(Attempt::Lost) => {}
                // Another client of the same daemon was quicker.
                Err(error) if is_race(&error) && attempt + 1 < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
            report.lost += 1;
            send::pause(attempt).await;
        }
        let message = format!("others published {} first, {ATTEMPTS} times in a row", self.image.gun());
        Err(Error::new(Reason::PublishConflict, message))
    }

    async fn attempt(&self, goal: &Goal, sight: Sight, report: &mut Report) -> Result<Attempt, Error> {
        let Some(Seen { last, view, ring, given }) = sight.0 else {
            self.send_first(goal, report).await?;
            return Ok(Attempt::Begun);
        };
        if let Some(ended) = self.send_waiting_root(&view, &last, report).await? {
            return Ok(ended);
        }
        let trusted = &view.trusted;
        if *goal != Goal::Publish
            && let Some(sent) = self.send_waiting(&view, &last, &ring, &given, report).await?
        {
            return Ok(sent);
        }
        let work = self.plan(goal, trusted, &last, &ring, &given, report).await?;
        if work.sign.is_empty() && work.ready.is_empty() && !snapshot_is_due(goal, trusted, &ring) {
            return Ok(Attempt::Done);
        }
        let mut files = self.sign(&work, &view, &last, report).await?;
        self.add_snapshot(&ring, Some(trusted), &last, &mut files, trusted.root(), report).await?;
        if self.send(&files, report.audit.as_ref(), &mut report.fate).await? == Sent::Conflict {
            return Ok(Attempt::Lost);
        }
        report.sent(files.iter().map(|(role, _)| role.clone()));
        let theirs = self.overwritten(&work, trusted, &files, &given).await?;
        if !theirs.is_empty() {
            return Ok(Attempt::Overwrote(theirs));
        }
        match send::read_back(self.ctx, self.image, &files, goal).await? {
            ReadBack::There => Ok(Attempt::Done),
            ReadBack::Missing => Ok(Attempt::Lost),
        }
    }

    /// Sends what was signed here and never published, as it is, before anything is signed on top of it: so no version
    /// is left out, and no publication of somebody else can be passed over. `None`: there was nothing. Whose it was that
    /// the server took then is seen by reading again.
    async fn send_waiting(
        &self,
        view: &View,
        last: &[LastDocument],
        ring: &Keyring,
        given: &BTreeMap<RoleName, server::Given>,
        report: &mut Report,
    ) -> Result<Option<Attempt>, Error> {
        if !last.iter().any(|last| last.unpublished) {
            return Ok(None);
        }
        let trusted = &view.trusted;
        let ready = self.plan(&Goal::Publish, trusted, last, ring, given, report).await?.ready;
        if ready.is_empty() {
            return Ok(None);
        }
        let work = Work { sign: Vec::new(), ready, seen: Vec::new() };
        let mut files = self.sign(&work, view, last, report).await?;
        self.add_snapshot(ring, Some(trusted), last, &mut files, trusted.root(), report).await?;
        // What waits is not what is wanted, unless an earlier attempt signed that.
        let mut others = Fate::Unsigned;
        let fate = if report.fate == Fate::Unsigned { &mut others } else { &mut report.fate };
        if self.send(&files, report.audit.as_ref(), fate).await? == Sent::Taken {
            report.sent(files.iter().map(|(role, _)| role.clone()));
            let theirs = self.overwritten(&work, trusted, &files, given).await?;
            if !theirs.is_empty() {
                return Ok(Some(Attempt::Displaced(theirs)));
            }
        }
        Ok(Some(Attempt::Begun))
    }

    /// Sends files. Meanwhile the head of the daemon's record is kept here: the disk need not be waited for by itself.
    async fn send(
        &self,
        files: &Files,
        head: Option<&(u64, String)>,
        fate: &mut Fate,
    ) -> Result<Sent, Error> {
        let head = head.and_then(|(seq, hash)| Head::parse(&format!("{seq}:{hash}")).ok());
        let keep = async {
            tokio::task::yield_now().await; // the request first: a thread takes its time to start
            if let Some(head) = &head {
                audit::remember(self.ctx, self.daemon, head).await;
            }
        };
        futures_util::join!(send::send(&self.notary, files.clone(), fate), keep).0
    }

    /// The server takes any higher version. Where ours skipped some (the server lost them, or another program had several
    /// signed and sent none), somebody may have published one of those between our reading and our sending; their
    /// changes are made again.
    async fn overwritten(
        &self,
        work: &Work,
        trusted: &Trusted,
        files: &Files,
        given: &BTreeMap<RoleName, server::Given>,
    ) -> Result<Vec<TargetChange>, Error> {
        let signings =
            work.sign.iter().map(|(signing, _, _)| signing).chain(work.ready.iter().map(|(one, _)| one));
        let mut theirs = Vec::new();
        for signing in signings {
            let Some(seen) = server::held(trusted, &signing.role) else { continue };
            let Some((_, file)) = files.iter().find(|(role, _)| *role == signing.role) else { continue };
            let sent = server::own(file.clone())?.document;
            let changed: Vec<TargetName> =
                plan::between(&seen.document, &sent).iter().filter_map(plan::tag).cloned().collect();
            let ours = given.get(&signing.role);
            for number in seen.document.version().get() + 1..sent.version().get() {
                let between = server::published(&self.notary, signing, number).await?;
                let is_ours = |held: &plan::Held| {
                    ours.and_then(|given| given.get(&number)) == Some(&Sha256Digest::of(&held.signed))
                };
                if let Some(held) = between.filter(|held| !is_ours(held)) {
                    let changes = plan::between(&seen.document, &held.document);
                    // Where both changed one tag, ours came later.
                    let is_free =
                        |change: &TargetChange| plan::tag(change).is_some_and(|tag| !changed.contains(tag));
                    theirs.extend(changes.into_iter().filter(is_free));
                }
            }
        }
        Ok(theirs)
    }

    /// Every tag that somebody has signed, by the server's documents.
    ///
    /// # Errors
    /// `NO_TRUST_DATA`, or why the server's documents are not to be believed.
    pub async fn signed_tags(&self) -> Result<Vec<TargetName>, Error> {
        let view = server::current(self.ctx, self.image, self.ctx.now).await?.ok_or_else(|| {
            Error::new(Reason::NoTrustData, format!("{} has no trust data on the server", self.image.gun()))
        })?;
        let tags: BTreeSet<&TargetName> =
            view.trusted.walk().into_iter().flat_map(|(_, document)| document.targets.keys()).collect();
        Ok(tags.into_iter().cloned().collect())
    }

    /// The server's documents. Those that have expired can be read to be refreshed, as they were before they did.
    async fn current(&self, goal: &Goal, last: &[LastDocument]) -> Result<Option<View>, Error> {
        let now = self.ctx.now;
        match server::current(self.ctx, self.image, now).await {
            Err(error) if error.reason == Reason::Expired && matches!(goal, Goal::Refresh(_)) => {
                let ends = last.iter().filter_map(|last| server::own(last.file.clone()).ok());
                let first = ends.map(|own| own.document.expires().instant()).min();
                let before = first.filter(|end| *end < now).ok_or(error)?;
                server::current(self.ctx, self.image, before).await
            }
            other => other,
        }
    }

    async fn plan(
        &self,
        goal: &Goal,
        trusted: &Trusted,
        last: &[LastDocument],
        ring: &Keyring,
        given: &BTreeMap<RoleName, server::Given>,
        report: &mut Report,
    ) -> Result<Work, Error> {
        let targets = trusted
            .document(&RoleName::Targets)
            .ok_or_else(|| Error::internal(format!("{} has no targets document", self.image.gun())))?;
        let expires = Expires::at(self.ctx.now.plus(TARGETS_LIFE));
        let mut work = Work { sign: Vec::new(), ready: Vec::new(), seen: Vec::new() };
        for signing in choose(self.image.gun(), goal, ring, trusted.root(), targets)? {
            let server = server::held(trusted, &signing.role);
            let daemon = match last.iter().find(|last| last.role == signing.role) {
                None => None,
                Some(last) => {
                    let own = server::own(last.file.clone())?;
                    if let Some(server) =
                        server.as_ref().filter(|_| !last.unpublished && *goal != Goal::Publish)
                    {
                        self.is_not_older(&last.role, server.document.version(), own.document.version())?;
                    }
                    let none = server::Given::default();
                    let given = given.get(&signing.role).unwrap_or(&none);
                    let lineage =
                        server::lineage(&self.notary, &signing, server.as_ref(), &own, given).await?;
                    Some((own, lineage))
                }
            };
            let seen = daemon.as_ref().map(|(own, _)| Sha256Digest::of(&own.signed));
            let state = State { role: signing.role.clone(), server, daemon };
            let next = plan::next(&state, goal, &expires);
            if let Err(plan::PlanError::Stale { role, read, published }) = &next
                && let Some(before) = report.published_before.insert(role.clone(), *published)
            {
                self.is_not_older(role, *read, before)?;
            }
            match next.map_err(|cause| planning(&cause))? {
                Next::Nothing => {}
                Next::Publish(file) => work.ready.push((signing, file)),
                Next::Sign { document, base } => {
                    work.seen.push((signing.role.clone(), seen));
                    work.sign.push((signing, document, base));
                }
            }
        }
        Ok(work)
    }

    /// Whether the server has at least the version that it had before.
    fn is_not_older(&self, role: &RoleName, now: Version, before: Version) -> Result<(), Error> {
        if now >= before {
            return Ok(());
        }
        let (gun, server) = (self.image.gun(), self.notary.server());
        let message =
            format!("{server} has version {now} of {role} of {gun}, and had version {before} before");
        let name = self.image.familiar();
        Err(Error::new(Reason::Rollback, message).hint(format!(
            "somebody may be replaying old data: ask its operator; if it lost them, touchmark publish {name} brings back \
             what touchmarkd has"
        )))
    }

    /// What the daemon has signed under which version.
    async fn given(&self) -> Result<BTreeMap<RoleName, server::Given>, Error> {
        let entries = self.daemon.ledger(self.image.gun().to_string()).await?;
        let mut given: BTreeMap<RoleName, server::Given> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| entry.state != "void") {
            if let (Ok(role), Ok(digest)) =
                (entry.role.parse(), <[u8; 32]>::try_from(entry.sha256.as_slice()))
            {
                given.entry(role).or_default().insert(entry.version, Sha256Digest::from_bytes(digest));
            }
        }
        Ok(given)
    }

    /// Has everything signed that needs it, in one request, and puts the files together.
    async fn sign(
        &self,
        work: &Work,
        view: &View,
        last: &[LastDocument],
        report: &mut Report,
    ) -> Result<Files, Error> {
        let trusted = &view.trusted;
        let mut files = Files::new();
        for (signing, file) in &work.ready {
            send::check::<Targets>(&self.ctx.checked, signing, file).map_err(|cause| {
                Error::internal(format!("{}, signed before, does not verify any more: {cause}", signing.role))
                    .hint(format!("touchmark refresh {} --all", self.image.familiar()))
            })?;
            files.push((signing.role.clone(), file.clone()));
        }
        if work.sign.is_empty() {
            return Ok(files);
        }
        let bytes: Vec<Vec<u8>> = work.sign.iter().map(|(_, document, _)| document.write()).collect();
        let documents = work.sign.iter().zip(&bytes).map(|((signing, _, _), bytes)| DocumentToSign {
            role: signing.role.clone(),
            keys: signing.with.clone(),
            bytes: bytes.clone(),
        });
        let roles = work.sign.iter().map(|(signing, _, _)| &signing.role);
        let job = SignJob {
            gun: self.image.gun().clone(),
            documents: documents.collect(),
            bases: self.bases(roles, trusted, last).await?,
            accept_root: bases::accept(view, last),
            seen: work.seen.clone(),
        };
        let signed = self.sign_job(job, trusted).await?;
        for ((signing, _, _), (bytes, signed)) in work.sign.iter().zip(bytes.iter().zip(&signed.documents)) {
            let file = send::file::<Targets>(&self.ctx.checked, signing, bytes, &signed.signatures)?;
            files.push((signing.role.clone(), file));
        }
        note(report, signed);
        Ok(files)
    }

    /// Adds the snapshot where its key is in the vault.
    async fn add_snapshot(
        &self,
        ring: &Keyring,
        trusted: Option<&Trusted>,
        last: &[LastDocument],
        files: &mut Files,
        root: &Verified<Root>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some(signing) = ring.base_role(&RoleName::Snapshot, root) else { return Ok(()) };
        let last = last.iter().find(|last| last.role == RoleName::Snapshot);
        let expires = Expires::at(self.ctx.now.plus(TARGETS_LIFE));
        let (bytes, document, mut bases) =
            send::snapshot_job(&signing, trusted, last, files, root.file(), expires)?;
        if files.iter().any(|(role, _)| *role == RoleName::Root) {
            // It may have come from elsewhere, or with its signatures in another order.
            bases.insert(0, (RoleName::Root, root.file().to_vec()));
        }
        let signed = self.daemon.sign(&send::job(self.image, document, bases)).await?;
        let signatures =
            signed.documents.first().map(|document| document.signatures.clone()).unwrap_or_default();
        let file = send::file::<Snapshot>(&self.ctx.checked, &signing, &bytes, &signatures)?;
        files.push((RoleName::Snapshot, file));
        note(report, signed);
        Ok(())
    }
}

/// Whether the vault's own snapshot has to be signed again although nothing else is.
fn snapshot_is_due(goal: &Goal, trusted: &Trusted, ring: &Keyring) -> bool {
    let Goal::Refresh(due) = goal else { return false };
    let is_ours = ring.base_role(&RoleName::Snapshot, trusted.root()).is_some();
    is_ours && trusted.snapshot_doc().is_some_and(|snapshot| due.covers(snapshot.expires()))
}

/// What was made in a rehearsal is never published, whatever trust server is named.
fn refuse_rehearsal(image: &Image) -> Result<(), Error> {
    if !image.gun().as_str().starts_with(REHEARSAL) {
        return Ok(());
    }
    let message = format!("{} is made up for rehearsals, and nothing of it is ever published", image.gun());
    Err(Error::new(Reason::RehearsalOnly, message)
        .hint("touchmark ceremony plan, without --rehearsal, is the real thing"))
}

/// Whether the daemon's documents changed between reading and signing them.
fn is_race(error: &Error) -> bool {
    matches!(
        error.reason,
        Reason::VersionReused | Reason::VersionRegression | Reason::BaseUnknown | Reason::Conflict
    )
}

fn note(report: &mut Report, signed: SignedJob) {
    report.fate = report.fate.max(Fate::Signed);
    report.differences.extend(signed.differences);
    report.audit = Some(signed.audit);
}

fn planning(cause: &plan::PlanError) -> Error {
    let reason = match cause {
        plan::PlanError::Stale { .. } => Reason::Conflict,
        plan::PlanError::DelegationsConflict { .. } => Reason::PublishConflict,
        plan::PlanError::LastVersion { .. } | plan::PlanError::Edit { .. } => Reason::InvalidDocument,
    };
    Error::new(reason, cause.to_string())
}
