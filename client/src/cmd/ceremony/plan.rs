//! `ceremony plan`: the published state and what is wanted of it become exact documents in one file. Nothing is written
//! unless every repository of the plan can be planned.
mod maker;

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{CheckSignature, Instant, Sha256Digest};

use super::show;
use crate::args::CeremonyPlanArgs;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan, Repository};
use crate::ceremony::words::{day, repositories};
use crate::ceremony::{TOOL, file, fingerprint, fleet};
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;

use maker::Maker;

/// Repositories that are asked for at once.
const IN_FLIGHT: usize = 6;
/// How many of those that fail are named.
const NAMED: usize = 20;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

pub(super) async fn run(ctx: &Ctx, args: CeremonyPlanArgs) -> Result<(), Error> {
    let occasion = Occasion::of(&args.rehearsal);
    let images = fleet::read(&args.fleet, occasion)?;
    if args.out.symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{} is there already", file::name(&args.out)))
            .hint("another --out, or move it away"));
    }
    let maker = Maker::new(ctx, &args, occasion).await?;
    let repositories = all(ctx, &maker, &images).await?;
    let plan = Plan {
        title: args.title.clone().unwrap_or_else(|| format!("Ceremony of {}", day(ctx.now))),
        occasion,
        made: Instant::from_unix(ctx.now.unix()),
        good_until: Instant::from_unix(ctx.now.unix()).plus(DAY * args.good_for),
        tool: TOOL.to_owned(),
        keys: maker.known(&repositories).await?,
        repositories,
    };
    let bytes = plan.write();
    if Plan::parse(&bytes).as_ref() != Ok(&plan) {
        return Err(Error::internal("the plan does not read back as it was meant"));
    }
    // What is written passes the checks of whoever signs.
    let items = checked(ctx, &plan)?;
    file::write_new(&args.out, &bytes)?;
    let digest = Sha256Digest::of(&bytes);
    let name = file::name(&args.out);
    let mut lines = vec![format!("Wrote {name}: {}", self::repositories_of(&plan))];
    lines.extend(show::describe(&plan, &digest, &items, show::Detail::Folded));
    lines.push(String::new());
    lines.push(format!("next, where each token is: touchmark ceremony sign {name} --token NAME --out FILE"));
    show::warn(ctx, &plan, &items);
    let mut document = show::to_json(ctx, &plan, &digest, &items)?;
    if let Some(object) = document.as_object_mut() {
        object.insert("file".to_owned(), json!(args.out.to_string_lossy()));
        object.insert("fingerprint".to_owned(), json!(fingerprint::words(&digest)));
    }
    ctx.out.answer(&lines.join("\n"), &document)
}

fn repositories_of(plan: &Plan) -> String {
    repositories(plan.repositories.len())
}

/// Plans every repository, a few at once; names all that cannot be planned.
async fn all(ctx: &Ctx, maker: &Maker<'_>, images: &[Image]) -> Result<Vec<Repository>, Error> {
    let bar = ctx.out.count_bar("repositories", images.len());
    let each = images.iter().map(|image| {
        let bar = bar.clone();
        async move {
            let made = maker.repository(image).await;
            bar.inc(1);
            made.map_err(|cause| (image, cause))
        }
    });
    let made: Vec<Result<Repository, (&Image, Error)>> =
        futures_util::stream::iter(each).buffered(IN_FLIGHT).collect().await;
    bar.finish_and_clear();
    let (mut good, mut failed) = (Vec::with_capacity(made.len()), Vec::new());
    for one in made {
        match one {
            Ok(repository) => good.push(repository),
            Err(failure) => failed.push(failure),
        }
    }
    let Some((_, first)) = failed.first() else { return Ok(good) };
    if images.len() == 1 {
        return Err(failed.swap_remove(0).1);
    }
    let same = failed.iter().all(|(_, cause)| cause.reason == first.reason);
    let reason = if same { first.reason } else { Reason::CeremonyInvalid };
    let mut message =
        format!("{} of {} cannot be planned, so nothing was written:", failed.len(), images.len());
    for (image, cause) in failed.iter().take(NAMED) {
        message += &format!("\n  {}: {}", image.gun(), cause.message);
    }
    if failed.len() > NAMED {
        message += &format!("\n  and {} more", failed.len() - NAMED);
    }
    let hint = first.hint.clone().unwrap_or_else(|| "leave them out, or mend them first".to_owned());
    Err(Error::new(reason, message).hint(hint))
}

/// Every repository of a plan, checked from its documents.
pub(super) fn checked<'p>(ctx: &Ctx, plan: &'p Plan) -> Result<Vec<Item<'p>>, Error> {
    let checker: Arc<dyn CheckSignature + Send + Sync> = Arc::<crate::checked::Checked>::clone(&ctx.checked);
    plan.repositories.iter().map(|repository| Item::check(repository, plan.occasion, &checker)).collect()
}
