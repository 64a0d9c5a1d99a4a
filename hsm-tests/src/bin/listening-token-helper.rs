//! The token helper of the shipped daemon, and somebody who listens to everything that the crates in it log.

use std::process::ExitCode;

#[cfg(feature = "libraries")]
fn main() -> ExitCode {
    use std::io::Write as _;

    struct Listener;
    impl log::Log for Listener {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            writeln!(std::io::stderr(), "{} {} {}", record.level(), record.target(), record.args()).ok();
        }
        fn flush(&self) {}
    }

    if log::set_logger(&Listener).is_err() {
        return ExitCode::FAILURE;
    }
    log::set_max_level(log::LevelFilter::Trace);
    touchmarkd::token::helper::main()
}

#[cfg(not(feature = "libraries"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
