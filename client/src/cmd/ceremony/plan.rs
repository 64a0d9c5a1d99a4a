//! `ceremony plan`
use crate::args::CeremonyPlanArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(_ctx: &Ctx, _args: CeremonyPlanArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony plan: not there yet"))
}
