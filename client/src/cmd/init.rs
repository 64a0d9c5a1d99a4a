//! `init`: a new signed repository.
use serde_json::json;

use super::sign::told;
use crate::args::InitArgs;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::{Choice, Publisher};

/// Makes the repository on the trust server.
///
/// # Errors
/// See [`Publisher::init`].
pub async fn run(ctx: &Ctx, args: InitArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Error::usage(format!("{image} names one image; a repository is initialised as a whole"))
            .hint(format!("touchmark init {}", image.familiar())));
    }
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    initialise(ctx, &daemon, &image, Choice { roots: args.root, snapshot: args.snapshot }).await?;
    let text = format!("Finished initializing \"{}\"", image.gun());
    ctx.out.answer(&text, &json!({ "initialized": image.gun().as_str() }))
}

/// Makes the repository and warns where one lost token would be the end of it.
///
/// # Errors
/// See [`Publisher::init`].
pub async fn initialise(ctx: &Ctx, daemon: &Daemon, image: &Image, choice: Choice) -> Result<(), Error> {
    let spares = choice.roots.len();
    let report = Publisher::new(ctx, daemon, image).await?.init(&choice).await?;
    told(ctx, &report);
    if spares < 2 {
        ctx.out.warn(&format!(
            "{} has one root key: if its token is lost, the repository cannot be kept. `--root` takes spares.",
            image.gun()
        ));
    }
    Ok(())
}
