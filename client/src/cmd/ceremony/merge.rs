//! `ceremony merge`
use crate::args::CeremonyMergeArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) fn run(_ctx: &Ctx, _args: &CeremonyMergeArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony merge: not there yet"))
}
