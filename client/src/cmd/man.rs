//! `man`: one page per verb, from the same definition as the parser.
use std::fs;
use std::io;

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::{Args, ManArgs};
use crate::context::Ctx;
use crate::error::Error;

/// Writes `touchmark.1`, `touchmark-VERB.1`...
///
/// # Errors
/// The folder cannot be written: `USAGE`.
pub fn run(ctx: &Ctx, args: &ManArgs) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(&args.out)?;
        clap_mangen::generate_to(Args::command(), &args.out)
    };
    write().map_err(|cause| Error::usage(format!("cannot write {}: {cause}", args.out.display())))?;
    ctx.out.say(&format!("man pages are in {}", args.out.display()));
    ctx.out.answer("", &json!({ "out": args.out }))
}
