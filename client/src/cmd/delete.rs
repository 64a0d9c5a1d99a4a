//! `delete`: a repository's whole trust data on the server.
use serde_json::json;

use crate::args::DeleteArgs;
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::confirm;

/// Deletes it on the server and from the cache here. The daemon keeps its keys and its record, other readers keep
/// the root they trust.
///
/// # Errors
/// The server's refusal, or no yes.
pub async fn run(ctx: &Ctx, args: DeleteArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let notary = ctx.notary(&image)?;
    let question = format!(
        "Delete all trust data of {} on {}? Every signed tag is gone then.",
        image.gun(),
        notary.server()
    );
    confirm(&question, args.yes.into(), "--yes").await?;
    notary.delete().await?;
    // What is cached here would call a new beginning a rollback.
    ctx.trust_dir.forget(image.gun())?;
    let text = format!("Deleted the trust data of {} on {}", image.gun(), notary.server());
    ctx.out.answer(&text, &json!({ "deleted": image.gun().as_str() }))
}
