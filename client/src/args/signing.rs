//! Arguments of the verbs that sign, push and publish.
use clap::{Args, ValueEnum};

use super::{PinArgs, YesArgs};

/// `init`
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// IMAGE
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Id of a root key, or a unique beginning of it; several are spares, any one suffices
    #[arg(long, value_name = "KEY")]
    pub root: Vec<String>,
    /// Who holds the snapshot key
    #[arg(long, value_enum, default_value_t = SnapshotHolder::Server)]
    pub snapshot: SnapshotHolder,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// Who holds a repository's snapshot key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SnapshotHolder {
    /// The trust server, as Docker does
    Server,
    /// The vault
    Vault,
}

/// `sign`
#[derive(Clone, Debug, Args)]
pub struct SignArgs {
    /// IMAGE:TAG
    #[arg(value_name = "IMAGE:TAG", required = true)]
    pub images: Vec<String>,
    /// Sign this digest instead of asking the registry
    #[arg(long, value_name = "sha256:...", requires = "size")]
    pub digest: Option<String>,
    /// Size of the manifest in bytes, with --digest
    #[arg(long, value_name = "N", requires = "digest")]
    pub size: Option<u64>,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `push`
#[derive(Clone, Debug, Args)]
pub struct PushArgs {
    /// IMAGE:TAG (no tag: latest)
    #[arg(value_name = "IMAGE:TAG")]
    pub image: String,
    /// Where the image comes from: `engine`, `oci:DIR[:REF]`, `docker-archive:FILE`
    #[arg(long, value_name = "SOURCE", default_value = "engine")]
    pub from: String,
    /// Every tag of the repository that the engine has
    #[arg(short, long)]
    pub all_tags: bool,
    /// Id of the root key for a repository that is initialised now
    #[arg(long, value_name = "KEY")]
    pub root: Vec<String>,
    /// Plain push, nothing signed (also DOCKER_CONTENT_TRUST=0)
    #[arg(long)]
    pub disable_content_trust: bool,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `publish`
#[derive(Clone, Debug, Args)]
pub struct PublishArgs {
    /// IMAGE
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `revoke`
#[derive(Clone, Debug, Args)]
pub struct RevokeArgs {
    /// IMAGE:TAG, or with --all IMAGE
    #[arg(value_name = "IMAGE[:TAG]")]
    pub image: String,
    /// Every tag; asks first
    #[arg(long)]
    pub all: bool,
    /// Whether to ask
    #[command(flatten)]
    pub yes: YesArgs,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `delete`
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    /// IMAGE
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Whether to ask
    #[command(flatten)]
    pub yes: YesArgs,
}

/// `refresh`
#[derive(Clone, Debug, Args)]
pub struct RefreshArgs {
    /// IMAGE
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Also what is not due yet
    #[arg(long)]
    pub all: bool,
    /// Where a PIN comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `expiry`
#[derive(Clone, Debug, Args)]
pub struct ExpiryArgs {
    /// IMAGE; none: every repository that is known here
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Due means: expires within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub within: u32,
}
