//! `rotate ...`: another key for root, targets, snapshot or timestamp, on a workstation.
use crate::args::RotateArgs;
use crate::context::Ctx;
use crate::error::Error;

/// Rotates.
///
/// # Errors
/// The daemon's or the server's refusal.
pub async fn run(_ctx: &Ctx, _args: RotateArgs) -> Result<(), Error> {
    Err(Error::internal("rotate: not there yet"))
}
