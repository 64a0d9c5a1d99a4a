//! Arguments of the verbs that need no daemon.
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `pull`
#[derive(Clone, Debug, Args)]
pub struct PullArgs {
    /// IMAGE or IMAGE:TAG (no tag: latest)
    #[arg(value_name = "IMAGE[:TAG]")]
    pub image: String,
    /// Every signed tag
    #[arg(short, long)]
    pub all_tags: bool,
    /// Where to: `engine` (the Docker Engine) or `oci:DIR` (an OCI image layout)
    #[arg(long, value_name = "engine|oci:DIR", default_value = "engine")]
    pub to: String,
    /// Plain pull by tag, nothing checked (also DOCKER_CONTENT_TRUST=0)
    #[arg(long)]
    pub disable_content_trust: bool,
}

/// `run`
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// IMAGE or IMAGE:TAG (no tag: latest)
    #[arg(value_name = "IMAGE[:TAG]")]
    pub image: String,
    /// Plain run by tag, nothing checked (also DOCKER_CONTENT_TRUST=0)
    #[arg(long)]
    pub disable_content_trust: bool,
    /// An option of `docker run`, as in --docker=-it --docker=--rm; repeatable
    #[arg(long = "docker", value_name = "OPTION", allow_hyphen_values = true)]
    pub options: Vec<String>,
    /// Command and arguments inside the container
    #[arg(last = true, value_name = "ARGS")]
    pub command: Vec<String>,
}

/// `verify`
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// IMAGE:TAG, or with --any-tag IMAGE@sha256:...
    #[arg(value_name = "IMAGE:TAG", required_unless_present = "file", conflicts_with = "file")]
    pub image: Option<String>,
    /// Is this digest signed under any tag?
    #[arg(long, requires = "image")]
    pub any_tag: bool,
    /// Check every image named in a Dockerfile or compose file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Pin them there: IMAGE:TAG@sha256:...
    #[arg(long, requires = "file")]
    pub write: bool,
}

/// `inspect`
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// IMAGE, or IMAGE:TAG for one tag
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// `trust`
#[derive(Clone, Debug, Args)]
pub struct TrustArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TrustCommand,
}

/// `trust ...`
#[derive(Clone, Debug, Subcommand)]
pub enum TrustCommand {
    /// The repositories whose root is trusted here
    Ls,
    /// Trust this root, and no other, for a repository
    Pin {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
        /// Id of a root key as root.json lists it (`touchmark inspect` prints it); repeatable
        #[arg(long, value_name = "ID", required = true)]
        root: Vec<String>,
    },
    /// Forget root and cache of a repository; the next reader trusts on first use again
    Forget {
        /// IMAGE
        #[arg(value_name = "IMAGE")]
        image: String,
    },
}

/// `completions`
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
