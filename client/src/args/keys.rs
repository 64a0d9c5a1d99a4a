//! Arguments of the verbs about the daemon, its tokens, its vault and its keys.
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PinArgs, YesArgs};

/// `status`
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Go on, and print each change
    #[arg(long)]
    pub watch: bool,
}

/// `doctor`
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Also look at this image's registry and trust server
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
}

/// `token`
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// `token ...`
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// All tokens
    Ls,
    /// One token and its keys
    Info {
        /// The token's name in the daemon's configuration
        name: String,
    },
    /// What a YubiKey proves about a key on it: made there or imported, by which YubiKey, with which policies
    Attest {
        /// The token's name in the daemon's configuration
        name: String,
        /// A key's id, a unique beginning of it, or a slot such as 9c; none: all its keys
        #[arg(value_name = "KEY|SLOT")]
        key: Option<String>,
        /// Certificates to trust, PEM [default: attestation-ca.pem beside touchmark.toml]
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Write the certificates that the token sent into this folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Make a token ready: PINs of its own (a YubiKey's PUK and management key too). Keys on it stay
    Init {
        /// The token's name in the daemon's configuration
        name: String,
        /// Where the PINs come from
        #[command(flatten)]
        pin: PinArgs,
    },
}

/// `vault`
#[derive(Clone, Debug, Args)]
pub struct VaultArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: VaultCommand,
}

/// `vault ...`
#[derive(Clone, Debug, Subcommand)]
pub enum VaultCommand {
    /// Make the vault
    #[command(group = clap::ArgGroup::new("way").required(true).args(["token", "passphrase"]))]
    Init {
        /// Opened by this token
        #[arg(long, value_name = "NAME")]
        token: Option<String>,
        /// Opened by a passphrase (weaker)
        #[arg(long)]
        passphrase: bool,
        /// Where a PIN or passphrase comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// One more or one fewer token that opens it
    Token {
        /// What to do.
        #[command(subcommand)]
        command: VaultTokenCommand,
    },
    /// Set, change or remove the passphrase that opens it
    Passphrase {
        /// Remove it
        #[arg(long)]
        remove: bool,
        /// Where a PIN or passphrase comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// Write a sealed copy: useless without one of the vault's own tokens or its passphrase
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Bring a sealed copy back
    Restore {
        /// The file
        file: PathBuf,
        /// Where a PIN or passphrase comes from
        #[command(flatten)]
        pin: PinArgs,
    },
}

/// `vault token ...`
#[derive(Clone, Debug, Subcommand)]
pub enum VaultTokenCommand {
    /// This token opens the vault too
    Add {
        /// The token's name
        name: String,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// This token opens the vault no more
    Rm {
        /// The token's name
        name: String,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
}

/// `unlock`
#[derive(Clone, Debug, Args)]
pub struct UnlockArgs {
    /// The token to open it with; none: whichever is there
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    /// Where a PIN or passphrase comes from
    #[command(flatten)]
    pub pin: PinArgs,
}

/// `lock`
#[derive(Clone, Debug, Args)]
pub struct LockArgs {}

/// `key`
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// `key ...`
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// All keys
    Ls,
    /// Make a key
    Create {
        /// Which kind.
        #[command(subcommand)]
        command: KeyCreateCommand,
    },
    /// Bring in Docker's, Notary's or PEM key files; root keys go onto a token
    Import(KeyImportArgs),
    /// The public key or certificate; private keys have no export
    Export {
        /// The key's id, or a unique beginning of it
        id: String,
        /// The certificate for this IMAGE instead of the public key (root keys)
        #[arg(long, value_name = "IMAGE")]
        certificate: Option<String>,
    },
    /// Remove a key; asks first
    Rm {
        /// The key's id, or a unique beginning of it
        id: String,
        /// Whether to ask
        #[command(flatten)]
        yes: YesArgs,
    },
}

/// `key create ...`
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCreateCommand {
    /// A root key: made on a token, never leaves it
    Root {
        /// The token's name
        #[arg(long, value_name = "NAME")]
        token: String,
        /// How the token labels it
        #[arg(long, value_name = "L")]
        label: Option<String>,
        /// When a YubiKey wants to be touched for it
        #[arg(long, value_name = "WHEN", value_parser = ["always", "cached", "never"])]
        touch: Option<String>,
        /// When a YubiKey wants its PIN for it
        #[arg(long, value_name = "WHEN", value_parser = ["once", "always", "never"])]
        pin_policy: Option<String>,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// A repository's targets key: made in the vault
    Targets {
        /// IMAGE
        image: String,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
    /// A delegation's key: made in the vault
    Delegation {
        /// The delegation's name, without `targets/`
        name: String,
        /// IMAGE
        image: String,
        /// Where a PIN comes from
        #[command(flatten)]
        pin: PinArgs,
    },
}

/// `key import`
#[derive(Clone, Debug, Args)]
pub struct KeyImportArgs {
    /// A key file, or a folder of them (Docker's `trust/private`)
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    /// The token for a root key
    #[arg(long, value_name = "NAME")]
    pub token: Option<String>,
    /// IMAGE that the key may sign for, where the file does not say; repeatable
    #[arg(long, value_name = "IMAGE")]
    pub repository: Vec<String>,
    /// The role, where the file does not say: root, targets, snapshot, or a delegation's name
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// How the token labels it
    #[arg(long, value_name = "L")]
    pub label: Option<String>,
    /// When a YubiKey wants to be touched for it
    #[arg(long, value_name = "WHEN", value_parser = ["always", "cached", "never"], requires = "token")]
    pub touch: Option<String>,
    /// When a YubiKey wants its PIN for it
    #[arg(long, value_name = "WHEN", value_parser = ["once", "always", "never"], requires = "token")]
    pub pin_policy: Option<String>,
    /// Where the passphrase comes from
    #[command(flatten)]
    pub pin: PinArgs,
}
