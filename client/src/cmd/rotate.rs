//! `rotate ...`: other keys for a repository, on one workstation: the documents, the words and the checks are those of a
//! ceremony of one.
mod preview;
mod wish;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{KeyId, Root};

use crate::args::{RotateArgs, RotateCommand};
use crate::ceremony::design;
use crate::ceremony::quorum::Quorum;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Consent, Prompter, confirm};
use crate::publish::Publisher;
use crate::publish::root::{RootReport, Standing};

use preview::Preview;
use wish::{Stage, Wish};

/// Rotates.
///
/// # Errors
/// `KEY_UNKNOWN`: keys are needed that are not held here. What does not fit; the daemon's or the server's refusal. What
/// was signed is kept by the daemon, and the same command goes on from there.
pub async fn run(ctx: &Ctx, args: RotateArgs) -> Result<(), Error> {
    let (image, wish, yes, pin) = match args.command {
        RotateCommand::Root { image, change, yes, pin } => (image, Wish::Root(change), yes, pin),
        RotateCommand::Targets { image, yes, pin } => (image, Wish::Targets, yes, pin),
        RotateCommand::Snapshot { image, to, yes, pin } => (image, Wish::Snapshot(to), yes, pin),
        RotateCommand::Timestamp { image, yes, pin } => (image, Wish::Timestamp, yes, pin),
    };
    let image = Image::parse(&image)?;
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Error::usage(format!("{image} names one image; keys are those of a whole repository"))
            .hint(format!("touchmark rotate {} {}", wish.noun(), image.familiar())));
    }
    let daemon = Daemon::connect(ctx, Prompter::from_args(&pin)).await?;
    let publisher = Publisher::new(ctx, &daemon, &image).await?;
    let rotation = Rotation { ctx, daemon: &daemon, image: &image, publisher: &publisher, wish: &wish };
    rotation.run(yes.into()).await
}

/// One rotation of one repository.
struct Rotation<'a> {
    ctx: &'a Ctx,
    daemon: &'a Daemon,
    image: &'a Image,
    publisher: &'a Publisher<'a>,
    wish: &'a Wish,
}

impl Rotation<'_> {
    async fn run(&self, consent: Consent) -> Result<(), Error> {
        let gun = self.image.gun();
        let mut standing = self.publisher.stand().await?;
        let mut earlier = None;
        if let Some(report) = self.publisher.finish_root(&standing).await? {
            self.ctx.out.say(&format!(
                "Root version {} of {gun}, which was signed before, is published now.",
                report.version
            ));
            earlier = Some(report);
        } else if let Some(root) = standing.begun_root() {
            earlier = Some(self.go_on(&standing, &root, consent).await?);
        }
        if let Some(report) = earlier {
            let before = standing;
            standing = self.publisher.stand().await?;
            if let (Some(before), Some(after)) = (&before.view, &standing.view) {
                let (before, after) = (before.trusted.root(), after.trusted.root());
                if !self.wish.remains(gun, before, after)? {
                    return self.answer(after, &report).await;
                }
            }
        }
        let view = standing.view.as_ref().ok_or_else(|| self.publisher.nothing_to_rotate())?;
        let base = view.trusted.root();
        let sketch = self.design(&standing, base, Stage::Sketch).await?;
        let (with, preview) = self.prepare(&standing, base, &sketch)?;
        let more = self.wish.makes(base);
        self.ask(&preview, &sketch, more.as_deref(), consent).await?;

        let root = self.design(&standing, base, Stage::Earnest).await?;
        let report = self.publisher.rotate(&standing, &root, with).await?;
        self.answer(&root, &report).await
    }

    /// The root that was begun under the next version: it is this one or none.
    async fn go_on(&self, standing: &Standing, root: &Root, consent: Consent) -> Result<RootReport, Error> {
        let view = standing.view.as_ref().ok_or_else(|| self.publisher.nothing_to_rotate())?;
        let (with, preview) = self.prepare(standing, view.trusted.root(), root).map_err(|error| {
            let (name, version) = (self.image.familiar(), root.version);
            let message = format!(
                "root version {version} of {} was given out here to a root that lacks signatures of others: {}",
                self.image.gun(),
                error.message
            );
            Error::new(Reason::VersionReused, message).hint(format!(
                "finish that ceremony, or touchmark ledger release {name} --role root --version {version} --reason TEXT"
            ))
        })?;
        self.ctx.out.say("An earlier attempt began this root and did not end it:");
        self.ask(&preview, root, None, consent).await?;
        self.publisher.rotate(standing, root, with).await
    }

    async fn design(&self, standing: &Standing, base: &Root, stage: Stage) -> Result<Root, Error> {
        let wishes = self.wishes(standing, base, stage).await?;
        Ok(design::design(self.image.gun(), Some(base), &wishes, self.ctx.now)?)
    }

    /// The keys that sign, and what there is to be said before.
    fn prepare(&self, standing: &Standing, base: &Root, root: &Root) -> Result<(Vec<KeyId>, Preview), Error> {
        let quorum = Quorum::of(Some(base), root);
        let gone = |id: &KeyId| !design::root_keys(root).contains(id);
        let held = wish::held(self.daemon, &standing.keys, gone);
        let with = quorum.choose(&held);
        let missing = quorum.missing(&with.iter().copied().collect());
        if !missing.is_empty() {
            return Err(self.wish.needs_others(self.image, root, &missing));
        }
        let preview = Preview::of(self.ctx, self.daemon, standing, root, &with)?;
        Ok((with, preview))
    }

    async fn ask(
        &self,
        preview: &Preview,
        root: &Root,
        more: Option<&str>,
        consent: Consent,
    ) -> Result<(), Error> {
        let gun = self.image.gun();
        self.ctx.out.say(&format!("{gun}, root version {}:", root.version));
        for line in preview.lines.iter().map(String::as_str).chain(more) {
            self.ctx.out.say(&format!("  {line}"));
        }
        let question = format!("Sign root version {} of {gun} and publish it?", root.version);
        Ok(confirm(&question, consent, "--yes").await?)
    }

    async fn answer(&self, root: &Root, report: &RootReport) -> Result<(), Error> {
        let (gun, noun) = (self.image.gun(), self.wish.noun());
        if design::spares(root) == 0 {
            self.ctx.out.warn(&format!(
                "{gun} has no spare root key: if one is lost, its keys can never be changed again. --add-root takes spares."
            ));
        }
        if let Err(error) = crate::publish::glance(self.ctx, self.image).await
            && error.reason == Reason::Expired
        {
            let name = self.image.familiar();
            self.ctx.out.warn(&format!("{}: touchmark refresh {name} --all", error.message));
        }
        let targets = report.targets.map(|version| format!(", targets version {version}"));
        let text = format!(
            "Rotated {noun} of {gun}: root version {}{}",
            report.version,
            targets.unwrap_or_default()
        );
        let document = json!({
            "rotated": noun,
            "repository": gun.as_str(),
            "root_version": report.version.get(),
            "targets_version": report.targets.map(touchmark_tuf::Version::get),
            "published": report.published.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "differences": report.differences,
        });
        self.ctx.out.answer(&text, &document)
    }
}
