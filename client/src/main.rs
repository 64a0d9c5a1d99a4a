//! One command line in, one exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use touchmark::context::Environment;

fn main() -> ExitCode {
    let (out, result) = touchmark::run(std::env::args_os().collect(), Environment::read());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
