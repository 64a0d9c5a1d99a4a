//! `publish`: sends what was signed and not published.
use serde_json::json;

use super::sign::told;
use crate::args::PublishArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::{Goal, Publisher};

/// Sends it, or builds it anew on what others published since.
///
/// # Errors
/// See [`Publisher::run`].
pub async fn run(ctx: &Ctx, args: PublishArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let report = Publisher::new(ctx, &daemon, &image).await?.run(&Goal::Publish).await?;
    told(ctx, &report);
    let roles = report.published.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = if roles.is_empty() {
        format!("Nothing to publish: the server has all that was signed for {}", image.gun())
    } else {
        format!("Published {} of {}", roles.join(", "), image.gun())
    };
    ctx.out.answer(&text, &json!({ "repository": image.gun().as_str(), "published": roles }))
}
