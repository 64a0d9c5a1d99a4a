//! Arguments of `rotate` and of the offline ceremonies.
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PinArgs, YesArgs};

/// `rotate`
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// What to rotate.
    #[command(subcommand)]
    pub command: RotateCommand,
}

/// `rotate ...`
#[derive(Clone, Debug, Subcommand)]
pub enum RotateCommand {
    /// Root keys: add or remove one, another threshold, a new certificate, a new expiry
    Root {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// What to change
        #[command(flatten)]
        change: RootArgs,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// The tagging key: a new one in the vault, and all tags signed by it
    Targets {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// The snapshot key: a new one of the server or of the vault
    Snapshot {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// Who holds it from now on
        #[arg(long, value_enum, default_value_t = super::SnapshotHolder::Server)]
        to: super::SnapshotHolder,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// The timestamp key: a new one of the server
    Timestamp {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
}

/// Changes of who may sign the root.
#[derive(Clone, Debug, Default, Args)]
pub struct RootArgs {
    /// A root key more: its id (or a unique beginning), or the file that `ceremony key` wrote
    #[arg(long, value_name = "KEY|FILE")]
    pub add_root: Vec<String>,
    /// A root key less: its id, or a unique beginning
    #[arg(long, value_name = "KEY")]
    pub remove_root: Vec<String>,
    /// How many root keys must sign from now on
    #[arg(long, value_name = "N")]
    pub threshold: Option<NonZeroU32>,
    /// New certificates for the root keys that stay
    #[arg(long)]
    pub renew_certificates: bool,
    /// Nothing but a new expiry
    #[arg(long)]
    pub renew: bool,
}

/// `ceremony`
#[derive(Clone, Debug, Args)]
pub struct CeremonyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CeremonyCommand,
}

/// `ceremony ...`, in the order of a ceremony.
#[derive(Clone, Debug, Subcommand)]
pub enum CeremonyCommand {
    /// Offline: what a root key on a token says of itself, with certificates for repositories, into a file
    Key(CeremonyKeyArgs),
    /// Online: the documents to be signed, and who is needed for that, into a file
    Plan(CeremonyPlanArgs),
    /// Anywhere: a plan in words, with what to compare over the telephone
    Show(CeremonyShowArgs),
    /// Offline: sign with one token what it can sign of a plan; goes on where it was interrupted
    Sign(CeremonySignArgs),
    /// Anywhere: put together what several people signed
    Merge(CeremonyMergeArgs),
    /// Online: send, read back, verify; safe to run again
    Publish(CeremonyPublishArgs),
    /// Anywhere, years later: check the whole record of a ceremony, and print a report
    Verify(CeremonyVerifyArgs),
}

/// Repositories on the command line and in a file.
#[derive(Clone, Debug, Default, Args)]
pub struct FleetArgs {
    /// IMAGE
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// A file with one IMAGE a line; empty lines and lines with # are passed over
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
}

/// Whether a ceremony is in earnest.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RehearsalArgs {
    /// With made-up repositories and a throw-away token; can never be published
    #[arg(long)]
    pub rehearsal: bool,
}

/// `ceremony key`
#[derive(Clone, Debug, Args)]
pub struct CeremonyKeyArgs {
    /// The token, by its name in touchmarkd's configuration
    #[arg(long, value_name = "NAME")]
    pub token: String,
    /// Which of its root keys, if it has several: id, or a unique beginning
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// For which repositories
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// New certificates although there are some
    #[arg(long)]
    pub renew: bool,
    /// Whether it is in earnest
    #[command(flatten)]
    pub rehearsal: RehearsalArgs,
    /// Certificates in PEM of those who vouch for YubiKeys (else attestation-ca.pem beside the configuration)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `ceremony plan`
#[derive(Clone, Debug, Args)]
pub struct CeremonyPlanArgs {
    /// Which repositories
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// New repositories; --add-root says which root keys they have
    #[arg(long)]
    pub create: bool,
    /// What to change about the root keys
    #[command(flatten)]
    pub change: RootArgs,
    /// The file of `ceremony key` of a root key that takes part already: so that the plan can name its token, and has its
    /// new certificates
    #[arg(long, value_name = "FILE")]
    pub known: Vec<PathBuf>,
    /// A new tagging key in the vault of touchmarkd here
    #[arg(long)]
    pub rotate_targets: bool,
    /// What the ceremony is called in the record
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// How many days the plan may be signed
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub good_for: u32,
    /// Whether it is in earnest; without IMAGE the repositories are made up
    #[command(flatten)]
    pub rehearsal: RehearsalArgs,
    /// Rehearsal: go on from the record of an earlier rehearsal, as if that had been published
    #[arg(long, value_name = "FILE", requires = "rehearsal")]
    pub from: Option<PathBuf>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `ceremony show`
#[derive(Clone, Debug, Args)]
pub struct CeremonyShowArgs {
    /// The plan, or the record of a ceremony
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The fingerprint as a QR code too
    #[arg(long)]
    pub qr: bool,
    /// Every repository in full, also where many change alike
    #[arg(long)]
    pub all: bool,
}

/// `ceremony sign`
#[derive(Clone, Debug, Args)]
pub struct CeremonySignArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The token, by its name in touchmarkd's configuration
    #[arg(long, value_name = "NAME")]
    pub token: String,
    /// The transcript with the signatures; if it is there, signing goes on
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The fingerprint that was told over another channel, in words or hex
    #[arg(long, value_name = "FINGERPRINT")]
    pub expect: Option<String>,
    /// Certificates in PEM of those who vouch for YubiKeys (else attestation-ca.pem beside the configuration)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Whether it is in earnest
    #[command(flatten)]
    pub rehearsal: RehearsalArgs,
    /// Whether to ask
    #[command(flatten)]
    pub yes: YesArgs,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `ceremony merge`
#[derive(Clone, Debug, Args)]
pub struct CeremonyMergeArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Transcripts of `ceremony sign`
    #[arg(value_name = "TRANSCRIPT", required = true)]
    pub transcripts: Vec<PathBuf>,
    /// The new record of the ceremony
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ceremony publish`
#[derive(Clone, Debug, Args)]
pub struct CeremonyPublishArgs {
    /// The record that `ceremony merge` wrote; what is published is added to it
    #[arg(value_name = "RECORD")]
    pub record: PathBuf,
    /// Whether to ask
    #[command(flatten)]
    pub yes: YesArgs,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `ceremony verify`
#[derive(Clone, Debug, Args)]
pub struct CeremonyVerifyArgs {
    /// The record of a ceremony, or one transcript of it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A published root.json, or a folder with any number of them; none: the trust servers are asked
    #[arg(long, value_name = "FILE|DIR")]
    pub root: Vec<PathBuf>,
    /// Certificates in PEM of those who vouch for YubiKeys (else attestation-ca.pem beside the configuration)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Also write a page to print, as HTML
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
