//! `revoke`: withdraws the signature of one tag, or of all.
use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{TargetChange, TargetName};

use super::sign::told;
use crate::args::RevokeArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Prompter, confirm};
use crate::publish::{Goal, Publisher};

/// Withdraws it from every role that is signed here.
///
/// # Errors
/// `TAG_NOT_SIGNED` where there is nothing to withdraw; otherwise see [`Publisher::run`].
pub async fn run(ctx: &Ctx, args: RevokeArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    if args.all && image.tag().is_some() {
        return Err(Error::usage(format!("{image} names a tag: either that tag or --all")));
    }
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let publisher = Publisher::new(ctx, &daemon, &image).await?;
    let tags = if args.all { publisher.signed_tags().await? } else { vec![image.required_tag()?.clone()] };
    if tags.is_empty() {
        return Err(Error::new(Reason::TagNotSigned, format!("{} has no signed tag", image.gun())));
    }
    if args.all {
        let question = format!("Withdraw the signatures of all {} tags of {}?", tags.len(), image.gun());
        confirm(&question, args.yes.into(), "--yes").await?;
    }
    let changes = tags.iter().map(|name| TargetChange::Remove { name: name.clone() }).collect();
    let report = publisher.run(&Goal::Apply(changes)).await?;
    told(ctx, &report);
    if report.published.is_empty() {
        let what = tags.iter().map(|tag| format!("{}:{tag}", image.gun())).collect::<Vec<_>>().join(", ");
        return Err(Error::new(Reason::TagNotSigned, format!("{what} is not signed by a key held here"))
            .hint(format!("touchmark inspect {}", image.familiar())));
    }
    let text = if args.all {
        format!("Successfully revoked all signatures of {}", image.gun())
    } else {
        format!("Successfully revoked {image}")
    };
    let names: Vec<&str> = tags.iter().map(TargetName::as_str).collect();
    ctx.out.answer(&text, &json!({ "repository": image.gun().as_str(), "revoked": names }))
}
