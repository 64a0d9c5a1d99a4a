//! `ceremony show`
use crate::args::CeremonyShowArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) fn run(_ctx: &Ctx, _args: &CeremonyShowArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony show: not there yet"))
}
