//! `trust`: the roots that this reader trusts. Asks nobody.
use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, KeyId, shown};

use crate::args::{TrustArgs, TrustCommand};
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader;
use crate::trust_dir::{Forgotten, TrustDirError};

/// Lists, pins or forgets.
///
/// # Errors
/// The trust directory or the pins cannot be used.
pub fn run(ctx: &Ctx, args: TrustArgs) -> Result<(), Error> {
    match args.command {
        TrustCommand::Ls => ls(ctx),
        TrustCommand::Pin { image, root } => pin(ctx, &image, &root),
        TrustCommand::Forget { image } => forget(ctx, &image),
    }
}

fn ls(ctx: &Ctx) -> Result<(), Error> {
    let pins = ctx.pins()?;
    let (mut text, mut list) = (String::new(), Vec::new());
    let known = ctx.trust_dir.guns()?;
    for gun in &known {
        let pinned = if pins.of(gun).is_some() { "pinned" } else { "first use" };
        match kept_root(ctx, gun) {
            Ok(root) => {
                let ids = root.key_ids.iter().map(ToString::to_string).collect::<Vec<_>>();
                text += &format!(
                    "{gun}  {pinned}, version {}, expires {}\n",
                    root.version,
                    root.expires.instant()
                );
                ids.iter().for_each(|id| text += &format!("  {id}\n"));
                list.push(json!({
                    "name": gun.as_str(), "trust": pinned, "root": ids,
                    "version": root.version.get(), "expires": root.expires.instant().to_string(),
                }));
            }
            Err(why) => {
                text += &format!("{gun}  not readable: {}\n", shown(&why));
                list.push(json!({ "name": gun.as_str(), "error": why }));
            }
        }
    }
    for (name, ids) in pins.entries().filter(|(name, _)| !known.iter().any(|gun| gun.as_str() == name)) {
        let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        text += &format!("{}  pinned, not read yet\n", shown(&name));
        ids.iter().for_each(|id| text += &format!("  {id}\n"));
        list.push(json!({ "name": name, "trust": "pinned", "root": ids, "version": null, "expires": null }));
    }
    if list.is_empty() {
        ctx.out.say(&format!("no repository is known in {}", ctx.trust_dir.base().display()));
    }
    ctx.out.answer(&text, &json!({ "trust_dir": ctx.trust_dir.base(), "repositories": list }))
}

fn kept_root(ctx: &Ctx, gun: &Gun) -> Result<reader::RootSummary, String> {
    let files = ctx.trust_dir.load(gun).map_err(|cause| cause.to_string())?;
    reader::kept_root(gun, &files).map_err(|error| error.message)
}

fn pin(ctx: &Ctx, image: &str, roots: &[String]) -> Result<(), Error> {
    let image = Image::parse(image)?;
    let ids = roots
        .iter()
        .map(|id| {
            id.parse::<KeyId>().map_err(|_| {
                Error::usage(format!("'{}' is no key id of 64 hexadecimal digits", shown(id)))
                    .hint(format!("touchmark inspect {}", image.familiar()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut pins = match &ctx.environment.pins {
        Some(file) => crate::reader::pins::Pins::load_if_there(file)?,
        None => ctx.pins()?,
    };
    pins.set(image.gun(), ids)?;
    ctx.out.answer(
        &format!("pinned {} in {}", image.gun(), pins.file().display()),
        &json!({ "name": image.gun().as_str(), "root": roots, "file": pins.file() }),
    )
}

fn forget(ctx: &Ctx, image: &str) -> Result<(), Error> {
    let image = Image::parse(image)?;
    match ctx.trust_dir.forget(image.gun())? {
        Forgotten::Gone => {}
        Forgotten::Unknown => {
            let message = format!("no root of {} is kept in {}", image.gun(), ctx.trust_dir.base().display());
            return Err(Error::new(Reason::NoTrustData, message).hint("touchmark trust ls"));
        }
    }
    let pins = ctx.pins()?;
    if pins.of(image.gun()).is_some() {
        ctx.out.say(&format!("the pin of {} stays in {}", image.gun(), pins.file().display()));
    }
    ctx.out.answer(&format!("forgot {}", image.gun()), &json!({ "forgot": image.gun().as_str() }))
}

impl From<TrustDirError> for Error {
    fn from(error: TrustDirError) -> Self {
        match error {
            TrustDirError::Busy { .. } => Self::new(Reason::Conflict, error.to_string()).hint("try again"),
            TrustDirError::Unreadable { .. } | TrustDirError::Unwritable { .. } => {
                Self::usage(error.to_string()).hint("set --trust-dir, or see to its permissions")
            }
        }
    }
}
