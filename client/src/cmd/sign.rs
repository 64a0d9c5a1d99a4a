//! `sign`: signs what the registry has under each tag, one document a repository.
use std::collections::BTreeMap;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Sha256Digest, Target, TargetChange, TargetName, shown};

use super::audit;
use crate::args::SignArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::{Goal, Publisher, Report};
use crate::registry::Reference;

/// One repository of a command line: its image, and what its tags stand for.
type Wanted = (Image, BTreeMap<TargetName, Target>);

/// Signs the tags.
///
/// # Errors
/// `TAG_NOT_FOUND`, `NO_TRUST_DATA`, the daemon's or a server's refusal. With several repositories the first error
/// ends the command; what was published before it stays.
pub async fn run(ctx: &Ctx, args: SignArgs) -> Result<(), Error> {
    let wanted = wanted(ctx, &args).await?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let (mut lines, mut documents) = (Vec::new(), Vec::new());
    for (image, targets) in wanted.into_values() {
        let report = sign(ctx, &daemon, &image, &targets).await?;
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
    let changes =
        targets.iter().map(|(name, target)| TargetChange::Set { name: name.clone(), target: target.clone() });
    let publisher = Publisher::new(ctx, daemon, image).await?;
    let report = publisher.run(&Goal::Apply(changes.collect())).await?;
    told(ctx, daemon, &report);
    Ok(report)
}

/// Says what the daemon understood, and keeps the audit head.
pub fn told(ctx: &Ctx, daemon: &Daemon, report: &Report) {
    if report.lost > 0 {
        ctx.out.say(&format!("Others published first ({} times); built on theirs.", report.lost));
    }
    for difference in &report.differences {
        ctx.out.detail(&format!("signed: {}", shown(difference)));
    }
    if let Some((seq, hash)) = &report.audit
        && let Ok(head) = audit::Head::parse(&format!("{seq}:{hash}"))
    {
        audit::remember(ctx, daemon, &head);
    }
}

async fn wanted(ctx: &Ctx, args: &SignArgs) -> Result<BTreeMap<String, Wanted>, Error> {
    let given = match (&args.digest, args.size) {
        (Some(digest), Some(size)) if args.images.len() == 1 => {
            let digest =
                Sha256Digest::from_oci(digest).map_err(|cause| Error::usage(format!("--digest: {cause}")))?;
            Some(Target::new(digest, size))
        }
        (None, None) => None,
        _ => return Err(Error::usage("--digest and --size go together, with one IMAGE:TAG")),
    };
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for written in &args.images {
        let image = Image::parse(written)?;
        let tag = image.required_tag()?.clone();
        let target = match &given {
            Some(target) => target.clone(),
            None => found(ctx, &image, &tag).await?,
        };
        let (_, targets) = wanted.entry(image.gun().to_string()).or_insert_with(|| (image, BTreeMap::new()));
        targets.insert(tag, target);
    }
    Ok(wanted)
}

/// What the registry has under a tag: image or multi-arch index, by its digest over the bytes themselves.
async fn found(ctx: &Ctx, image: &Image, tag: &TargetName) -> Result<Target, Error> {
    let manifest = ctx.registry(image).manifest(&Reference::Tag(tag.clone())).await.map_err(|cause| {
        let error = Error::from(cause);
        if error.reason == Reason::TagNotFound {
            return error.hint(format!("push it first: touchmark push {image}"));
        }
        error
    })?;
    Ok(Target::new(*manifest.digest(), manifest.size()))
}
