//! `ceremony ...`: one step of an offline root ceremony a file.
mod device;
mod key;
mod merge;
mod plan;
mod publish;
mod show;
mod sign;
mod verify;

use crate::args::{CeremonyArgs, CeremonyCommand};
use crate::context::Ctx;
use crate::error::Error;

/// Runs one step.
///
/// # Errors
/// The step's own.
pub async fn run(ctx: &Ctx, args: CeremonyArgs) -> Result<(), Error> {
    match args.command {
        CeremonyCommand::Key(args) => key::run(ctx, args).await,
        CeremonyCommand::Plan(args) => plan::run(ctx, args).await,
        CeremonyCommand::Show(args) => show::run(ctx, &args),
        CeremonyCommand::Sign(args) => sign::run(ctx, args).await,
        CeremonyCommand::Merge(args) => merge::run(ctx, &args),
        CeremonyCommand::Publish(args) => publish::run(ctx, args).await,
        CeremonyCommand::Verify(args) => verify::run(ctx, args).await,
    }
}
