//! `verify`: the digest that is signed for a tag, alone on stdout.
pub(crate) mod file;

use serde_json::{Value, json};
use touchmark_tuf::{KeyId, Sha256Digest, TargetName};

use crate::args::VerifyArgs;
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader::{self, Freshness, Ground, View};

/// Verifies one image, or every image named in a file.
///
/// # Errors
/// Not signed, or the trust data is not to be believed.
pub async fn run(ctx: &Ctx, args: VerifyArgs) -> Result<(), Error> {
    match (&args.image, &args.file) {
        (_, Some(file)) => file::run(ctx, file, args.write).await,
        (Some(image), None) if args.any_tag => any_tag(ctx, &Image::parse(image)?).await,
        (Some(image), None) => one(ctx, &Image::parse(image)?).await,
        (None, None) => Err(Error::usage("no image is named").hint("touchmark verify IMAGE:TAG")),
    }
}

async fn one(ctx: &Ctx, image: &Image) -> Result<(), Error> {
    if image.tag().is_none() && image.digest().is_some() {
        let hint = format!("touchmark verify {image} --any-tag");
        return Err(Error::usage(format!("{image} names no tag")).hint(hint));
    }
    let tag = image.tag_or_latest()?;
    let view = reader::read(ctx, image).await?;
    let signed = view.signed(&tag)?;
    signed.must_be(image.digest())?;
    answer(ctx, image, &view, &tag, &signed.digest)
}

async fn any_tag(ctx: &Ctx, image: &Image) -> Result<(), Error> {
    let Some(digest) = image.digest() else {
        return Err(Error::usage("--any-tag needs a digest")
            .hint(format!("touchmark verify {}@sha256:... --any-tag", image.familiar())));
    };
    let view = reader::read(ctx, image).await?;
    let tag = view.any_tag_of(digest)?;
    answer(ctx, image, &view, &tag, digest)
}

fn answer(
    ctx: &Ctx,
    image: &Image,
    view: &View,
    tag: &TargetName,
    digest: &Sha256Digest,
) -> Result<(), Error> {
    let reference = format!("{}@{}", image.gun(), digest.to_oci());
    let signed = view.signed(tag)?;
    let document = json!({
        "reference": reference,
        "name": image.gun().as_str(),
        "tag": tag.as_str(),
        "digest": digest.to_oci(),
        "size": signed.length,
        "role": signed.role.as_str(),
        "root": view.root_key_ids().iter().map(KeyId::to_string).collect::<Vec<_>>(),
        "trust": ground(view.ground),
        "cached": cached(&view.freshness),
        "trust_server": view.server.to_string(),
    });
    ctx.out.answer(&reference, &document)
}

/// The word for why a root is trusted.
pub(super) fn ground(ground: Ground) -> &'static str {
    match ground {
        Ground::Known => "known",
        Ground::Pinned => "pinned",
        Ground::FirstUse => "first use",
    }
}

/// Why the cache was used, `null` if it was not.
pub(super) fn cached(freshness: &Freshness) -> Value {
    match freshness {
        Freshness::Server => Value::Null,
        Freshness::Cache(why) => json!(why),
    }
}
