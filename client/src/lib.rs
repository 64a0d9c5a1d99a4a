//! The `touchmark` command: what a person or a script types. It talks to the registry, the trust server, the
//! Docker Engine and touchmarkd; it holds no private key and decides nothing that the daemon decides.
#![forbid(unsafe_code)]

pub mod args;
pub mod attestation;
pub mod ceremony;
pub mod checked;
pub mod cmd;
pub mod config;
pub mod context;
pub mod daemon;
#[cfg(feature = "doors")]
pub mod doors;
pub mod engine;
pub mod error;
pub mod http;
pub mod image;
pub mod notary;
pub mod output;
pub mod prompt;
pub mod publish;
pub mod reader;
pub mod registry;
pub mod source;
pub mod table;
pub mod trust_dir;

use std::ffi::OsString;

use clap::Parser as _;

use crate::args::Args;
use crate::context::{Ctx, Environment};
use crate::error::Error;
use crate::output::Output;

/// Runs one command line. The error, if any, has not been printed yet: the [`Output`] knows how.
pub fn run(arguments: Vec<OsString>, environment: Environment) -> (Output, Result<(), Error>) {
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(problem) => {
            let out = Output::before_parsing(&arguments, &environment);
            let result = out.usage(&problem);
            return (out, result);
        }
    };
    let out = Output::new(&args.global, &environment);
    let result = execute(&out, args, environment);
    (out, result)
}

fn execute(out: &Output, args: Args, environment: Environment) -> Result<(), Error> {
    let ctx = Ctx::new(out.clone(), args.global, environment)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::internal(format!("cannot start: {cause}")))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = cmd::dispatch(&ctx, args.command) => result,
            _ = tokio::signal::ctrl_c() => Err(Error::interrupted()),
        }
    });
    // A read of the terminal cannot be cancelled; nobody waits for it.
    runtime.shutdown_background();
    result
}
