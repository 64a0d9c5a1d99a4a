//! `ceremony publish`
use crate::args::CeremonyPublishArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(_ctx: &Ctx, _args: CeremonyPublishArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony publish: not there yet"))
}
