//! `run`: trust first, then `docker run` by digest. The engine's own client does the running.
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use touchmark_proto::reason::Reason;

use crate::args::RunArgs;
use crate::config::docker;
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader;

/// Checks, then becomes `docker run`. Returns only if that fails.
///
/// # Errors
/// Not signed, trust data not valid, or no `docker` program.
pub async fn run(ctx: &Ctx, args: RunArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let what = if args.disable_content_trust || docker::is_off(ctx.environment.content_trust.as_deref()) {
        ctx.out.warn("content trust is off: nothing is checked");
        image.to_string()
    } else {
        let view = reader::read(ctx, &image).await?;
        match (image.tag(), image.digest()) {
            (None, Some(digest)) => drop(view.any_tag_of(digest)?),
            _ => view.signed(&image.tag_or_latest()?)?.must_be(image.digest())?,
        }
        let digest = match image.digest() {
            Some(digest) => *digest,
            None => view.signed(&image.tag_or_latest()?)?.digest,
        };
        format!("{}@{}", image.gun(), digest.to_oci())
    };
    let cause = Command::new("docker")
        .arg("run")
        .args(&args.options)
        .arg(what)
        .args(&args.command)
        .env("DOCKER_CONTENT_TRUST", "0") // checked already, and a digest needs no second look
        .exec();
    Err(Error::new(Reason::EngineUnreachable, format!("cannot start docker: {cause}"))
        .hint("install Docker's command line client"))
}
