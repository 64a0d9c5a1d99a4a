//! `key import`: Docker's and Notary's key files, one or a whole folder, old layouts too. A file goes from the disk
//! into one wiped buffer and from there to the daemon; only its plain headers are read here.
use std::path::{Path, PathBuf};

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::shown;

use super::{in_words, to_json};
use crate::args::KeyImportArgs;
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Prompter, Secret};

/// How deep key folders go: `private/tuf_keys/HOST/PATH/...`.
const DEPTH: usize = 12;

/// Imports a file, or every key file below a folder.
pub(super) async fn run(ctx: &Ctx, args: KeyImportArgs) -> Result<(), Error> {
    let repositories = args
        .repository
        .iter()
        .map(|image| Ok(Image::parse(image)?.gun().to_string()))
        .collect::<Result<Vec<_>, Error>>()?;
    let files = if args.path.is_dir() { key_files(&args.path, DEPTH)? } else { vec![args.path.clone()] };
    if files.is_empty() {
        return Err(Error::usage(format!("there is no key file (*.key, *.pem) in {}", args.path.display())));
    }
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let (mut imported, mut left) = (Vec::new(), Vec::new());
    for path in &files {
        // Wiped at once: it is read again when the daemon asks for it.
        let hints = Hints::of(path, Secret::from_file(path)?.expose(), args.role.as_deref());
        if hints.role.as_deref() == Some("root") && args.token.is_none() {
            ctx.out.warn(&format!("{} is a root key: it needs --token NAME", path.display()));
            left.push(path.clone());
            continue;
        }
        let request = request(&args, hints, repositories.clone());
        ctx.out.say(&format!("{}:", path.display()));
        let key = daemon
            .until_right(async || {
                // A second round after a mistyped passphrase needs the file again.
                let file = Secret::from_file(path)?;
                let events = daemon.keys().import(request.clone()).await.map_err(failure)?;
                daemon.drive_with_key_file(events.into_inner(), file).await
            })
            .await;
        match key {
            Ok(key) => imported.push(key),
            Err(error) if files.len() == 1 || error.reason == Reason::Interrupted => return Err(error),
            Err(error) => {
                ctx.out.warn(&format!("{}: {}", path.display(), error.message));
                left.push(path.clone());
            }
        }
    }
    let mut lines: Vec<_> = imported.iter().map(|key| format!("Imported {}", in_words(key))).collect();
    lines.extend(left.iter().map(|path| format!("Left out {}", path.display())));
    let document = json!({ "imported": imported.iter().map(to_json).collect::<Vec<_>>(), "left_out": left });
    ctx.out.answer(&lines.join("\n"), &document)?;
    match (imported.is_empty(), left.is_empty()) {
        (true, false) => {
            Err(Error::usage("no key was imported").hint("touchmark key import FILE, one by one"))
        }
        _ => Ok(()),
    }
}

fn request(args: &KeyImportArgs, hints: Hints, repositories: Vec<String>) -> v1::ImportKeyRequest {
    let (role, delegation) = match hints.role.as_deref() {
        None => (v1::Role::Unspecified, String::new()),
        Some("root") => (v1::Role::Root, String::new()),
        Some("targets") => (v1::Role::Targets, String::new()),
        Some("snapshot") => (v1::Role::Snapshot, String::new()),
        Some(name) => (v1::Role::Delegation, name.strip_prefix("targets/").unwrap_or(name).to_owned()),
    };
    let is_root = role == v1::Role::Root;
    v1::ImportKeyRequest {
        role: role.into(),
        repositories: if repositories.is_empty() {
            hints.repository.into_iter().collect()
        } else {
            repositories
        },
        delegation,
        token: args.token.clone().filter(|_| is_root).unwrap_or_default(),
        label: args.label.clone().unwrap_or_default(),
        touch_policy: args.touch.clone().filter(|_| is_root).unwrap_or_default(),
        pin_policy: args.pin_policy.clone().filter(|_| is_root).unwrap_or_default(),
    }
}

/// What a key file says about itself without its passphrase, or its place in an old layout.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// `root`, `targets`, `snapshot`, or a delegation's name.
    pub(super) role: Option<String>,
    /// The repository that an old layout's folders name. A `gun` header is the daemon's to read.
    pub(super) repository: Option<String>,
}

impl Hints {
    /// The order: what was typed, the header, the old layouts' file names.
    pub(super) fn of(path: &Path, file: &[u8], written: Option<&str>) -> Self {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let suffix =
            ["root", "targets", "snapshot"].into_iter().find(|role| stem.ends_with(&format!("_{role}")));
        let role = written.map(ToOwned::to_owned).or_else(|| header(file, "role"));
        let repository = match header(file, "gun") {
            Some(_) => None,
            None => old_repository(path),
        };
        Self { role: role.or_else(|| suffix.map(ToOwned::to_owned)), repository }
    }
}

/// `private/tuf_keys/HOST/NAME/ID_targets.key` -> `HOST/NAME`.
fn old_repository(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.parent()?.components().map(|part| part.as_os_str().to_str()).collect();
    let start = parts.iter().rposition(|part| *part == Some("tuf_keys"))?;
    let names: Option<Vec<&str>> = parts.get(start + 1..)?.iter().copied().collect();
    names.filter(|names| !names.is_empty()).map(|names| names.join("/"))
}

/// A PEM header: plain text before the blank line, so nothing secret is copied.
fn header(file: &[u8], name: &str) -> Option<String> {
    let lines = file.split(|byte| *byte == b'\n').skip(1);
    for line in lines.take(8) {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let (found, value) = line.split_once(": ")?;
        if found == name {
            return Some(value.to_owned()).filter(|value| !value.is_empty());
        }
    }
    None
}

fn key_files(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
    let unreadable =
        |cause| Error::usage(format!("cannot read {}: {cause}", shown(&folder.to_string_lossy())));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let kind = path.symlink_metadata().map_err(unreadable)?.file_type();
        let is_key = path.extension().is_some_and(|extension| extension == "key" || extension == "pem");
        if kind.is_dir() && depth > 0 {
            found.extend(key_files(&path, depth - 1)?);
        } else if kind.is_file() && is_key {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
