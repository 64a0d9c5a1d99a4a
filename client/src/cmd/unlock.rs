//! `unlock`: opens the vault.
use touchmark_proto::v1;

use super::vault::report;
use crate::args::UnlockArgs;
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;

/// Opens the vault with a token or the passphrase.
///
/// # Errors
/// The daemon's refusal: `WRONG_PIN` with the tries left, `TOKEN_NOT_PRESENT`, `VAULT_MISSING`...
pub async fn run(ctx: &Ctx, args: UnlockArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let token = args.token.unwrap_or_default();
    let status = daemon
        .until_right(async || {
            let request = v1::UnlockRequest { token: token.clone() };
            let events = daemon.vault().unlock(request).await.map_err(failure)?;
            daemon.drive(events.into_inner()).await
        })
        .await?;
    report(ctx, &status)
}
