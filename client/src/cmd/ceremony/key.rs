//! `ceremony key`
use crate::args::CeremonyKeyArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(_ctx: &Ctx, _args: CeremonyKeyArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony key: not there yet"))
}
