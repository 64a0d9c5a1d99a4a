//! Images named in a Dockerfile (`FROM`, `COPY --from`) or a compose file (`image:`), checked and, with `--write`,
//! pinned in place: `NAME:TAG@sha256:...`.
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::json;
use touchmark_tuf::shown;

use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader;

/// More than any such file has, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// Checks every image; the file changes only if all are signed.
pub(super) async fn run(ctx: &Ctx, path: &Path, write: bool) -> Result<(), Error> {
    let unreadable = |cause: std::io::Error| Error::usage(format!("cannot read {}: {cause}", path.display()));
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_MAX {
        return Err(Error::usage(format!("{} is longer than {FILE_MAX} bytes", path.display())));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    let places = if is_yaml { compose(&text) } else { dockerfile(&text) };
    if places.is_empty() {
        return Err(Error::usage(format!("{} names no image", path.display())));
    }
    let (mut pinned, mut list) = (BTreeMap::new(), Vec::new());
    for place in &places {
        let written = text.get(place.clone()).unwrap_or_default();
        if pinned.contains_key(written) {
            continue;
        }
        let reference = check(ctx, written).await.map_err(|error| Error {
            message: format!("{}: {}: {}", path.display(), shown(written), error.message),
            ..error
        })?;
        ctx.out.line(&reference)?;
        list.push(json!({ "written": written, "reference": reference }));
        pinned.insert(written.to_owned(), reference);
    }
    if write {
        replace(path, &text, &places, &pinned)?;
    }
    ctx.out.answer("", &json!({ "file": path, "images": list }))
}

async fn check(ctx: &Ctx, written: &str) -> Result<String, Error> {
    if written.contains('$') {
        return Err(Error::usage("its name depends on a variable").hint("write the name out"));
    }
    let image = Image::parse(written)?;
    let view = reader::read(ctx, &image).await?;
    if let (None, Some(digest)) = (image.tag(), image.digest()) {
        view.any_tag_of(digest)?;
        return Ok(written.to_owned());
    }
    let tag = image.tag_or_latest()?;
    let signed = view.signed(&tag)?;
    signed.must_be(image.digest())?;
    Ok(format!("{}:{tag}@{}", image.familiar(), signed.digest.to_oci()))
}

fn replace(
    path: &Path,
    text: &str,
    places: &[Range<usize>],
    pinned: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut new = text.to_owned();
    for place in places.iter().rev() {
        if let Some(reference) = text.get(place.clone()).and_then(|written| pinned.get(written)) {
            new.replace_range(place.clone(), reference);
        }
    }
    let bad = |cause: std::io::Error| Error::usage(format!("cannot write {}: {cause}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let keep_mode = || fs::metadata(path).and_then(|old| fs::set_permissions(&temporary, old.permissions()));
    fs::write(&temporary, new).and_then(|()| keep_mode()).and_then(|()| fs::rename(&temporary, path)).map_err(
        |cause| {
            drop(fs::remove_file(&temporary));
            bad(cause)
        },
    )
}

/// Where images stand in a Dockerfile. Stages, `scratch` and stage numbers are no images.
pub(crate) fn dockerfile(text: &str) -> Vec<Range<usize>> {
    let mut stages = HashSet::from(["scratch".to_owned()]);
    let mut places = Vec::new();
    for (start, line) in lines(text) {
        let mut words = words(line);
        let Some((_, instruction)) = words.next() else { continue };
        if instruction.eq_ignore_ascii_case("from") {
            let mut rest = words.filter(|(_, word)| !word.starts_with("--"));
            let Some((at, image)) = rest.next() else { continue };
            if !stages.contains(&image.to_lowercase()) {
                places.push(start + at..start + at + image.len());
            }
            if rest.next().is_some_and(|(_, word)| word.eq_ignore_ascii_case("as"))
                && let Some((_, stage)) = rest.next()
            {
                stages.insert(stage.to_lowercase());
            }
        } else if instruction.eq_ignore_ascii_case("copy") {
            for (at, word) in words {
                let Some(image) = word.strip_prefix("--from=") else { continue };
                let at = start + at + "--from=".len();
                if !stages.contains(&image.to_lowercase()) && image.parse::<u32>().is_err() {
                    places.push(at..at + image.len());
                }
            }
        }
    }
    places
}

/// Where images stand in a compose file: the values of `image:` keys, quoted or not.
pub(crate) fn compose(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for (start, line) in lines(text) {
        let trimmed = line.trim_start().trim_start_matches("- ");
        let Some(value) = trimmed.strip_prefix("image:").filter(|rest| rest.starts_with([' ', '\t'])) else {
            continue;
        };
        let value_at = start + (line.len() - value.len());
        let lead = value.len() - value.trim_start().len();
        let value = value.trim_start();
        let (inner_at, inner) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                (1, value.get(1..).and_then(|rest| rest.split(quote).next()).unwrap_or_default())
            }
            _ => (0, value.split([' ', '\t', '#']).next().unwrap_or_default()),
        };
        if !inner.is_empty() {
            let at = value_at + lead + inner_at;
            places.push(at..at + inner.len());
        }
    }
    places
}

/// Lines that are no comments, each with its offset.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = offset;
        offset += line.len();
        let line = line.trim_end();
        (!line.trim_start().starts_with('#')).then_some((start, line))
    })
}

/// Words of a line, each with its offset.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    line.split([' ', '\t']).filter_map(move |word| {
        let start = offset;
        offset += word.len() + 1;
        (!word.is_empty()).then_some((start, word))
    })
}

#[cfg(test)]
mod tests;
