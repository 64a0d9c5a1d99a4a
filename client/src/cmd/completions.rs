//! `completions`: from the same definition as the parser.
use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::context::Ctx;
use crate::error::Error;

/// Prints the completions of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(ctx: &Ctx, args: &CompletionsArgs) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "touchmark", &mut script);
    ctx.out.raw(&script)
}
