//! One verb a file. A command reads its arguments, calls the rooms that do the work, and prints one answer.
pub mod audit;
pub mod ceremony;
pub mod completions;
pub mod delete;
pub mod doctor;
pub mod expiry;
pub mod init;
pub mod inspect;
pub mod key;
pub mod ledger;
pub mod lock;
pub mod man;
pub mod publish;
pub mod pull;
pub mod push;
pub mod refresh;
pub mod revoke;
pub mod rotate;
pub mod run;
pub mod sign;
pub mod status;
pub mod token;
pub mod trust;
pub mod unlock;
pub mod vault;
pub mod verify;

use crate::args::Command;
use crate::context::Ctx;
use crate::error::Error;

/// Runs the verb.
///
/// # Errors
/// The command's own error.
pub async fn dispatch(ctx: &Ctx, command: Command) -> Result<(), Error> {
    match command {
        Command::Pull(args) => pull::run(ctx, args).await,
        Command::Ceremony(args) => ceremony::run(ctx, args).await,
        Command::Rotate(args) => rotate::run(ctx, args).await,
        Command::Run(args) => run::run(ctx, args).await,
        Command::Verify(args) => verify::run(ctx, args).await,
        Command::Inspect(args) => inspect::run(ctx, args).await,
        Command::Trust(args) => trust::run(ctx, args),
        Command::Completions(args) => completions::run(ctx, &args),
        Command::Man(args) => man::run(ctx, &args),
        Command::Audit(args) => audit::run(ctx, args).await,
        Command::Delete(args) => delete::run(ctx, args).await,
        Command::Doctor(args) => doctor::run(ctx, args).await,
        Command::Expiry(args) => expiry::run(ctx, args).await,
        Command::Init(args) => init::run(ctx, args).await,
        Command::Key(args) => key::run(ctx, args).await,
        Command::Ledger(args) => ledger::run(ctx, args).await,
        Command::Lock(args) => lock::run(ctx, args).await,
        Command::Publish(args) => publish::run(ctx, args).await,
        Command::Refresh(args) => refresh::run(ctx, args).await,
        Command::Revoke(args) => revoke::run(ctx, args).await,
        Command::Sign(args) => sign::run(ctx, args).await,
        Command::Status(args) => status::run(ctx, args).await,
        Command::Token(args) => token::run(ctx, args).await,
        Command::Unlock(args) => unlock::run(ctx, args).await,
        Command::Vault(args) => vault::run(ctx, args).await,
        Command::Push(args) => push::run(ctx, args).await,
    }
}
