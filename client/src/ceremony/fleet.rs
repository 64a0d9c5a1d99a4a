//! Which repositories a ceremony is about: named one by one, or in a file with one a line.
use std::collections::BTreeMap;
use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, shown};

use super::file;
use super::item::REHEARSAL;
use super::plan::{Occasion, REPOSITORIES_MAX};
use crate::args::FleetArgs;
use crate::error::Error;
use crate::image::Image;

/// How many wrong lines are named.
const NAMED: usize = 20;
/// How many repositories a rehearsal makes up where nobody names some.
const MADE_UP: usize = 3;

/// Where a name was written.
#[derive(Clone, Debug)]
enum Place<'a> {
    Argument,
    Line(&'a Path, usize),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argument => f.write_str("on the command line"),
            Self::Line(path, line) => write!(f, "{}:{line}", file::name(path)),
        }
    }
}

/// The repositories, in the order in which they were written. In a rehearsal each name is put below
/// `rehearsal.invalid/`; without any, a few are made up.
///
/// # Errors
/// `USAGE`: none, too many, or every name that is wrong or stands twice, with its place.
pub fn read(args: &FleetArgs, occasion: Occasion) -> Result<Vec<Image>, Error> {
    let text = args.list.as_deref().map(|path| Ok::<_, Error>((path, list(path)?))).transpose()?;
    let mut written: Vec<(Place<'_>, &str)> =
        args.images.iter().map(|image| (Place::Argument, image.as_str())).collect();
    if let Some((path, text)) = &text {
        let lines = text.lines().map(str::trim).enumerate();
        let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        written.extend(meant.map(|(at, line)| (Place::Line(path, at + 1), line)));
    }
    if written.is_empty() && occasion == Occasion::Rehearsal {
        return (1..=MADE_UP).map(|number| Image::parse(&format!("{REHEARSAL}made-up/{number}"))).collect();
    }
    let mut images: Vec<Image> = Vec::with_capacity(written.len());
    let mut places: BTreeMap<Gun, Place<'_>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (place, name) in written {
        match one(name, occasion) {
            Err(why) => wrong.push(format!("{place}: {}", why.message)),
            Ok(image) => match places.get(image.gun()) {
                Some(earlier) => {
                    wrong.push(format!("{place}: {} stands {earlier} already", image.gun()));
                }
                None => {
                    places.insert(image.gun().clone(), place);
                    images.push(image);
                }
            },
        }
    }
    refuse(&wrong)?;
    if images.is_empty() || images.len() > REPOSITORIES_MAX {
        let message = format!(
            "a ceremony is about 1 to {REPOSITORIES_MAX} repositories, and {} are named",
            images.len()
        );
        return Err(Error::usage(message).hint("IMAGE, or --list FILE with one IMAGE a line"));
    }
    Ok(images)
}

fn list(path: &Path) -> Result<String, Error> {
    String::from_utf8(file::read(path)?)
        .map_err(|_| Error::usage(format!("{} is no text", file::name(path))).hint("one IMAGE a line"))
}

fn one(name: &str, occasion: Occasion) -> Result<Image, Error> {
    let image = Image::parse(name)?;
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Error::usage(format!(
            "{} names one image, and a ceremony is about whole repositories",
            shown(name)
        )));
    }
    let made_up = image.gun().as_str().starts_with(REHEARSAL);
    match occasion {
        // A port is none in the middle of a name.
        Occasion::Rehearsal if !made_up => {
            Image::parse(&format!("{REHEARSAL}{}", image.gun()).replace(':', "-"))
        }
        Occasion::Earnest if made_up => {
            let message = format!("{} is made up for rehearsals", image.gun());
            Err(Error::new(Reason::RehearsalOnly, message).hint("--rehearsal"))
        }
        _ => Ok(image),
    }
}

fn refuse(wrong: &[String]) -> Result<(), Error> {
    if wrong.is_empty() {
        return Ok(());
    }
    let mut message = wrong.iter().take(NAMED).cloned().collect::<Vec<_>>().join("\n");
    if wrong.len() > NAMED {
        message += &format!("\nand {} more", wrong.len() - NAMED);
    }
    Err(Error::usage(message).hint("one IMAGE a line, without a tag, each once; # begins a comment"))
}

#[cfg(test)]
mod tests;
