//! `pull`: trust first, then by digest; an unsigned tag is refused.
mod layout;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::TargetName;

use self::layout::Layout;
use crate::args::PullArgs;
use crate::config::docker;
use crate::context::Ctx;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::image::Image;
use crate::reader::{self, View};
use crate::registry::Reference;

/// Where pulled images go.
enum Destination {
    Engine(Engine),
    Layout(Layout),
}

/// Pulls one tag, or with `-a` every signed one.
///
/// # Errors
/// Not signed, trust data not valid, registry or engine fail.
pub async fn run(ctx: &Ctx, args: PullArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let to = Destination::choose(ctx, &args.to).await?;
    if args.disable_content_trust || docker::is_off(ctx.environment.content_trust.as_deref()) {
        return plain(ctx, &image, args.all_tags, &to).await;
    }
    let view = reader::read(ctx, &image).await?;
    let wanted = wanted(&view, &image, args.all_tags)?;
    let mut pulled = Vec::new();
    for (number, (tag, digest)) in wanted.iter().enumerate() {
        let line = format!(
            "Pull ({} of {}): {}:{tag}@{}",
            number + 1,
            wanted.len(),
            image.familiar(),
            digest.to_oci()
        );
        ctx.out.line(&line)?;
        to.pull(ctx, &image, tag, digest).await?;
        pulled.push(json!({ "tag": tag.as_str(), "digest": digest.to_oci() }));
    }
    ctx.out.answer("", &json!({ "name": image.gun().as_str(), "pulled": pulled }))
}

/// The tags to pull, each with the digest that is signed for it.
fn wanted(view: &View, image: &Image, all: bool) -> Result<Vec<(TargetName, Sha256Digest)>, Error> {
    if all {
        let every = view.tags()?;
        return match every.is_empty() {
            true => {
                Err(Error::new(Reason::TagNotSigned, format!("no tag of {} is signed", image.familiar())))
            }
            false => Ok(every),
        };
    }
    if let (None, Some(digest)) = (image.tag(), image.digest()) {
        return Ok(vec![(view.any_tag_of(digest)?, *digest)]);
    }
    let tag = image.tag_or_latest()?;
    let signed = view.signed(&tag)?;
    signed.must_be(image.digest())?;
    Ok(vec![(tag, signed.digest)])
}

async fn plain(ctx: &Ctx, image: &Image, all: bool, to: &Destination) -> Result<(), Error> {
    ctx.out.warn("content trust is off: nothing is checked");
    if all {
        return Err(Error::usage("-a pulls every signed tag; with content trust off, name one"));
    }
    let what = match image.digest() {
        Some(digest) => digest.to_oci(),
        None => image.tag_or_latest()?.to_string(),
    };
    match to {
        Destination::Engine(engine) => {
            engine
                .pull(&ctx.out, image, &what, engine::credentials(ctx.http.docker_dir(), image.host())?)
                .await?;
        }
        Destination::Layout(layout) => {
            let reference = match image.digest() {
                Some(digest) => Reference::Digest(*digest),
                None => Reference::Tag(image.tag_or_latest()?),
            };
            layout.pull(&ctx.out, &ctx.registry(image), &reference, &what).await?;
        }
    }
    ctx.out.answer("", &json!({ "name": image.gun().as_str(), "pulled": [{ "tag": what }], "trust": "off" }))
}

impl Destination {
    async fn choose(ctx: &Ctx, written: &str) -> Result<Self, Error> {
        match written.split_once(':') {
            None if written == "engine" => Ok(Self::Engine(Engine::connect(&ctx.environment).await?)),
            Some(("oci", folder)) if !folder.is_empty() => Ok(Self::Layout(Layout::new(folder.into()))),
            _ => Err(Error::usage(format!("--to '{written}' is neither 'engine' nor 'oci:DIR'"))),
        }
    }

    async fn pull(
        &self,
        ctx: &Ctx,
        image: &Image,
        tag: &TargetName,
        digest: &Sha256Digest,
    ) -> Result<(), Error> {
        match self {
            Self::Engine(engine) => {
                let credentials = engine::credentials(ctx.http.docker_dir(), image.host())?;
                engine.pull(&ctx.out, image, &digest.to_oci(), credentials).await?;
                let name = image.familiar();
                ctx.out.say(&format!("Tagging {name}@{} as {name}:{tag}", digest.to_oci()));
                engine.tag(image, digest, tag).await
            }
            Self::Layout(layout) => {
                let reference = Reference::Digest(*digest);
                layout.pull(&ctx.out, &ctx.registry(image), &reference, tag.as_str()).await
            }
        }
    }
}
