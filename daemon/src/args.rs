//! The command line. Parsing only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::vault::MemoryKind;

/// Touchmark's signing daemon.
#[derive(Debug, Parser)]
#[command(name = "touchmarkd", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the daemon's program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve in the foreground until SIGTERM
    Run(Run),
    /// Print the effective configuration and what hardening holds here; exit 2 if the file is wrong
    Check(Check),
    /// One token's helper process; started by the daemon only
    #[command(hide = true)]
    TokenHelper,
}

/// `touchmarkd run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file [default: $XDG_CONFIG_HOME/touchmark/touchmarkd.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    pub config: Option<PathBuf>,
    /// Memory that secrets live in: "secret" (memfd_secret) or "mlock" [default: secret where the kernel has it]
    #[arg(long, value_name = "KIND")]
    pub memory: Option<MemoryKind>,
    /// Without configuration: a SoftHSM token, a root key and the vault, made under DIR and opened; for trying out only
    #[arg(long, value_name = "DIR")]
    pub dev: Option<PathBuf>,
}

/// `touchmarkd check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file [default: $XDG_CONFIG_HOME/touchmark/touchmarkd.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
