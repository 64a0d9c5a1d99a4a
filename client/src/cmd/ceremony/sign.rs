//! `ceremony sign`
use crate::args::CeremonySignArgs;
use crate::context::Ctx;
use crate::error::Error;

pub(super) async fn run(_ctx: &Ctx, _args: CeremonySignArgs) -> Result<(), Error> {
    Err(Error::internal("ceremony sign: not there yet"))
}
