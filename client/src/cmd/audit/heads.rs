//! The last head of the record that was seen here: one small file a daemon, so that a cut tail or a rewritten
//! record shows.
use std::io::Write as _;
use std::path::{Path, PathBuf};

use touchmark_tuf::Sha256Digest;

use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;

/// A row of the record by number and hash; number 0 stands before the first row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The row's number.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// Reads `SEQ:HEAD`.
    ///
    /// # Errors
    /// `USAGE`: it is something else.
    pub fn parse(written: &str) -> Result<Self, Error> {
        Self::read(written).ok_or_else(|| {
            Error::usage(
                "what is expected must be SEQ:HEAD, a row's number and the 64 hex digits of its hash",
            )
            .hint("`touchmark audit verify` prints the head in that form")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(':')?;
        Some(Self { seq: seq.parse().ok()?, hash: *hash.parse::<Sha256Digest>().ok()?.as_bytes() })
    }

    /// The hash in hex.
    #[must_use]
    pub fn hex(&self) -> String {
        Sha256Digest::from_bytes(self.hash).to_string()
    }
}

/// The head that was last seen of this daemon.
///
/// # Errors
/// `USAGE`: the file is damaged; it is named.
pub(super) fn last(ctx: &Ctx, daemon: &Daemon) -> Result<Option<Head>, Error> {
    let path = file(ctx, daemon);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            Head::read(&text).map(Some).ok_or_else(|| Error::usage(format!("{} is damaged", path.display())))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::usage(format!("cannot read {}: {cause}", path.display()))),
    }
}

/// Keeps a head. A reader without a writable trust folder goes without, and says so with `-v`.
pub async fn remember(ctx: &Ctx, daemon: &Daemon, head: &Head) {
    let path = file(ctx, daemon);
    let (to, line) = (path.clone(), format!("{}:{}\n", head.seq, head.hex()));
    let writing = tokio::task::spawn_blocking(move || replace(&to, &line)).await;
    if let Err(cause) = writing.unwrap_or_else(|gone| Err(std::io::Error::other(gone))) {
        ctx.out.detail(&format!("the audit head is not remembered: {}: {cause}", path.display()));
    }
}

/// One a daemon: by its state folder and the socket it was reached on.
pub(super) fn file(ctx: &Ctx, daemon: &Daemon) -> PathBuf {
    let whose = format!("{}\0{}", ctx.socket.display(), daemon.status().state_dir);
    let name = Sha256Digest::of(whose.as_bytes()).to_string();
    ctx.trust_dir.base().join(".touchmark/audit").join(name)
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
