//! `sign`: signs what the registry has under each tag, one document a repository.
use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::{Either, ready, select};
use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Sha256Digest, Target, TargetChange, TargetName, shown};

use crate::args::SignArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::{Goal, Publisher, Report, Sight, glance};
use crate::registry::{Reference, Registry};

/// One repository of a command line: its image, and what its tags stand for; nothing yet where the registry is to say.
type Named = (Image, BTreeMap<TargetName, Option<Target>>);
/// The same, once it has said so.
type Wanted = (Image, BTreeMap<TargetName, Target>);

/// Signs the tags.
///
/// # Errors
/// `TAG_NOT_FOUND`, `NO_TRUST_DATA`, the daemon's or a server's refusal. With several repositories the first error
/// ends the command; what was published before it stays.
pub async fn run(ctx: &Ctx, args: SignArgs) -> Result<(), Error> {
    let named = named(&args)?;
    let first = named.values().next().map(|(image, _)| image.clone());
    // Registry, trust server and daemon know nothing of each other, so all are asked at once.
    let (wanted, begun) =
        futures_util::join!(found(ctx, named), begin(ctx, Prompter::from_args(&args.pin), first));
    let wanted = wanted?;
    let (daemon, mut sight) = begun?;
    let (mut lines, mut documents) = (Vec::new(), Vec::new());
    for (image, targets) in wanted {
        let report = sign_from(ctx, &daemon, &image, sight.take(), &targets).await?;
        for (tag, target) in &targets {
            lines.push(format!("Successfully signed {}:{tag}", image.gun()));
            documents.push(json!({
                "image": format!("{}:{tag}", image.gun()),
                "digest": target.sha256().map(Sha256Digest::to_oci),
                "size": target.length,
                "published": report.published.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }));
        }
    }
    ctx.out.answer(&lines.join("\n"), &json!({ "signed": documents }))
}

/// Connects to the daemon, and looks at what it and the trust server have of the first repository. What goes wrong with
/// that is said when its turn comes.
async fn begin(
    ctx: &Ctx,
    prompter: Prompter,
    first: Option<Image>,
) -> Result<(Daemon, Option<Result<Sight, Error>>), Error> {
    let Some(image) = &first else { return Ok((Daemon::connect(ctx, prompter).await?, None)) };
    let connecting = std::pin::pin!(Daemon::connect(ctx, prompter));
    let (daemon, glance) = match select(connecting, Box::pin(glance(ctx, image))).await {
        Either::Left((daemon, glance)) => (daemon?, glance.left_future()),
        Either::Right((seen, connecting)) => (connecting.await?, ready(seen).right_future()),
    };
    let sight = match Publisher::new(ctx, &daemon, image).await {
        Ok(publisher) => publisher.look_with(&Goal::Apply(Vec::new()), glance).await,
        Err(refused) => Err(refused),
    };
    Ok((daemon, Some(sight)))
}

/// Signs and publishes tags of one repository; says what else goes out with them.
///
/// # Errors
/// See [`Publisher::run`].
pub async fn sign(
    ctx: &Ctx,
    daemon: &Daemon,
    image: &Image,
    targets: &BTreeMap<TargetName, Target>,
) -> Result<Report, Error> {
    sign_from(ctx, daemon, image, None, targets).await
}

async fn sign_from(
    ctx: &Ctx,
    daemon: &Daemon,
    image: &Image,
    sight: Option<Result<Sight, Error>>,
    targets: &BTreeMap<TargetName, Target>,
) -> Result<Report, Error> {
    let changes =
        targets.iter().map(|(name, target)| TargetChange::Set { name: name.clone(), target: target.clone() });
    let publisher = Publisher::new(ctx, daemon, image).await?;
    let report = publisher.run_from(sight, &Goal::Apply(changes.collect())).await?;
    told(ctx, &report);
    Ok(report)
}

/// Says what the daemon understood.
pub fn told(ctx: &Ctx, report: &Report) {
    if report.lost > 0 {
        ctx.out.say(&format!("Others published first ({} times); built on theirs.", report.lost));
    }
    for difference in &report.differences {
        ctx.out.detail(&format!("signed: {}", shown(difference)));
    }
}

fn named(args: &SignArgs) -> Result<BTreeMap<String, Named>, Error> {
    let given = match (&args.digest, args.size) {
        (Some(digest), Some(size)) if args.images.len() == 1 => {
            let digest =
                Sha256Digest::from_oci(digest).map_err(|cause| Error::usage(format!("--digest: {cause}")))?;
            Some(Target::new(digest, size))
        }
        (None, None) => None,
        _ => return Err(Error::usage("--digest and --size go together, with one IMAGE:TAG")),
    };
    let mut named: BTreeMap<String, Named> = BTreeMap::new();
    for written in &args.images {
        let image = Image::parse(written)?;
        let tag = image.required_tag()?.clone();
        let (_, tags) = named.entry(image.gun().to_string()).or_insert_with(|| (image, BTreeMap::new()));
        tags.insert(tag, given.clone());
    }
    Ok(named)
}

/// All tags as the registry has them, before anything is signed.
async fn found(ctx: &Ctx, named: BTreeMap<String, Named>) -> Result<Vec<Wanted>, Error> {
    let mut wanted = Vec::new();
    for (image, tags) in named.into_values() {
        let registry = ctx.registry(&image);
        let mut targets = BTreeMap::new();
        for (tag, given) in tags {
            let target = match given {
                Some(target) => target,
                None => in_registry(&registry, &image, &tag).await?,
            };
            targets.insert(tag, target);
        }
        wanted.push((image, targets));
    }
    Ok(wanted)
}

/// What the registry has under a tag: image or multi-arch index, by its digest over the bytes themselves.
async fn in_registry(registry: &Registry, image: &Image, tag: &TargetName) -> Result<Target, Error> {
    let manifest = registry.manifest(&Reference::Tag(tag.clone())).await.map_err(|cause| {
        let error = Error::from(cause);
        if error.reason == Reason::TagNotFound {
            return error.hint(format!("push it first: touchmark push {}:{tag}", image.familiar()));
        }
        error
    })?;
    Ok(Target::new(*manifest.digest(), manifest.size()))
}
