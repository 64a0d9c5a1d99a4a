//! `ceremony publish`: every root of a record goes to its trust server and is read back as others will read it. What
//! happens is added to the record at once, so that the same command goes on after any interruption.
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature, Gun, PublicKey, RoleName, shown};

use self::readers::Held;
use crate::args::CeremonyPublishArgs;
use crate::ceremony::item::{Item, REHEARSAL};
use crate::ceremony::judge;
use crate::ceremony::plan::{Also, Occasion};
use crate::ceremony::record::{Book, Failed, Finished, Noted, Published, Record, Rehearsed};
use crate::ceremony::{TOOL, assembly, file, growing, vouched};
use crate::checked::Checked;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{self, Consent, Prompter};
use crate::publish::root::{NewRoot, publish_root};
use crate::table::Table;

/// Repositories that are published at the same time.
const AT_ONCE: usize = 4;

/// What became of one repository.
struct Outcome {
    gun: Gun,
    version: u64,
    result: Result<Published, Error>,
}

/// What publishing needs beside the record.
struct Job<'a> {
    ctx: &'a Ctx,
    daemon: Option<&'a Daemon>,
    /// Canonical ids of the keys that the daemon has.
    held: BTreeSet<String>,
    files: BTreeMap<&'a Gun, &'a [u8]>,
}

pub(super) async fn run(ctx: &Ctx, args: CeremonyPublishArgs) -> Result<(), Error> {
    let (mut book, record) = Book::open(&args.record, growing::moment)?;
    let checker: Arc<dyn CheckSignature + Send + Sync> = Arc::<Checked>::clone(&ctx.checked);
    // A record that does not fit is not published, wherever it was changed.
    let authorities = vouched::authorities(ctx, None)?;
    let items = judge::itself(&record, authorities.as_ref(), &checker)?;
    for item in &items {
        still_believed(ctx, &record, item, &checker)?;
    }
    if record.plan.occasion == Occasion::Rehearsal {
        return rehearse(ctx, &args, &mut book, &items);
    }
    let name = file::name(&args.record);
    ask(&record, &items, args.yes.into()).await?;
    let daemon = connect(ctx, &items, &args).await?;
    let held = match &daemon {
        Some(daemon) => daemon.key_list().await?.into_iter().map(|key: v1::Key| key.id).collect(),
        None => BTreeSet::new(),
    };
    let files = record.completed().map(|(_, one)| (&one.repository, one.file.as_bytes())).collect();
    let job = Job { ctx, daemon: daemon.as_ref(), held, files };
    let bar = ctx.out.count_bar("publishing", items.len());
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    let mut running = stream::iter(items.iter().map(|item| job.one(item))).buffer_unordered(AT_ONCE);
    while let Some(outcome) = running.next().await {
        bar.inc(1);
        book.append(&noted(&outcome))?;
        outcomes.push(outcome);
    }
    bar.finish_and_clear();
    let now: BTreeSet<&Gun> = outcomes.iter().filter(|one| one.result.is_ok()).map(|one| &one.gun).collect();
    let count = items.iter().map(|item| &item.repository.gun);
    let count = count.filter(|gun| now.contains(gun) || record.is_published(gun)).count() as u64;
    book.append(&Noted::Finished(Finished {
        published: count,
        of: items.len() as u64,
        tool: TOOL.to_owned(),
    }))?;
    outcomes.sort_by(|one, other| one.gun.cmp(&other.gun));
    answer(ctx, &args, &outcomes)?;
    match outcomes.iter().filter(|one| one.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(Error::new(
            Reason::PartlyPublished,
            format!("{failed} of {} repositories are not published; {name} says why", outcomes.len()),
        )
        .hint(format!("touchmark ceremony publish {name} goes on with what is missing"))),
    }
}

impl Job<'_> {
    async fn one(&self, item: &Item<'_>) -> Outcome {
        Outcome {
            gun: item.repository.gun.clone(),
            version: item.root.version.get(),
            result: self.publish(item).await,
        }
    }

    async fn publish(&self, item: &Item<'_>) -> Result<Published, Error> {
        let gun = &item.repository.gun;
        // The record was checked; this is the last door before the network.
        if gun.as_str().starts_with(REHEARSAL) {
            return Err(Error::new(Reason::RehearsalOnly, format!("{gun} is made up for rehearsals")));
        }
        let image = Image::parse(gun.as_str())?;
        let notary = self.ctx.notary(&image)?;
        let (here, planned) = (notary.server().to_string(), item.repository.server.as_str());
        if here != planned {
            let message =
                format!("the plan for {gun} is about {}, and here it would go to {here}", shown(planned));
            return Err(
                Error::new(Reason::PlanOutdated, message).hint(format!("--trust-server {}", shown(planned)))
            );
        }
        let file = self.files.get(gun).copied().unwrap_or_default();
        let held = readers::held(&notary, item).await?;
        if held == Held::No {
            let base = item.repository.roots.last().map(Vec::as_slice);
            publish_root(self.ctx, self.daemon_for(item), &image, &NewRoot { file, base }).await?;
        }
        readers::read(self.ctx, &notary, item, held).await
    }

    /// The daemon, where it has something to sign: the targets that go along, a snapshot whose key is in its vault.
    fn daemon_for(&self, item: &Item<'_>) -> Option<&Daemon> {
        let holds = |key: &PublicKey| self.held.contains(&key.canonical_id().to_string());
        let needed = needs_daemon(item) || item.root.keys_of(&RoleName::Snapshot).any(holds);
        self.daemon.filter(|_| needed)
    }
}

fn needs_daemon(item: &Item<'_>) -> bool {
    item.repository.also == Also::Targets || item.base.is_none()
}

/// touchmarkd, if it is needed or there.
async fn connect(ctx: &Ctx, items: &[Item<'_>], args: &CeremonyPublishArgs) -> Result<Option<Daemon>, Error> {
    match Daemon::connect(ctx, Prompter::from_args(&args.pin)).await {
        Ok(daemon) => Ok(Some(daemon)),
        Err(cause) if items.iter().any(needs_daemon) => Err(cause),
        Err(_) => Ok(None),
    }
}

/// No reader believes a root that has expired meanwhile.
fn still_believed(
    ctx: &Ctx,
    record: &Record,
    item: &Item<'_>,
    checker: &Arc<dyn CheckSignature + Send + Sync>,
) -> Result<(), Error> {
    let gun = &item.repository.gun;
    if record.is_published(gun) {
        return Ok(());
    }
    let file = record.completed().find(|(_, one)| one.repository == *gun).map(|(_, one)| one.file.as_bytes());
    let believed =
        file.map(|file| assembly::follow(item, file, checker).and_then(|new| new.check_root(ctx.now)));
    match believed {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => {
            Err(Error::new(Reason::Expired, format!("no reader takes the new root of {gun}: {why}"))
                .hint("is the clock right? else touchmark ceremony plan makes a new one; nothing was sent"))
        }
        None => Err(Error::new(Reason::CeremonyIncomplete, format!("the root of {gun} is not complete"))),
    }
}

async fn ask(record: &Record, items: &[Item<'_>], consent: Consent) -> Result<(), Error> {
    let open = items.iter().filter(|item| !record.is_published(&item.repository.gun)).count();
    if open == 0 {
        return Ok(());
    }
    let servers: BTreeSet<&str> = items.iter().map(|item| item.repository.server.as_str()).collect();
    let servers = servers.into_iter().map(|server| shown(server).to_string()).collect::<Vec<_>>().join(", ");
    let title = shown(&record.plan.title).to_string();
    let question = format!("Publish {open} of {} roots of \"{title}\" on {servers}?", items.len());
    Ok(prompt::confirm(&question, consent, "--yes").await?)
}

/// All that publishing checks before it sends, and nothing sent, ever.
fn rehearse(ctx: &Ctx, args: &CeremonyPublishArgs, book: &mut Book, items: &[Item<'_>]) -> Result<(), Error> {
    for item in items {
        let (repository, version) = (item.repository.gun.clone(), item.root.version.get());
        book.append(&Noted::Rehearsed(Rehearsed { repository, version }))?;
    }
    book.append(&Noted::Finished(Finished { published: 0, of: items.len() as u64, tool: TOOL.to_owned() }))?;
    let guns: Vec<&str> = items.iter().map(|item| item.repository.gun.as_str()).collect();
    let text = format!(
        "Rehearsed: {} roots are what readers would take. They are made up: nothing was sent, and never will be.\n\
         next: touchmark ceremony verify {}",
        guns.len(),
        file::name(&args.record)
    );
    ctx.out.answer(&text, &json!({ "rehearsal": true, "published": [], "rehearsed": guns }))
}

fn noted(outcome: &Outcome) -> Noted {
    match &outcome.result {
        Ok(published) => Noted::Published(published.clone()),
        Err(error) => Noted::Failed(Failed {
            repository: outcome.gun.clone(),
            reason: error.reason.as_str().to_owned(),
            message: error.message.clone(),
        }),
    }
}

fn answer(ctx: &Ctx, args: &CeremonyPublishArgs, outcomes: &[Outcome]) -> Result<(), Error> {
    let mut table = Table::new(&["REPOSITORY", "ROOT", "STATE", "NEW CLIENT", "CLIENT WITH THE OLD ROOT"]);
    let mut documents: Vec<Value> = Vec::new();
    for outcome in outcomes {
        let (gun, version) = (outcome.gun.to_string(), outcome.version);
        let (state, fresh, old, document) = match &outcome.result {
            Ok(one) => (
                "published".to_owned(),
                one.fresh_client.clone(),
                one.old_client.clone(),
                json!({
                    "name": gun, "version": version, "published": true, "server": one.server,
                    "fresh_client": one.fresh_client, "old_client": one.old_client, "targets": one.targets,
                }),
            ),
            Err(error) => (
                format!("NOT PUBLISHED: {}", error.message),
                String::new(),
                String::new(),
                json!({
                    "name": gun, "version": version, "published": false,
                    "reason": error.reason.as_str(), "message": error.message, "hint": error.hint,
                }),
            ),
        };
        table.row([gun, version.to_string(), state, fresh, old]);
        documents.push(document);
    }
    let next = format!("next: touchmark ceremony verify {}", file::name(&args.record));
    let failed = outcomes.iter().any(|one| one.result.is_err());
    let text = if failed { table.to_string() } else { format!("{table}{next}") };
    ctx.out.answer(&text, &json!({ "rehearsal": false, "repositories": documents }))
}
