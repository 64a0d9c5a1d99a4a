//! `vault backup` and `vault restore`: sealed bytes to a file and back; opened only by the vault's own tokens or
//! its passphrase.
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::json;
use touchmark_proto::{CHUNK_MAX, v1};

use crate::args::PinArgs;
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;

/// The longest backup that is read back, in bytes.
const BACKUP_MAX: u64 = 64 * 1024 * 1024;

/// Writes a new file, mode 0600; never over an old one.
pub(super) async fn write(ctx: &Ctx, path: &Path) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let mut chunks = daemon.vault().backup(v1::BackupRequest {}).await.map_err(failure)?.into_inner();
    let mut data = Vec::new();
    while let Some(chunk) = chunks.message().await.map_err(failure)? {
        data.extend_from_slice(&chunk.data);
    }
    store(path, &data).map_err(|cause| Error::usage(format!("cannot write {}: {cause}", path.display())))?;
    let text =
        format!("Wrote {} bytes to {}. Only the vault's own ways open it.", data.len(), path.display());
    ctx.out.answer(&text, &json!({ "file": path, "bytes": data.len() }))
}

fn store(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(data)?;
    file.sync_all()
}

/// Sends a file back to a daemon that has no vault.
pub(super) async fn restore(ctx: &Ctx, path: &Path, pin: &PinArgs) -> Result<v1::VaultStatus, Error> {
    let unreadable = |cause| Error::usage(format!("cannot read {}: {cause}", path.display()));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > BACKUP_MAX {
        return Err(Error::usage(format!("{} is {length} bytes long: no backup is", path.display())));
    }
    let data = std::fs::read(path).map_err(unreadable)?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(pin)).await?;
    daemon
        .until_right(async || {
            let requests: Vec<_> =
                data.chunks(CHUNK_MAX / 2).map(|chunk| v1::RestoreRequest { data: chunk.to_vec() }).collect();
            let events =
                daemon.vault().restore(futures_util::stream::iter(requests)).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await
}
