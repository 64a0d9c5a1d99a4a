//! `push`: the image to the registry, then the signature to the trust server. What is signed is what the registry
//! received, never what was there before.
use std::collections::BTreeMap;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::digest::Sha256Digest;
use touchmark_tuf::ids::TargetName;
use touchmark_tuf::targets::Target;

use super::{init, sign};
use crate::args::{PushArgs, SnapshotHolder};
use crate::config::docker;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::Choice;
use crate::registry::{Manifest, Reference};
use crate::source::{Content, Source};

/// What each tag stands for in the registry now.
type Pushed = BTreeMap<TargetName, Target>;

/// Pushes, then signs unless content trust is off.
///
/// # Errors
/// Before anything is sent: a source that is none, no daemon. Then: the registry or the engine. A failure after the
/// push says that the image is there and its signature is not.
pub async fn run(ctx: &Ctx, args: PushArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let source: Source = args.from.parse()?;
    if args.all_tags && image.tag().is_some() {
        return Err(Error::usage(format!("-a pushes every tag of a repository, and {image} names one")));
    }
    if args.all_tags && source != Source::Engine {
        return Err(Error::usage(
            "-a pushes the tags that the engine has; an OCI layout or an archive is one image",
        ));
    }
    if args.disable_content_trust || docker::is_off(ctx.environment.content_trust.as_deref()) {
        ctx.out.warn("content trust is off: nothing is signed");
        let pushed = push(ctx, &image, &source, args.all_tags).await?;
        return ctx.out.answer("", &json!({ "pushed": listed(&image, &pushed), "trust": "off" }));
    }
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let pushed = push(ctx, &image, &source, args.all_tags).await?;
    ctx.out.say("Signing and pushing trust metadata");
    let choice = Choice { roots: args.root, snapshot: SnapshotHolder::Server };
    if let Err(error) = trust(ctx, &daemon, &image, &pushed, choice).await {
        return Err(partly(&image, &pushed, error));
    }
    let lines: Vec<_> =
        pushed.keys().map(|tag| format!("Successfully signed {}:{tag}", image.gun())).collect();
    ctx.out.answer(&lines.join("\n"), &json!({ "pushed": listed(&image, &pushed), "signed": true }))
}

async fn push(ctx: &Ctx, image: &Image, source: &Source, all: bool) -> Result<Pushed, Error> {
    match source {
        Source::Engine => push_from_engine(ctx, image, all).await,
        Source::OciLayout { dir, reference } => {
            let (dir, reference) = (dir.clone(), reference.clone());
            let content = read(move || Content::from_oci_layout(&dir, reference.as_deref())).await?;
            upload(ctx, image, &content).await
        }
        Source::DockerArchive { file } => {
            let (file, image_) = (file.clone(), image.clone());
            let content = read(move || Content::from_docker_archive(&file, &image_)).await?;
            upload(ctx, image, &content).await
        }
    }
}

async fn push_from_engine(ctx: &Ctx, image: &Image, all: bool) -> Result<Pushed, Error> {
    let engine = Engine::connect(&ctx.environment).await?;
    let tags = if all { engine.tags(image).await? } else { vec![image.tag_or_latest()?] };
    if tags.is_empty() {
        let message = format!("the engine has no tag of {}", image.familiar());
        return Err(Error::new(Reason::TagNotFound, message)
            .hint(format!("docker tag IMAGE {}:TAG", image.familiar())));
    }
    let (folder, host) = (ctx.http.docker_dir().to_owned(), image.host().clone());
    let credentials = tokio::task::spawn_blocking(move || engine::credentials(&folder, &host))
        .await
        .map_err(|cause| Error::internal(format!("reading credentials: {cause}")))??;
    ctx.out.say(&format!("The push refers to repository [{}]", image.gun()));
    let mut pushed = Pushed::new();
    for tag in tags {
        let digest = engine.push(&ctx.out, image, &tag, credentials.clone()).await?;
        // The engine only says so; the bytes under that digest are the registry's.
        let manifest = ctx.registry(image).manifest(&Reference::Digest(digest)).await?;
        note(ctx, &tag, &manifest);
        pushed.insert(tag, target(&manifest));
    }
    Ok(pushed)
}

async fn upload(ctx: &Ctx, image: &Image, content: &Content) -> Result<Pushed, Error> {
    let tag = image.tag_or_latest()?;
    let manifest = content.manifests.last().ok_or_else(|| Error::internal("an image without a manifest"))?;
    ctx.out.say(&format!("The push refers to repository [{}]", image.gun()));
    let bar = ctx.out.bytes_bar("pushing", content.size());
    let sent = ctx.registry(image).upload(content, &tag, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    sent?;
    note(ctx, &tag, manifest);
    Ok(Pushed::from([(tag, target(manifest))]))
}

/// Signs; makes the repository first if neither the trust server nor the daemon has ever heard of it.
async fn trust(
    ctx: &Ctx,
    daemon: &Daemon,
    image: &Image,
    pushed: &Pushed,
    choice: Choice,
) -> Result<(), Error> {
    match sign::sign(ctx, daemon, image, pushed).await {
        Err(error) if error.reason == Reason::NoTrustData && daemon.last(image.gun()).await?.is_empty() => {
            init::initialise(ctx, daemon, image, choice).await?;
            ctx.out.line(&format!("Finished initializing \"{}\"", image.gun()))?;
            sign::sign(ctx, daemon, image, pushed).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// Says what is where. A reason that wants a person or another policy stays: it says what to do.
fn partly(image: &Image, pushed: &Pushed, error: Error) -> Error {
    let there: Vec<_> = pushed
        .iter()
        .map(|(tag, target)| {
            let digest = target.sha256().map(Sha256Digest::to_oci).unwrap_or_default();
            format!("{}:{tag} ({digest})", image.familiar())
        })
        .collect();
    let keeps = matches!(error.exit_code(), 3..=5 | 70 | 130);
    let names: Vec<_> = pushed.keys().map(|tag| format!("{}:{tag}", image.familiar())).collect();
    let again = format!("touchmark sign {}", names.join(" "));
    Error {
        reason: if keeps { error.reason } else { Reason::PartlyPublished },
        message: format!(
            "{} is in the registry, its signature is not published: {}",
            there.join(", "),
            error.message
        ),
        hint: Some(error.hint.map_or_else(|| again.clone(), |hint| format!("{hint}; then: {again}"))),
        ..error
    }
}

async fn read(
    read: impl FnOnce() -> Result<Content, crate::source::SourceError> + Send + 'static,
) -> Result<Content, Error> {
    let reading = tokio::task::spawn_blocking(read).await;
    Ok(reading.map_err(|cause| Error::internal(format!("reading the image: {cause}")))??)
}

fn target(manifest: &Manifest) -> Target {
    Target::new(*manifest.digest(), manifest.size())
}

fn note(ctx: &Ctx, tag: &TargetName, manifest: &Manifest) {
    ctx.out.say(&format!("{tag}: digest: {} size: {}", manifest.digest().to_oci(), manifest.size()));
}

fn listed(image: &Image, pushed: &Pushed) -> Vec<serde_json::Value> {
    let entry = |(tag, target): (&TargetName, &Target)| {
        let digest = target.sha256().map(Sha256Digest::to_oci);
        json!({ "image": format!("{}:{tag}", image.gun()), "digest": digest, "size": target.length })
    };
    pushed.iter().map(entry).collect()
}
