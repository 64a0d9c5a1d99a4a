//! The command line, one definition for parsing, help, completions and man pages.
//!
//! Argument structs of all verbs live in `args/`: `reading` (no daemon needed), `signing`, `keys`, `records`,
//! `ceremony`.
//! `cmd::dispatch` maps each verb to `cmd::VERB::run(&Ctx, VerbArgs)`.
mod ceremony;
mod keys;
mod reading;
mod records;
mod signing;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use ceremony::*;
pub use keys::*;
pub use reading::*;
pub use records::*;
pub use signing::*;

/// Signs, pushes, pulls and verifies container image tags. Keys stay in touchmarkd.
#[derive(Debug, Parser)]
#[command(name = "touchmark", version, propagate_version = false, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes: 0 done; 1 the answer is no (unsigned, verification failed); 2 usage or bad input; 3 daemon \
unreachable; 4 a key or token needs a person; 5 refused by policy or ledger; 6 registry, engine or trust \
server; 70 our fault; 130 interrupted.

IMAGE is a Docker reference: `alpine` means docker.io/library/alpine.")]
pub struct Args {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// touchmarkd's socket (else TOUCHMARK_SOCKET, $XDG_RUNTIME_DIR/touchmark/touchmarkd.sock,
    /// /run/touchmark/touchmarkd.sock)
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<String>,
    /// The trust (Notary) server, https only (else DOCKER_CONTENT_TRUST_SERVER, the configuration file,
    /// notary.docker.io for Docker Hub and the registry itself for others)
    #[arg(long, global = true, value_name = "URL")]
    pub trust_server: Option<String>,
    /// Where trust data is cached, in Docker's layout (else $DOCKER_CONFIG/trust, ~/.docker/trust)
    #[arg(long, global = true, value_name = "DIR")]
    pub trust_dir: Option<PathBuf>,
    /// How to answer
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Only the answer, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is done
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON document on stdout; one object per line on stderr
    Json,
}

/// Where a PIN or passphrase comes from when there is no terminal. Never the command line itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PinArgs {
    /// Read the PIN or passphrase from this open file descriptor
    #[arg(long, value_name = "N", conflicts_with = "pin_stdin")]
    pub pin_fd: Option<i32>,
    /// Read the PIN or passphrase from standard input, up to the first newline
    #[arg(long)]
    pub pin_stdin: bool,
    /// Spend the last PIN try of a token without asking; a wrong PIN then locks it
    #[arg(long)]
    pub last_try: bool,
}

/// For commands that ask first.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct YesArgs {
    /// Do not ask; needed when there is no terminal
    #[arg(short, long)]
    pub yes: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon, its tokens, the vault, and what I may do
    Status(StatusArgs),
    /// Look for what is wrong here and name the fix; safe to paste into a public ticket
    Doctor(DoctorArgs),
    /// Tokens and their keys
    Token(TokenArgs),
    /// The vault of tagging keys and the ways to open it
    Vault(VaultArgs),
    /// Open the vault
    Unlock(UnlockArgs),
    /// Close the vault and wipe its keys from memory
    Lock(LockArgs),
    /// Keys: list, make, import, export, remove
    Key(KeyArgs),
    /// Make a new signed repository
    Init(InitArgs),
    /// Sign what the registry has under a tag
    Sign(SignArgs),
    /// Push an image, then sign it
    Push(PushArgs),
    /// Send what was signed and not published
    Publish(PublishArgs),
    /// Check an image's trust, then pull it by digest
    Pull(PullArgs),
    /// Check an image's trust, then `docker run` it by digest
    Run(RunArgs),
    /// Print the digest that is signed for a tag, or fail
    Verify(VerifyArgs),
    /// Signed tags, signers, keys and expiry of a repository
    Inspect(InspectArgs),
    /// The roots that this reader trusts
    Trust(TrustArgs),
    /// Withdraw the signature of one tag, or of all
    Revoke(RevokeArgs),
    /// Delete a repository's whole trust data on the server
    Delete(DeleteArgs),
    /// Sign what is due again with a new expiry
    Refresh(RefreshArgs),
    /// What is due to expire; the exit code is for monitoring
    Expiry(ExpiryArgs),
    /// Another key for root, targets, snapshot or timestamp
    Rotate(RotateArgs),
    /// Offline root ceremonies: plan, show, sign, merge, publish, verify
    Ceremony(CeremonyArgs),
    /// The daemon's record of what it did
    Audit(AuditArgs),
    /// The versions that the daemon has given out
    Ledger(LedgerArgs),
    /// Completions for a shell, on stdout
    Completions(CompletionsArgs),
    /// Write the man pages
    Man(ManArgs),
}

#[cfg(test)]
mod tests;
