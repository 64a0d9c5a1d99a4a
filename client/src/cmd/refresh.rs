//! `refresh`: new expiry for what is due.
use serde_json::json;

use super::sign::told;
use crate::args::RefreshArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::{DUE, Due, Goal, Publisher};

/// Signs the same content again where its expiry is near.
///
/// # Errors
/// See [`Publisher::run`].
pub async fn run(ctx: &Ctx, args: RefreshArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let publisher = Publisher::new(ctx, &daemon, &image).await?;
    let due = if args.all { Due::All } else { Due::Before(ctx.now.plus(DUE)) };
    let report = publisher.run(&Goal::Refresh(due)).await?;
    told(ctx, &report);
    let roles = report.published.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = if roles.is_empty() {
        format!("Nothing of {} is due; --all refreshes all the same", image.gun())
    } else {
        format!("Refreshed {} of {}", roles.join(", "), image.gun())
    };
    ctx.out.answer(&text, &json!({ "repository": image.gun().as_str(), "refreshed": roles }))
}
