//! `ceremony verify`
use crate::args::CeremonyVerifyArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(_ctx: &Ctx, _args: CeremonyVerifyArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony verify: not there yet"))
}
