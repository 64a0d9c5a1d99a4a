//! Arguments of the verbs about what the daemon did.
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PinArgs, YesArgs};

/// `audit`
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// `audit ...`
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// The rows, newest last
    Show {
        /// From this row on
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
        /// At most so many rows
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Check the chain, the signed heads, and the head that was last seen here
    Verify {
        /// The row SEQ must have this hash
        #[arg(long, value_name = "SEQ:HEAD")]
        expect: Option<String>,
    },
    /// All rows as JSON lines
    Export {
        /// The new file; none: stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// `ledger`
#[derive(Clone, Debug, Args)]
pub struct LedgerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// `ledger ...`
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerCommand {
    /// Versions given out
    Show {
        /// IMAGE; none: all
        #[arg(value_name = "IMAGE")]
        image: Option<String>,
    },
    /// Let go of a version that was signed and never published; for administrators, audited
    Release {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// The role, as in `ledger show`
        #[arg(long)]
        role: String,
        /// The version
        #[arg(long)]
        version: u64,
        /// Why; goes into the audit
        #[arg(long)]
        reason: String,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// Believe the clock again after it was ahead once; for administrators, audited
    BelieveClock {
        /// Why; goes into the audit
        #[arg(long)]
        reason: String,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
}
