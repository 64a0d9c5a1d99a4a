//! `lock`: closes the vault at once.
use serde_json::json;
use touchmark_proto::v1;

use crate::args::{LockArgs, PinArgs};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;

/// Closes the vault.
///
/// # Errors
/// The daemon's refusal.
pub async fn run(ctx: &Ctx, _: LockArgs) -> Result<(), Error> {
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    daemon.vault().lock(v1::LockRequest {}).await.map_err(failure)?;
    ctx.out.answer("The vault is locked; its keys are wiped from memory.", &json!({ "vault": "locked" }))
}
